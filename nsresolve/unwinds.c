/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/unwinds.h"

#include "base/table.h"

#include <errno.h>
#include <string.h>

struct unwind_entry {
    uint32_t first, count; /* count 0: no rows */
    uint64_t base;
    uint32_t segment_count;
    struct symtab_segment segments[];
};

struct unwinds {
    struct unwind_sink sink;
    uint32_t used;
    struct table *by_identity;
    uint64_t refused;
};

int unwinds_new(const struct unwind_sink *sink, struct unwinds **ret)
{
    struct unwinds *u = calloc(1, sizeof(*u));

    if (!u || table_new(&u->by_identity, free) < 0) {
        free(u);
        return -ENOMEM;
    }
    u->sink = *sink;
    *ret = u;
    return 0;
}

void unwinds_free(struct unwinds *u)
{
    if (!u)
        return;
    table_free(u->by_identity);
    free(u);
}

const struct unwind_entry *unwinds_get(const struct unwinds *u, const struct cache_identity *id)
{
    return table_get(u->by_identity, id, sizeof(*id));
}

/* An entry that keeps the table's segments; the rows are copied elsewhere. */
static struct unwind_entry *entry_new(const struct unwindtab *table)
{
    uint32_t count = table ? unwindtab_header(table)->segment_count : 0;
    struct unwind_entry *e = calloc(1, sizeof(*e) + count * sizeof(e->segments[0]));

    if (!e || !table)
        return e;
    e->base = unwindtab_base(table);
    e->segment_count = count;
    memcpy(e->segments, unwindtab_header(table) + 1, count * sizeof(e->segments[0]));
    return e;
}

const struct unwind_entry *unwinds_put(struct unwinds *u, const struct cache_identity *id,
                                       struct unwindtab *table)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = table;
    struct unwind_entry *e = entry_new(t);
    const struct unwind_row *rows;
    uint32_t count = 0;

    if (!e || table_put(u->by_identity, id, sizeof(*id), e) < 0) {
        free(e);
        return NULL;
    }
    rows = t ? unwindtab_rows(t, &count) : NULL;
    if (!rows || count > u->sink.rows_max - u->used ||
        u->sink.write(u->sink.data, u->used, rows, count) < 0) {
        u->refused += count > 0;
        return e;
    }
    e->first = u->used;
    e->count = count;
    u->used += count;
    return e;
}

bool unwind_entry_rows(const struct unwind_entry *e, uint64_t start, uint64_t offset,
                       uint32_t *first, uint32_t *count, uint64_t *bias)
{
    for (uint32_t i = 0; e->count && i < e->segment_count; i++) {
        const struct symtab_segment *s = &e->segments[i];

        if (offset < s->offset || offset - s->offset >= s->size)
            continue;
        *first = e->first;
        *count = e->count;
        *bias = start - (s->vaddr + (offset - s->offset) - e->base);
        return true;
    }
    return false;
}

void unwinds_make_room(struct unwinds *u)
{
    struct table *fresh;

    if (u->used < u->sink.rows_max / 4 * 3 || table_new(&fresh, free) < 0)
        return;
    table_free(u->by_identity);
    u->by_identity = fresh;
    u->used = 0;
}

void unwinds_get_stats(const struct unwinds *u, struct unwinds_stats *ret)
{
    *ret = (struct unwinds_stats){.tables = table_count(u->by_identity),
                                  .rows = u->used,
                                  .rows_max = u->sink.rows_max,
                                  .refused = u->refused};
}
