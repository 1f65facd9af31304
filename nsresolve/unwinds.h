/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables of files, in one memory that all captures' BPF programs read.
 *
 * The memory is the agent's (rows of a BPF map); here is kept which file's rows are where. It is a
 * budget: what no capture uses makes room for what one wants, the least recently used first, and
 * what does not fit beside all that is in use is refused, until something is given back. Rows of a
 * table that somebody holds are never written over, since programs read them without asking.
 * Belongs to the resolver.
 */
#pragma once

#include "nsresolve/cache.h"
#include "nsresolve/unwindtab.h"

#include <stdbool.h>

struct unwinds;

/* One file's rows, or that it has none. Borrowed from whoever holds the reference. */
struct unwind_entry;

struct unwinds_stats {
    uint64_t tables, in_use; /* files */
    uint64_t rows, rows_max; /* 8 bytes each, indexes included */
    uint64_t refused, evicted;
};

/* Where rows go: writes count of them, or as many blocks of an index, from number first on. Returns
 * 0 or -errno. */
struct unwind_sink {
    int (*write)(void *data, uint32_t first, const void *rows, uint32_t count);
    void *data;
    uint32_t rows_max;
};

int unwinds_new(const struct unwind_sink *sink, struct unwinds **ret);
void unwinds_free(struct unwinds *u); /* NULL is fine; all references end */
DEFINE_FREEP(struct unwinds, unwinds_free)

/* A new reference; NULL when this file was not seen yet, or found no room, or was put out. */
struct unwind_entry *unwinds_get(struct unwinds *u, const struct cache_identity *id);

/* Takes a table over (NULL: the file has none, or the parser gave up) and copies its rows. Returns
 * a new reference, or NULL when out of memory. */
struct unwind_entry *unwinds_put(struct unwinds *u, const struct cache_identity *id,
                                 struct unwindtab *table);

void unwinds_unref(struct unwinds *u, struct unwind_entry *e); /* NULL is fine */

/* True when its rows found no room: worth another unwinds_put() once unwinds_freed() has moved. */
bool unwind_entry_refused(const struct unwind_entry *e);

/* Counts the times that somebody let go of rows. */
uint64_t unwinds_freed(const struct unwinds *u);

/* Where the rows of a table are, and the index to them. */
struct unwind_place {
    uint32_t first, count;
    uint32_t index, blocks, shift; /* a block is 1 << shift bytes of pc */
    uint32_t number;               /* never given twice: what is kept of rows is told apart by it */
};

/* Where its rows are, and the bias that turns an address into their pc for a mapping at start with
 * that file offset. False when it has no rows, or no segment holds the offset. */
bool unwind_entry_rows(const struct unwind_entry *e, uint64_t start, uint64_t offset,
                       struct unwind_place *place, uint64_t *bias);

void unwinds_get_stats(const struct unwinds *u, struct unwinds_stats *ret);
