/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the quality report that says how many frames could be expanded to what was inlined
 * into them, and why the others could not, by cause and file. For quality.c.
 */
#pragma once

#include "base/buf.h"
#include "nsresolve/frame.h"

struct inlined;

int inlined_new(struct inlined **ret);
void inlined_free(struct inlined *n); /* NULL is fine */
DEFINE_FREEP(struct inlined, inlined_free)

/* Counts a frame of the result, value times. Borrowed as long as the report. */
void inlined_add(struct inlined *n, const struct frame *f, uint64_t value);

/* Appends ",\"inlines\":{…}"; nothing when nobody asked. */
void inlined_write(const struct inlined *n, struct buf *out);
