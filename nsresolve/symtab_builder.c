/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/symtab.h"

#include "base/buf.h"
#include "nsresolve/sort.h"
#include "nsresolve/stream.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* One candidate. After the sweep, out and used tell where its name went. */
struct entry {
    uint64_t start;
    uint32_t size;
    uint32_t name; /* offset into the pool */
    union {
        uint32_t rank;
        uint32_t out; /* offset into the strings that are written */
    };
    uint16_t preference;
    uint8_t source;
    uint8_t open : 1;
    uint8_t suffix : 2; /* enum symtab_suffix */
    uint8_t used : 2;   /* 0: not shown, 1: its name has a place, 2: its name is written */
};

/* A stretch of addresses and the candidate that won it. */
struct piece {
    uint64_t start;
    uint32_t size;
    uint32_t entry;
};

struct symtab_builder {
    struct symtab_header header;
    struct segment *segments;
    struct entry *entries;
    size_t count, allocated;
    struct buf pool;
    struct piece *pieces;
    size_t piece_count, pieces_allocated;
    uint32_t *heap; /* of entry indexes, the winner first */
    size_t heap_count, heap_allocated;
};

int symtab_builder_new(struct symtab_builder **ret)
{
    struct symtab_builder *b = calloc(1, sizeof(*b));

    if (!b)
        return -ENOMEM;
    b->header.magic = SYMTAB_MAGIC;

    *ret = b;
    return 0;
}

void symtab_builder_free(struct symtab_builder *b)
{
    if (!b)
        return;
    buf_free(&b->pool);
    free(b->segments);
    free(b->entries);
    free(b->pieces);
    free(b->heap);
    free(b);
}

struct symtab_header *symtab_builder_header(struct symtab_builder *b)
{
    return &b->header;
}

/* Room for one more element; doubles. */
static int grow(void **array, size_t *allocated, size_t count, size_t element)
{
    size_t want;
    void *p;

    if (count < *allocated)
        return 0;
    want = MAX(*allocated * 2, (size_t)256);
    p = reallocarray(*array, want, element);
    if (!p)
        return -ENOMEM;
    *array = p;
    *allocated = want;
    return 0;
}

int symtab_builder_add_segment(struct symtab_builder *b, const struct segment *s)
{
    void *p;

    if (b->header.segment_count >= SYMTAB_MAX_SEGMENTS)
        return -EFBIG;
    p = reallocarray(b->segments, b->header.segment_count + 1, sizeof(*s));
    if (!p)
        return -ENOMEM;
    b->segments = p;
    b->segments[b->header.segment_count++] = *s;
    return 0;
}

char *symtab_builder_names(struct symtab_builder *b, size_t size, uint32_t *offset, int *error)
{
    size_t at = b->pool.size;
    char *data;

    if (size > SYMTAB_MAX_POOL || at + size + 1 > SYMTAB_MAX_POOL) {
        *error = -EFBIG;
        return NULL;
    }
    data = buf_reserve(&b->pool, size + 1);
    if (!data) {
        *error = -ENOMEM;
        return NULL;
    }
    data[size] = '\0';
    b->pool.size += size + 1;
    *offset = (uint32_t)at;
    return data;
}

int symtab_builder_add_entry(struct symtab_builder *b, const struct symtab_entry *e)
{
    uint64_t size = MIN(e->size, (uint64_t)UINT32_MAX);
    int r;

    size = MIN(size, UINT64_MAX - e->start);
    if (size == 0 || e->name >= b->pool.size || b->pool.data[e->name] == '\0')
        return 0;
    if (b->count >= SYMTAB_MAX_SYMBOLS)
        return -EFBIG;
    r = grow((void **)&b->entries, &b->allocated, b->count, sizeof(*b->entries));
    if (r < 0)
        return r;

    b->entries[b->count++] = (struct entry){
        .start = e->start,
        .size = (uint32_t)size,
        .name = e->name,
        .rank = e->rank,
        .preference = e->preference,
        .source = e->source,
        .open = e->open,
        .suffix = e->suffix,
    };
    return 0;
}

int symtab_builder_add(struct symtab_builder *b, uint64_t start, uint64_t size, unsigned rank,
                       const char *name, size_t name_size)
{
    struct symtab_entry e = {.start = start, .size = size, .rank = rank};
    char *data;
    int r = 0;

    name_size = MIN(name_size, (size_t)SYMTAB_NAME_MAX);
    if (size == 0 || name_size == 0)
        return 0;
    data = symtab_builder_names(b, name_size, &e.name, &r);
    if (!data)
        return r;
    memcpy(data, name, name_size);
    return symtab_builder_add_entry(b, &e);
}

/* By start; stable, so that the order of addition survives. */
static int sort_entries(struct symtab_builder *b)
{
    void *entries = b->entries;
    int r = sort_by_u64(&entries, b->count, sizeof(*b->entries), offsetof(struct entry, start));

    if (entries != b->entries)
        b->allocated = b->count;
    b->entries = entries;
    return r;
}

/* ---- cutting: one sweep over the starts, with a heap of those that cover the place ---- */

static size_t name_length(const struct symtab_builder *b, const struct entry *e)
{
    return strnlen(b->pool.data + e->name, SYMTAB_NAME_MAX);
}

/* Of two names for the same: negative when x is the shorter one, or the first in the alphabet. */
static int compare_names(const struct symtab_builder *b, const struct entry *x,
                         const struct entry *y)
{
    size_t size = name_length(b, x), other = name_length(b, y);

    if (size != other)
        return size < other ? -1 : 1;
    return memcmp(b->pool.data + x->name, b->pool.data + y->name, size);
}

static bool wins(const struct symtab_builder *b, uint32_t x, uint32_t y)
{
    const struct entry *ex = &b->entries[x], *ey = &b->entries[y];

    if (ex->open != ey->open)
        return !ex->open;
    if (ex->rank != ey->rank)
        return ex->rank > ey->rank;
    if (ex->start == ey->start && ex->preference != ey->preference)
        return ex->preference > ey->preference;
    if (ex->start == ey->start && ex->preference) {
        int order = compare_names(b, ex, ey);

        if (order != 0)
            return order < 0;
    }
    return x > y;
}

static int heap_push(struct symtab_builder *b, uint32_t entry)
{
    size_t i;
    int r = grow((void **)&b->heap, &b->heap_allocated, b->heap_count, sizeof(*b->heap));

    if (r < 0)
        return r;
    for (i = b->heap_count++; i > 0; i = (i - 1) / 2) {
        uint32_t parent = b->heap[(i - 1) / 2];

        if (!wins(b, entry, parent))
            break;
        b->heap[i] = parent;
    }
    b->heap[i] = entry;
    return 0;
}

static void heap_pop(struct symtab_builder *b)
{
    uint32_t last = b->heap[--b->heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= b->heap_count)
            break;
        if (child + 1 < b->heap_count && wins(b, b->heap[child + 1], b->heap[child]))
            child++;
        if (!wins(b, b->heap[child], last))
            break;
        b->heap[i] = b->heap[child];
        i = child;
    }
    b->heap[i] = last;
}

/* The winner at position, or NULL; forgets those that end before it. */
static const struct entry *heap_top(struct symtab_builder *b, uint64_t position)
{
    while (b->heap_count) {
        const struct entry *e = &b->entries[b->heap[0]];

        if (e->start + e->size > position)
            return e;
        heap_pop(b);
    }
    return NULL;
}

static int emit(struct symtab_builder *b, uint32_t entry, uint64_t from, uint64_t to)
{
    struct piece *last = b->piece_count ? &b->pieces[b->piece_count - 1] : NULL;
    int r;

    if (last && last->entry == entry && last->start + last->size == from) {
        last->size += (uint32_t)(to - from);
        return 0;
    }
    r = grow((void **)&b->pieces, &b->pieces_allocated, b->piece_count, sizeof(*b->pieces));
    if (r < 0)
        return r;
    b->pieces[b->piece_count++] =
        (struct piece){.start = from, .size = (uint32_t)(to - from), .entry = entry};
    return 0;
}

/* Hands out the addresses from *position up to limit. */
static int advance(struct symtab_builder *b, uint64_t *position, uint64_t limit)
{
    const struct entry *e;

    while (*position < limit && (e = heap_top(b, *position))) {
        uint64_t to = MIN(e->start + e->size, limit);
        int r = emit(b, (uint32_t)(e - b->entries), *position, to);

        if (r < 0)
            return r;
        *position = to;
    }
    *position = limit;
    return 0;
}

/* Adds the entries first..end, which share a start, to those that cover it. */
static int enter_group(struct symtab_builder *b, size_t first, size_t end)
{
    const struct entry *over = heap_top(b, b->entries[first].start);
    bool sized = over && !over->open;

    for (size_t i = first; i < end; i++)
        sized |= !b->entries[i].open;

    for (size_t i = first; i < end; i++) {
        struct entry *e = &b->entries[i];
        int r;

        if (e->open && (sized || (b->header.flags & SYMTAB_TRUNCATED)))
            continue;
        if (e->open && end < b->count)
            e->size = (uint32_t)MIN((uint64_t)e->size, b->entries[end].start - e->start);
        r = heap_push(b, (uint32_t)i);
        if (r < 0)
            return r;
    }
    return 0;
}

static int cut_overlaps(struct symtab_builder *b)
{
    uint64_t position = 0;
    size_t end;
    int r;

    for (size_t first = 0; first < b->count; first = end) {
        uint64_t start = b->entries[first].start;

        for (end = first + 1; end < b->count && b->entries[end].start == start;)
            end++;
        r = advance(b, &position, start);
        if (r == 0)
            r = enter_group(b, first, end);
        if (r < 0)
            return r;
    }
    return advance(b, &position, UINT64_MAX);
}

/* ---- writing ---- */

static const char *const suffixes[] = {
    [SYMTAB_SUFFIX_NONE] = "",
    [SYMTAB_SUFFIX_PLT] = "@plt",
    [SYMTAB_SUFFIX_IFUNC] = "@ifunc",
};

/* Gives each name that is shown its place in the strings: once, in the order of first use. */
static int place_names(struct symtab_builder *b)
{
    uint64_t bytes = sizeof(b->header) + b->header.segment_count * sizeof(*b->segments) +
                     b->piece_count * sizeof(struct symtab_symbol);
    uint64_t strings = 1;

    for (size_t i = 0; i < b->piece_count; i++) {
        struct entry *e = &b->entries[b->pieces[i].entry];

        if (e->used)
            continue;
        e->used = 1;
        e->out = (uint32_t)strings;
        strings += name_length(b, e) + strlen(suffixes[e->suffix]) + 1;
        if (bytes + strings > SYMTAB_MAX_BYTES)
            return -EFBIG;
    }
    if (bytes + strings > SYMTAB_MAX_BYTES)
        return -EFBIG;

    b->header.symbol_count = (uint32_t)b->piece_count;
    b->header.strings_size = strings;
    return 0;
}

static void put_names(struct symtab_builder *b, struct stream_out *out)
{
    stream_out_put(out, "", 1);
    for (size_t i = 0; i < b->piece_count; i++) {
        struct entry *e = &b->entries[b->pieces[i].entry];

        if (e->used == 2)
            continue;
        e->used = 2;
        stream_out_put(out, b->pool.data + e->name, name_length(b, e));
        stream_out_put(out, suffixes[e->suffix], strlen(suffixes[e->suffix]) + 1);
    }
}

int symtab_builder_write(struct symtab_builder *b, int fd)
{
    _cleanup_free_ struct stream_out *out = NULL;
    int r;

    r = sort_entries(b);
    if (r == 0)
        r = cut_overlaps(b);
    if (r == 0)
        r = place_names(b);
    if (r < 0)
        return r;

    out = malloc(sizeof(*out));
    if (!out)
        return -ENOMEM;
    stream_out_init(out, fd);
    stream_out_put(out, &b->header, sizeof(b->header));
    stream_out_put(out, b->segments, b->header.segment_count * sizeof(*b->segments));
    for (size_t i = 0; i < b->piece_count; i++) {
        const struct piece *p = &b->pieces[i];
        const struct entry *e = &b->entries[p->entry];
        struct symtab_symbol s = {.start = p->start,
                                  .size = p->size,
                                  .name = e->out & 0xfffffff,
                                  .source = e->source & 0xf};

        stream_out_put(out, &s, sizeof(s));
    }
    put_names(b, out);
    return stream_out_flush(out);
}
