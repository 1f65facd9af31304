/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables of files, in one memory that all captures' BPF programs read.
 *
 * The memory is the agent's (rows of a BPF map); here is kept which file's rows are where. A
 * table stays until unwinds_reset(); what does not fit any more is walked by frame pointers.
 * Belongs to the resolver.
 */
#pragma once

#include "nsresolve/cache.h"
#include "nsresolve/unwindtab.h"

#include <stdbool.h>

struct unwinds;

/* One file's rows, or that it has none. Lives as long as the unwinds, up to a reset. */
struct unwind_entry;

struct unwinds_stats {
    uint64_t tables, rows, rows_max, refused;
};

/* Where rows go: writes count of them from number first on. Returns 0 or -errno. */
struct unwind_sink {
    int (*write)(void *data, uint32_t first, const struct unwind_row *rows, uint32_t count);
    void *data;
    uint32_t rows_max;
};

int unwinds_new(const struct unwind_sink *sink, struct unwinds **ret);
void unwinds_free(struct unwinds *u); /* NULL is fine */
DEFINE_FREEP(struct unwinds, unwinds_free)

/* NULL when this file was not seen yet. */
const struct unwind_entry *unwinds_get(const struct unwinds *u, const struct cache_identity *id);

/* Takes a table over (NULL: the file has none, or the parser gave up) and copies its rows. Returns
 * the entry, or NULL when out of memory. */
const struct unwind_entry *unwinds_put(struct unwinds *u, const struct cache_identity *id,
                                       struct unwindtab *table);

/* Where its rows are, and the bias that turns an address into their pc for a mapping at start with
 * that file offset. False when it has no rows, or no segment holds the offset. */
bool unwind_entry_rows(const struct unwind_entry *e, uint64_t start, uint64_t offset,
                       uint32_t *first, uint32_t *count, uint64_t *bias);

/* Forgets all tables when little room is left; only while no capture runs. */
void unwinds_make_room(struct unwinds *u);

void unwinds_get_stats(const struct unwinds *u, struct unwinds_stats *ret);
