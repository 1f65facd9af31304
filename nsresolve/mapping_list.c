/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/mapping_list.h"

#include <errno.h>
#include <string.h>

#define CHUNK_MAX 64u
#define CHUNK_FIRST 8u

struct mapping_chunk {
    unsigned refs;
    unsigned count, allocated;
    struct mapping items[];
};

static size_t chunk_size(unsigned allocated)
{
    return sizeof(struct mapping_chunk) + allocated * sizeof(struct mapping);
}

static struct mapping_chunk *chunk_new(unsigned allocated)
{
    struct mapping_chunk *c = malloc(chunk_size(allocated));

    if (c)
        *c = (struct mapping_chunk){.refs = 1, .allocated = allocated};
    return c;
}

static void chunk_unref(struct mapping_chunk *c)
{
    if (--c->refs == 0)
        free(c);
}

void mapping_list_clear(struct mapping_list *l)
{
    for (size_t i = 0; i < l->chunk_count; i++)
        chunk_unref(l->chunks[i]);
    free(l->chunks);
    *l = (struct mapping_list){0};
}

int mapping_list_copy(struct mapping_list *to, const struct mapping_list *from)
{
    struct mapping_chunk **chunks;

    if (from->chunk_count == 0)
        return 0;
    chunks = malloc(from->chunk_count * sizeof(struct mapping_chunk *));
    if (!chunks)
        return -ENOMEM;
    for (size_t i = 0; i < from->chunk_count; i++) {
        chunks[i] = from->chunks[i];
        chunks[i]->refs++;
    }
    *to = (struct mapping_list){.chunks = chunks,
                                .chunk_count = from->chunk_count,
                                .chunks_allocated = from->chunk_count,
                                .count = from->count};
    return 0;
}

struct mapping_place mapping_list_behind(const struct mapping_list *l, uint64_t addr)
{
    size_t lo = 0, hi = l->chunk_count;
    struct mapping_place at;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct mapping_chunk *c = l->chunks[mid];

        if (c->items[c->count - 1].end <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    at = (struct mapping_place){.chunk = lo};
    if (lo == l->chunk_count)
        return at;
    for (hi = l->chunks[lo]->count; at.index < hi;) {
        size_t mid = at.index + (hi - at.index) / 2;

        if (l->chunks[lo]->items[mid].end <= addr)
            at.index = mid + 1;
        else
            hi = mid;
    }
    return at;
}

const struct mapping *mapping_list_get(const struct mapping_list *l, struct mapping_place at)
{
    return at.chunk < l->chunk_count ? &l->chunks[at.chunk]->items[at.index] : NULL;
}

struct mapping_place mapping_list_next(const struct mapping_list *l, struct mapping_place at)
{
    if (++at.index == l->chunks[at.chunk]->count)
        at = (struct mapping_place){.chunk = at.chunk + 1};
    return at;
}

/* ---- changes ---- */

/* A chunk of this list alone, with room for one more unless it is full. */
static struct mapping_chunk *own(struct mapping_list *l, size_t i, bool grow)
{
    struct mapping_chunk *c = l->chunks[i], *copy;
    unsigned want = c->allocated;

    if (grow && c->count == want)
        want = MIN(want * 2, CHUNK_MAX);
    if (c->refs == 1 && want == c->allocated)
        return c;
    copy = chunk_new(want);
    if (!copy)
        return NULL;
    memcpy(copy->items, c->items, c->count * sizeof(c->items[0]));
    copy->count = c->count;
    chunk_unref(c);
    l->chunks[i] = copy;
    return copy;
}

struct mapping *mapping_list_edit(struct mapping_list *l, struct mapping_place at)
{
    struct mapping_chunk *c = own(l, at.chunk, false);

    return c ? &c->items[at.index] : NULL;
}

/* Takes the chunk on success. */
static int insert_chunk(struct mapping_list *l, size_t at, struct mapping_chunk *c)
{
    if (l->chunk_count == l->chunks_allocated) {
        size_t want = MAX(l->chunks_allocated * 2, (size_t)1);
        struct mapping_chunk **chunks = realloc(l->chunks, want * sizeof(struct mapping_chunk *));

        if (!chunks)
            return -ENOMEM;
        l->chunks = chunks;
        l->chunks_allocated = want;
    }
    memmove(&l->chunks[at + 1], &l->chunks[at], (l->chunk_count - at) * sizeof(*l->chunks));
    l->chunks[at] = c;
    l->chunk_count++;
    return 0;
}

static int split(struct mapping_list *l, struct mapping_place *at)
{
    struct mapping_chunk *c = own(l, at->chunk, false), *upper = chunk_new(CHUNK_MAX);
    unsigned half = CHUNK_MAX / 2;

    if (!c || !upper || insert_chunk(l, at->chunk + 1, upper) < 0) {
        free(upper);
        return -ENOMEM;
    }
    upper->count = c->count - half;
    memcpy(upper->items, &c->items[half], upper->count * sizeof(c->items[0]));
    c->count = half;
    if (at->index > half)
        *at = (struct mapping_place){.chunk = at->chunk + 1, .index = at->index - half};
    return 0;
}

/* A place that is in a chunk with room for one more. */
static int make_room(struct mapping_list *l, struct mapping_place *at)
{
    struct mapping_chunk *c;

    if (l->chunk_count == 0) {
        c = chunk_new(CHUNK_FIRST);
        if (c && insert_chunk(l, 0, c) == 0)
            return 0;
        free(c);
        return -ENOMEM;
    }
    /* Behind everything: at the end of the last chunk. */
    if (at->chunk == l->chunk_count) {
        at->chunk--;
        at->index = l->chunks[at->chunk]->count;
    }
    if (l->chunks[at->chunk]->count == CHUNK_MAX && split(l, at) < 0)
        return -ENOMEM;
    return own(l, at->chunk, true) ? 0 : -ENOMEM;
}

int mapping_list_insert(struct mapping_list *l, struct mapping_place *at, const struct mapping *m)
{
    struct mapping_chunk *c;
    int r = make_room(l, at);

    if (r < 0)
        return r;
    c = l->chunks[at->chunk];
    memmove(&c->items[at->index + 1], &c->items[at->index],
            (c->count - at->index) * sizeof(c->items[0]));
    c->items[at->index] = *m;
    c->count++;
    l->count++;
    return 0;
}

static void drop_chunk(struct mapping_list *l, size_t at)
{
    chunk_unref(l->chunks[at]);
    l->chunk_count--;
    memmove(&l->chunks[at], &l->chunks[at + 1], (l->chunk_count - at) * sizeof(*l->chunks));
}

/* Two neighbours that are half a chunk together become one: however mappings come and go, there
 * are never many more chunks than they need. Without memory they stay two. */
static void merge(struct mapping_list *l, size_t lower, struct mapping_place *at)
{
    struct mapping_chunk *merged;
    const struct mapping_chunk *a, *b;

    if (lower + 1 >= l->chunk_count)
        return;
    a = l->chunks[lower];
    b = l->chunks[lower + 1];
    if (a->count + b->count > CHUNK_MAX / 2)
        return;
    merged = chunk_new(CHUNK_MAX);
    if (!merged)
        return;
    memcpy(merged->items, a->items, a->count * sizeof(a->items[0]));
    memcpy(&merged->items[a->count], b->items, b->count * sizeof(b->items[0]));
    merged->count = a->count + b->count;
    if (at->chunk == lower + 1)
        *at = (struct mapping_place){.chunk = lower, .index = a->count + at->index};
    else if (at->chunk > lower + 1)
        at->chunk--;
    chunk_unref(l->chunks[lower]);
    l->chunks[lower] = merged;
    drop_chunk(l, lower + 1);
}

int mapping_list_remove(struct mapping_list *l, struct mapping_place *at)
{
    struct mapping_chunk *c = own(l, at->chunk, false);
    size_t chunk = at->chunk;

    if (!c)
        return -ENOMEM;
    c->count--;
    l->count--;
    memmove(&c->items[at->index], &c->items[at->index + 1],
            (c->count - at->index) * sizeof(c->items[0]));
    if (c->count == 0) {
        drop_chunk(l, chunk);
        return 0;
    }
    if (at->index == c->count)
        *at = (struct mapping_place){.chunk = chunk + 1};
    merge(l, chunk, at);
    if (chunk > 0)
        merge(l, chunk - 1, at);
    return 0;
}
