/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded set of state roots, and where it comes from: configuration, daemons' and shims' command
 * lines, hints in state files. Used by discovery and by the program's start.
 */
#pragma once

#include "agent/runtimes.h"

struct roots {
    struct census_root *items; /* paths owned */
    size_t count;
};

void roots_clear(struct roots *r); /* r itself is the caller's */

/* Adds a copy unless it is there. Paths are normalised; relative ones, ones with "..", ones that
 * are too long, and roots beyond CENSUS_ROOTS_MAX are left out. Returns 1 when added, 0 when not,
 * -ENOMEM. */
int roots_add(struct roots *r, enum census_root_kind kind, const char *path, size_t size);

/* Roots that the command line and working directory of a daemon, shim or monitor give away. Only
 * commands of uid 0 are believed. Returns how many were new, or -ENOMEM. */
int roots_add_command(struct roots *r, const struct census_item *command);
