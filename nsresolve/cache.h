/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbol tables across captures, within a memory budget.
 *
 * Found by the identity of an *open* file (device, inode, size, times: nothing that a path says),
 * and stored once per build ID when the tables are equal to the byte. Failures are remembered too,
 * so that a hostile file costs its bounds only once.
 */
#pragma once

#include "nsresolve/symtab.h"
#include "nsresolve/wire.h"

struct cache;

struct cache_identity {
    uint64_t dev, ino, size, mtime_ns, ctime_ns;
};

/* One parsed file. Borrowed from whoever holds the reference. */
struct cache_entry;

struct cache_stats {
    uint64_t entries, bytes, budget, hits, misses, evicted;
};

int cache_new(size_t budget_bytes, struct cache **ret);
void cache_free(struct cache *c); /* entries that are still referenced live on */
DEFINE_FREEP(struct cache, cache_free)

/* A new reference, or NULL. */
struct cache_entry *cache_get(struct cache *c, const struct cache_identity *id);

/* Stores a table (owned from now on, also on failure), or why there is none (table NULL, status).
 * Where an equal table of the same build ID exists, that one is used and the new one is freed.
 * Returns a new reference, or NULL when out of memory. */
struct cache_entry *cache_put(struct cache *c, const struct cache_identity *id,
                              struct symtab *table, enum wire_status status);

const struct symtab *cache_entry_table(const struct cache_entry *e); /* may be NULL */
enum wire_status cache_entry_status(const struct cache_entry *e);
void cache_entry_unref(struct cache_entry *e); /* NULL is fine */

void cache_get_stats(const struct cache *c, struct cache_stats *ret);
