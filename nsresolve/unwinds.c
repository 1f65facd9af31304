/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/unwinds.h"

#include "base/table.h"

#include <errno.h>
#include <string.h>

#define PAGE 4096u
#define ENTRIES_MAX 8192u  /* files, those without rows included */
#define BLOCK_SHIFT_MIN 6u /* bytes of code, as a power of two */
#define ROWS_PER_BLOCK 4u  /* on average, at least: the index is a quarter of the rows */

struct unwind_entry {
    struct cache_identity identity;
    unsigned users;
    uint64_t used; /* the clock when it was last taken */
    bool refused;
    struct unwind_place place; /* count 0: no rows */
    uint64_t base;
    uint32_t segment_count;
    struct segment segments[];
};

struct unwinds {
    struct unwind_sink sink;
    struct table *by_identity;
    struct unwind_entry **placed; /* those with rows, by where they are */
    size_t placed_count, placed_allocated;
    uint64_t clock, freed;
    uint32_t numbers;
    uint64_t rows, refused, evicted;
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
    free(u->placed);
    free(u);
}

/* ---- room ---- */

static uint32_t slots_of(const struct unwind_place *p)
{
    return p->blocks + p->count;
}

/* The place in the order where a gap of that size begins; *start is its first slot. */
static bool find_gap(const struct unwinds *u, uint32_t slots, size_t *at, uint32_t *start)
{
    *start = 0;
    for (*at = 0; *at < u->placed_count; (*at)++) {
        const struct unwind_place *p = &u->placed[*at]->place;

        if (p->index - *start >= slots)
            return true;
        *start = p->index + slots_of(p);
    }
    return u->sink.rows_max - *start >= slots;
}

static void forget(struct unwinds *u, struct unwind_entry *e)
{
    struct cache_identity id = e->identity;

    for (size_t i = 0; e->place.count && i < u->placed_count; i++) {
        if (u->placed[i] != e)
            continue;
        u->placed_count--;
        memmove(&u->placed[i], &u->placed[i + 1], (u->placed_count - i) * sizeof(*u->placed));
        u->rows -= slots_of(&e->place);
        break;
    }
    table_remove(u->by_identity, &id, sizeof(id));
}

/* Puts out what nobody has used for longest. with_rows: only what gives room for rows. */
static bool evict(struct unwinds *u, bool with_rows)
{
    struct unwind_entry *e, *oldest = NULL;
    size_t cursor = 0;

    while ((e = table_next(u->by_identity, &cursor, NULL, NULL)))
        if (!e->users && (e->place.count || !with_rows) && (!oldest || e->used < oldest->used))
            oldest = e;
    if (!oldest)
        return false;
    u->evicted += oldest->place.count > 0;
    forget(u, oldest);
    return true;
}

/* Finds room for as many slots, and an element of `placed` for who takes it. */
static bool make_room(struct unwinds *u, uint32_t slots, size_t *at, uint32_t *start)
{
    if (slots > u->sink.rows_max)
        return false;
    if (u->placed_count == u->placed_allocated) {
        size_t want = MAX(u->placed_allocated * 2, (size_t)64);
        void *p = reallocarray(u->placed, want, sizeof(*u->placed));

        if (!p)
            return false;
        u->placed = p;
        u->placed_allocated = want;
    }
    while (!find_gap(u, slots, at, start))
        if (!evict(u, true))
            return false;
    return true;
}

/* ---- the index ---- */

/* As fine as a quarter of the rows allows. */
static void size_index(struct unwind_place *p, const struct unwind_row *rows)
{
    uint32_t most = MAX(p->count / ROWS_PER_BLOCK, 1u), last = rows[p->count - 1].pc;

    p->shift = BLOCK_SHIFT_MIN;
    while (last >> p->shift >= most && p->shift < 31)
        p->shift++;
    p->blocks = (last >> p->shift) + 1;
}

static struct unwind_block *make_index(const struct unwind_place *p, const struct unwind_row *rows)
{
    struct unwind_block *blocks = calloc(p->blocks, sizeof(*blocks));
    uint32_t row = 0;

    for (uint32_t b = 0; blocks && b < p->blocks; b++) {
        blocks[b].begin = row;
        while (row < p->count && rows[row].pc >> p->shift == b)
            row++;
        blocks[b].end = row;
    }
    return blocks;
}

static int write_place(struct unwinds *u, const struct unwind_place *p,
                       const struct unwind_row *rows)
{
    _cleanup_free_ struct unwind_block *blocks = make_index(p, rows);
    int r = blocks ? u->sink.write(u->sink.data, p->index, blocks, p->blocks) : -ENOMEM;

    return r < 0 ? r : u->sink.write(u->sink.data, p->first, rows, p->count);
}

static bool place_rows(struct unwinds *u, struct unwind_entry *e, const struct unwindtab *t)
{
    struct unwind_place p = {0};
    const struct unwind_row *rows = unwindtab_rows(t, &p.count);
    size_t at;

    if (p.count == 0)
        return true;
    size_index(&p, rows);
    if (!make_room(u, slots_of(&p), &at, &p.index))
        return false;
    p.first = p.index + p.blocks;
    p.number = ++u->numbers;
    if (write_place(u, &p, rows) < 0)
        return false;
    memmove(&u->placed[at + 1], &u->placed[at], (u->placed_count - at) * sizeof(*u->placed));
    u->placed[at] = e;
    u->placed_count++;
    u->rows += slots_of(&p);
    e->place = p;
    return true;
}

/* ---- entries ---- */

struct unwind_entry *unwinds_get(struct unwinds *u, const struct cache_identity *id)
{
    struct unwind_entry *e = table_get(u->by_identity, id, sizeof(*id));

    if (!e || e->refused)
        return NULL;
    e->users++;
    e->used = ++u->clock;
    return e;
}

/* An entry that keeps the table's segments; the rows are copied elsewhere. */
static struct unwind_entry *entry_new(const struct cache_identity *id,
                                      const struct unwindtab *table)
{
    uint32_t count = table ? unwindtab_header(table)->segment_count : 0;
    struct unwind_entry *e = calloc(1, sizeof(*e) + count * sizeof(e->segments[0]));

    if (!e)
        return NULL;
    e->identity = *id;
    e->users = 1;
    if (!table)
        return e;
    e->base = unwindtab_base(table);
    e->segment_count = count;
    memcpy(e->segments, unwindtab_header(table) + 1, count * sizeof(e->segments[0]));
    return e;
}

static struct unwind_entry *add_entry(struct unwinds *u, const struct cache_identity *id,
                                      const struct unwindtab *t)
{
    struct unwind_entry *e;

    while (table_count(u->by_identity) >= ENTRIES_MAX)
        if (!evict(u, false))
            return NULL;
    e = entry_new(id, t);
    if (e && table_put(u->by_identity, id, sizeof(*id), e) < 0) {
        free(e);
        return NULL;
    }
    return e;
}

struct unwind_entry *unwinds_put(struct unwinds *u, const struct cache_identity *id,
                                 struct unwindtab *table)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = table;
    struct unwind_entry *e = table_get(u->by_identity, id, sizeof(*id));

    if (e)
        e->users++; /* refused before: its holders profit from what it gets now */
    else
        e = add_entry(u, id, t);
    if (!e)
        return NULL;
    e->used = ++u->clock;
    e->refused = t && !place_rows(u, e, t);
    u->refused += e->refused;
    return e;
}

void unwinds_unref(struct unwinds *u, struct unwind_entry *e)
{
    if (!e || --e->users)
        return;
    u->freed += e->place.count > 0;
    if (e->refused)
        forget(u, e);
}

bool unwind_entry_refused(const struct unwind_entry *e)
{
    return e->refused;
}

uint64_t unwinds_freed(const struct unwinds *u)
{
    return u->freed;
}

bool unwind_entry_rows(const struct unwind_entry *e, uint64_t start, uint64_t offset,
                       struct unwind_place *place, uint64_t *bias)
{
    for (uint32_t i = 0; e->place.count && i < e->segment_count; i++) {
        const struct segment *s = &e->segments[i];

        uint64_t into_page = s->offset % PAGE;

        /* A mapping begins with the segment's first page, and so before the segment: in the file
         * that is where the one before it ends, which lld packs closely. */
        if (offset < s->offset - into_page ||
            offset - (s->offset - into_page) >= s->size + into_page)
            continue;
        *place = e->place;
        *bias = start - (s->vaddr + (offset - s->offset) - e->base);
        return true;
    }
    return false;
}

void unwinds_get_stats(const struct unwinds *u, struct unwinds_stats *ret)
{
    const struct unwind_entry *e;
    size_t cursor = 0;

    *ret = (struct unwinds_stats){.tables = table_count(u->by_identity),
                                  .rows = u->rows,
                                  .rows_max = u->sink.rows_max,
                                  .refused = u->refused,
                                  .evicted = u->evicted};
    while ((e = table_next(u->by_identity, &cursor, NULL, NULL)))
        ret->in_use += e->users && e->place.count;
}
