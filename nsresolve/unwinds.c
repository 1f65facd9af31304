/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/unwinds.h"

#include "base/table.h"

#include <errno.h>
#include <string.h>

struct unwind_entry {
    struct unwindtab *table; /* for its segments; NULL: no rows */
    uint32_t first, count;
};

struct unwinds {
    struct unwind_row *rows;
    uint32_t used, max;
    struct table *by_identity;
    uint64_t refused;
};

static void entry_free(void *data)
{
    struct unwind_entry *e = data;

    unwindtab_free(e->table);
    free(e);
}

int unwinds_new(struct unwind_row *rows, uint32_t rows_max, struct unwinds **ret)
{
    struct unwinds *u = calloc(1, sizeof(*u));

    if (!u || table_new(&u->by_identity, entry_free) < 0) {
        free(u);
        return -ENOMEM;
    }
    u->rows = rows;
    u->max = rows_max;
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

const struct unwind_entry *unwinds_put(struct unwinds *u, const struct cache_identity *id,
                                       struct unwindtab *table)
{
    struct unwind_entry *e = calloc(1, sizeof(*e));
    const struct unwind_row *rows;
    uint32_t count = 0;

    if (!e || table_put(u->by_identity, id, sizeof(*id), e) < 0) {
        free(e);
        unwindtab_free(table);
        return NULL;
    }
    rows = table ? unwindtab_rows(table, &count) : NULL;
    if (count > u->max - u->used) {
        u->refused++;
        count = 0;
    }
    if (!count) {
        unwindtab_free(table);
        return e;
    }
    memcpy(&u->rows[u->used], rows, count * sizeof(*rows));
    e->table = table;
    e->first = u->used;
    e->count = count;
    u->used += count;
    return e;
}

bool unwind_entry_rows(const struct unwind_entry *e, uint64_t start, uint64_t offset,
                       uint32_t *first, uint32_t *count, uint64_t *bias)
{
    uint64_t vaddr;

    if (!e->count || !unwindtab_vaddr(e->table, offset, &vaddr))
        return false;
    *first = e->first;
    *count = e->count;
    *bias = start - (vaddr - unwindtab_base(e->table));
    return true;
}

void unwinds_make_room(struct unwinds *u)
{
    struct table *fresh;

    if (u->used < u->max / 4 * 3 || table_new(&fresh, entry_free) < 0)
        return;
    table_free(u->by_identity);
    u->by_identity = fresh;
    u->used = 0;
}

void unwinds_get_stats(const struct unwinds *u, struct unwinds_stats *ret)
{
    *ret = (struct unwinds_stats){.tables = table_count(u->by_identity),
                                  .rows = u->used,
                                  .rows_max = u->max,
                                  .refused = u->refused};
}
