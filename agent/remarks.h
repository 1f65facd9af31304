/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentences of a quality report: what people should know of a capture besides its numbers.
 *
 * Made by the capture at its end; of programs only what a scene knows is said, and only of those
 * that were sampled.
 */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "nsresolve/resolve.h"

#define REMARKS_MAX 48

struct remarks {
    char *items[REMARKS_MAX]; /* owned */
    size_t count;
};

void remarks_free(struct remarks *r); /* the contents */

/* Adds a sentence; those beyond the room, or without memory, are dropped. */
void remarks_add(struct remarks *r, const char *fmt, ...) _printf_(2, 3);

/* What was asked of JVMs, and which runtimes leave functions without names. may_attach: this agent
 * has an attacher. */
void remarks_add_programs(struct remarks *r, struct scene *s, bool may_attach);

/* Appends a JSON array with an object for each JVM that was to be asked. */
void remarks_write_attached(struct scene *s, struct buf *out);
