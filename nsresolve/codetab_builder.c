/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/codetab.h"

#include "base/buf.h"
#include "nsresolve/sort.h"
#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

struct entry {
    uint64_t start, born_ns;
    uint32_t size, name;
    uint32_t order; /* of the calls */
};

struct codetab_builder {
    struct codetab_header header;
    struct entry *entries;
    size_t count, allocated;
    struct buf pool;
    uint64_t *edges; /* where cells begin or end, sorted */
    size_t edge_count;
    const struct entry **active; /* those that cover the place, oldest first */
    size_t active_count, active_allocated;
    struct codetab_row *rows;
    size_t row_count, rows_allocated;
};

int codetab_builder_new(struct codetab_builder **ret)
{
    struct codetab_builder *b = calloc(1, sizeof(*b));

    if (!b)
        return -ENOMEM;
    b->header.magic = CODETAB_MAGIC;
    buf_addc(&b->pool, '\0');
    *ret = b;
    return 0;
}

void codetab_builder_free(struct codetab_builder *b)
{
    if (!b)
        return;
    buf_free(&b->pool);
    free(b->entries);
    free(b->edges);
    free(b->active);
    free(b->rows);
    free(b);
}

struct codetab_header *codetab_builder_header(struct codetab_builder *b)
{
    return &b->header;
}

/* Room for one more element; doubles. */
static int grow(void **array, size_t *allocated, size_t count, size_t element)
{
    size_t want = MAX(*allocated * 2, (size_t)256);
    void *p;

    if (count < *allocated)
        return 0;
    p = reallocarray(*array, want, element);
    if (!p)
        return -ENOMEM;
    *array = p;
    *allocated = want;
    return 0;
}

int codetab_builder_name(struct codetab_builder *b, const char *name, size_t size, uint32_t *ret)
{
    size = strnlen(name, MIN(size, (size_t)CODETAB_NAME_MAX));
    if (size == 0) {
        *ret = 0;
        return 0;
    }
    if (b->pool.size + size + 1 > CODETAB_MAX_POOL)
        return -EFBIG;
    *ret = (uint32_t)b->pool.size;
    buf_add(&b->pool, name, size);
    buf_addc(&b->pool, '\0');
    return buf_error(&b->pool);
}

int codetab_builder_add(struct codetab_builder *b, uint64_t start, uint32_t size, uint64_t born_ns,
                        uint32_t name)
{
    int r;

    if (size == 0 || size > UINT64_MAX - start)
        return 0;
    if (b->count >= CODETAB_MAX_ENTRIES)
        return -EFBIG;
    r = grow((void **)&b->entries, &b->allocated, b->count, sizeof(*b->entries));
    if (r < 0)
        return r;
    b->entries[b->count] = (struct entry){
        .start = start,
        .size = size,
        .born_ns = MIN(born_ns, CODETAB_TIME_MAX),
        .name = name,
        .order = (uint32_t)b->count,
    };
    b->count++;
    return 0;
}

/* ---- cutting: one sweep over the edges ---- */

static int by_start(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int make_edges(struct codetab_builder *b)
{
    size_t n = 0;
    int r;

    b->edges = reallocarray(NULL, MAX(b->count * 2, (size_t)1), sizeof(*b->edges));
    if (!b->edges)
        return -ENOMEM;
    for (size_t i = 0; i < b->count; i++) {
        b->edges[n++] = b->entries[i].start;
        b->edges[n++] = b->entries[i].start + b->entries[i].size;
    }
    r = sort_stable(b->edges, n, sizeof(*b->edges), by_value);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || b->edges[i] != b->edges[b->edge_count - 1])
            b->edges[b->edge_count++] = b->edges[i];
    return r;
}

static bool is_older(const struct entry *x, const struct entry *y)
{
    return x->born_ns != y->born_ns ? x->born_ns < y->born_ns : x->order < y->order;
}

/* Enters an entry into those that cover the place. */
static int enter(struct codetab_builder *b, const struct entry *e)
{
    size_t at = b->active_count;
    int r = grow((void **)&b->active, &b->active_allocated, b->active_count, sizeof(*b->active));

    if (r < 0)
        return r;
    for (; at > 0 && is_older(e, b->active[at - 1]); at--)
        b->active[at] = b->active[at - 1];
    b->active[at] = e;
    b->active_count++;
    return 0;
}

static void leave(struct codetab_builder *b, uint64_t position)
{
    size_t n = 0;

    for (size_t i = 0; i < b->active_count; i++)
        if (b->active[i]->start + b->active[i]->size > position)
            b->active[n++] = b->active[i];
    b->active_count = n;
}

/* A row for each that ever stood in this cell, but for those that another replaced at once. */
static int emit_cell(struct codetab_builder *b, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < b->active_count; i++) {
        const struct entry *e = b->active[i];
        int r;

        if (i + 1 < b->active_count && b->active[i + 1]->born_ns == e->born_ns)
            continue;
        if (b->row_count == CODETAB_MAX_ROWS)
            return -EFBIG;
        r = grow((void **)&b->rows, &b->rows_allocated, b->row_count, sizeof(*b->rows));
        if (r < 0)
            return r;
        b->rows[b->row_count++] = (struct codetab_row){
            .start = from, .born_ns = e->born_ns, .size = (uint32_t)(to - from), .name = e->name};
    }
    return 0;
}

static int cut_cells(struct codetab_builder *b)
{
    size_t next = 0;

    for (size_t i = 0; i + 1 < b->edge_count; i++) {
        int r = 0;

        leave(b, b->edges[i]);
        while (r == 0 && next < b->count && b->entries[next].start == b->edges[i])
            r = enter(b, &b->entries[next++]);
        if (r == 0)
            r = emit_cell(b, b->edges[i], b->edges[i + 1]);
        if (r < 0)
            return r;
    }
    return 0;
}

int codetab_builder_write(struct codetab_builder *b, int fd)
{
    _cleanup_free_ struct stream_out *out = malloc(sizeof(*out));
    int r;

    if (!out)
        return -ENOMEM;
    r = sort_stable(b->entries, b->count, sizeof(*b->entries), by_start);
    if (r == 0)
        r = make_edges(b);
    if (r == 0)
        r = cut_cells(b);
    if (r == -EFBIG)
        b->header.flags |= CODETAB_TRUNCATED;
    else if (r < 0)
        return r;
    b->header.row_count = (uint32_t)b->row_count;
    b->header.strings_size = b->pool.size;
    stream_out_init(out, fd);
    stream_out_put(out, &b->header, sizeof(b->header));
    stream_out_put(out, b->rows, b->row_count * sizeof(*b->rows));
    stream_out_put(out, b->pool.data, b->pool.size);
    return stream_out_flush(out);
}
