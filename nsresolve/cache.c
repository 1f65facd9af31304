/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/cache.h"

#include "base/table.h"

#include <errno.h>
#include <string.h>

/* Failures hold no table, so a budget in bytes would let them grow without end. */
#define ENTRIES_MAX 8192

struct cache_entry {
    struct cache *cache; /* valid while keys > 0 */
    unsigned refs;
    unsigned keys; /* how often it stands in the indices; its bytes count while it does */
    struct symtab *table;
    enum wire_status status;
    uint64_t used; /* the cache's clock at the last look-up */
};

struct cache {
    struct table *by_identity; /* each value holds a reference */
    struct table *by_build_id;
    size_t budget, bytes;
    uint64_t clock, hits, misses, evicted;
};

static size_t entry_bytes(const struct cache_entry *e)
{
    return e->table ? symtab_bytes(e->table) : 0;
}

/* An index lets go of an entry. */
static void drop_key(void *data)
{
    struct cache_entry *e = data;

    if (--e->keys == 0)
        e->cache->bytes -= entry_bytes(e);
    cache_entry_unref(e);
}

int cache_new(size_t budget_bytes, struct cache **ret)
{
    _cleanup_(cache_freep) struct cache *c = calloc(1, sizeof(*c));

    if (!c || table_new(&c->by_identity, drop_key) < 0 || table_new(&c->by_build_id, drop_key) < 0)
        return -ENOMEM;
    c->budget = budget_bytes;
    *ret = TAKE_PTR(c);
    return 0;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    table_free(c->by_identity);
    table_free(c->by_build_id);
    free(c);
}

void cache_entry_unref(struct cache_entry *e)
{
    if (!e || --e->refs)
        return;
    symtab_free(e->table);
    free(e);
}

struct cache_entry *cache_get(struct cache *c, const struct cache_identity *id)
{
    struct cache_entry *e = table_get(c->by_identity, id, sizeof(*id));

    if (!e) {
        c->misses++;
        return NULL;
    }
    c->hits++;
    e->used = ++c->clock;
    e->refs++;
    return e;
}

/* Drops every key of one entry. */
static void forget(struct table *t, const struct cache_entry *victim)
{
    const void *key;
    size_t key_size, cursor = 0;
    struct cache_entry *e;

    while ((e = table_next(t, &cursor, &key, &key_size)))
        if (e == victim)
            table_remove(t, key, key_size);
}

static void evict(struct cache *c, const struct cache_entry *keep)
{
    while (c->bytes > c->budget || table_count(c->by_identity) > ENTRIES_MAX) {
        struct cache_entry *e, *oldest = NULL;
        size_t cursor = 0;

        while ((e = table_next(c->by_identity, &cursor, NULL, NULL)))
            if (e != keep && (!oldest || e->used < oldest->used))
                oldest = e;
        if (!oldest)
            return;
        oldest->refs++;
        forget(c->by_identity, oldest);
        forget(c->by_build_id, oldest);
        cache_entry_unref(oldest);
        c->evicted++;
    }
}

/* Out of memory: it is not found the next time, no more. */
static void index_entry(struct table *t, const void *key, size_t size, struct cache_entry *e)
{
    if (e->keys++ == 0)
        e->cache->bytes += entry_bytes(e);
    e->refs++;
    if (table_put(t, key, size, e) < 0)
        drop_key(e);
}

struct cache_entry *cache_put(struct cache *c, const struct cache_identity *id,
                              struct symtab *table, enum wire_status status)
{
    const struct symtab_header *h = table ? symtab_header(table) : NULL;
    struct cache_entry *e = table_get(c->by_identity, id, sizeof(*id));

    /* Two captures asked at once: the second failure says nothing against the first table. */
    if (e && !e->table)
        e = NULL;
    if (!e && h && h->build_id_size) {
        e = table_get(c->by_build_id, h->build_id, h->build_id_size);
        /* Anybody can write another's build ID into a file: only equal tables are shared. */
        if (e && (symtab_bytes(e->table) != symtab_bytes(table) ||
                  memcmp(symtab_header(e->table), h, symtab_bytes(table)) != 0))
            e = NULL;
    }
    if (e) {
        symtab_free(table);
        e->refs++;
    } else {
        e = calloc(1, sizeof(*e));
        if (!e) {
            symtab_free(table);
            return NULL;
        }
        *e = (struct cache_entry){.cache = c, .refs = 1, .table = table, .status = status};
        if (h && h->build_id_size)
            index_entry(c->by_build_id, h->build_id, h->build_id_size, e);
    }
    e->used = ++c->clock;
    index_entry(c->by_identity, id, sizeof(*id), e);
    evict(c, e);
    return e;
}

const struct symtab *cache_entry_table(const struct cache_entry *e)
{
    return e->table;
}

enum wire_status cache_entry_status(const struct cache_entry *e)
{
    return e->status;
}

void cache_get_stats(const struct cache *c, struct cache_stats *ret)
{
    *ret = (struct cache_stats){
        .entries = table_count(c->by_identity),
        .bytes = c->bytes,
        .budget = c->budget,
        .hits = c->hits,
        .misses = c->misses,
        .evicted = c->evicted,
    };
}
