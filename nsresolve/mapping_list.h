/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mappings in the order of their addresses, in small chunks that lists share until one of them
 * changes: a change costs as little in a list of 65,000 as in one of ten, and so does a copy.
 *
 * Knows neither time nor overlaps: mappings.c does, and nobody else uses it.
 */
#pragma once

#include "nsresolve/mappings.h"

struct mapping_chunk;

/* Zero-filled: an empty one. */
struct mapping_list {
    struct mapping_chunk **chunks; /* owned references; none is empty */
    size_t chunk_count, chunks_allocated;
    size_t count; /* of mappings */
};

void mapping_list_clear(struct mapping_list *l);

/* Makes *to, which is empty, the same as from. Returns 0 or -ENOMEM. */
int mapping_list_copy(struct mapping_list *to, const struct mapping_list *from);

/* Of the first mapping whose end lies behind addr; the end of the list when there is none. */
struct mapping_place mapping_list_behind(const struct mapping_list *l, uint64_t addr);

/* NULL at the end. Borrowed until the next change. */
const struct mapping *mapping_list_get(const struct mapping_list *l, struct mapping_place at);

/* The same to be changed in place, its order kept. NULL: out of memory. */
struct mapping *mapping_list_edit(struct mapping_list *l, struct mapping_place at);

struct mapping_place mapping_list_next(const struct mapping_list *l, struct mapping_place at);

/* Inserts in front of *at, which becomes the place of the new one. Returns 0 or -ENOMEM. */
int mapping_list_insert(struct mapping_list *l, struct mapping_place *at, const struct mapping *m);

/* Removes the one at *at, which becomes the place of the one behind it. Returns 0 or -ENOMEM. */
int mapping_list_remove(struct mapping_list *l, struct mapping_place *at);
