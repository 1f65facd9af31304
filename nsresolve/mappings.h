/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable mappings of one program image over time.
 *
 * Fed by the side-band in time order and by one snapshot; asked "what was at this address then?".
 * Knows nothing of files' contents. Shared between a process and its forked children until one of
 * them changes: reference-counted, copied on write. What it costs to change does not grow with what
 * is there: mapping_list.h. Not thread-safe: belongs to one scene.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mappings;
struct file;

/* A mapped range, valid in [born_ns, died_ns) of CLOCK_MONOTONIC. Borrowed from its mappings. */
struct mapping {
    uint64_t start, end; /* virtual addresses, bytes */
    uint64_t offset;     /* of start in the file, bytes */
    uint64_t born_ns, died_ns;
    struct file *file; /* borrowed from the scene; NULL: one file too many, never named */
};

/* Beyond so many live mappings of one image, further ones are refused. */
#define MAPPINGS_MAX 65536

/* Returns 0 or -ENOMEM; *ret is unchanged on failure. */
int mappings_new(struct mappings **ret);
struct mappings *mappings_ref(struct mappings *m);
void mappings_unref(struct mappings *m); /* NULL is fine */

/* Adds a mapping that begins at m->born_ns; what it covers dies then. Copies *m first when it is
 * shared, so the caller's pointer may change. Returns 0, -ENOMEM, -E2BIG. */
int mappings_add(struct mappings **m, const struct mapping *mapping);

/* Adds it only where no live mapping is: for a snapshot that comes after newer records. */
int mappings_fill(struct mappings **m, const struct mapping *mapping);

/* The same for all live mappings of another image that were there at time_ns. */
int mappings_fill_from(struct mappings **m, const struct mappings *from, uint64_t time_ns);

/* The mapping that covered addr at time_ns, or NULL. Borrowed until the next change. */
const struct mapping *mappings_find(const struct mappings *m, uint64_t addr, uint64_t time_ns);

/* Somewhere in the live mappings, until the next change; zero-filled: at the first. */
struct mapping_place {
    size_t chunk, index;
};

/* Goes through the live mappings by their addresses; NULL at the end. Borrowed until the next
 * change. */
const struct mapping *mappings_next(const struct mappings *m, struct mapping_place *at);

size_t mappings_count(const struct mappings *m); /* live ones */
