/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/unwindtab.h"

#include "nsresolve/sort.h"
#include "nsresolve/stream.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define ALIGNMENT 16u /* of functions */

/* Addresses and the rows that were added for them, at first in the order of addition. */
struct range {
    uint32_t start, end;
    uint32_t first, count; /* in rows */
};

struct unwindtab_builder {
    struct unwindtab_header header;
    struct segment *segments;
    struct range *ranges;
    size_t range_count, ranges_allocated;
    struct unwind_row *rows;
    size_t row_count, rows_allocated;
};

int unwindtab_builder_new(struct unwindtab_builder **ret)
{
    struct unwindtab_builder *b = calloc(1, sizeof(*b));

    if (!b)
        return -ENOMEM;
    b->header.magic = UNWINDTAB_MAGIC;

    *ret = b;
    return 0;
}

void unwindtab_builder_free(struct unwindtab_builder *b)
{
    if (!b)
        return;
    free(b->segments);
    free(b->ranges);
    free(b->rows);
    free(b);
}

struct unwindtab_header *unwindtab_builder_header(struct unwindtab_builder *b)
{
    return &b->header;
}

int unwindtab_builder_add_segment(struct unwindtab_builder *b, const struct segment *s)
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

/* Room for one more element; doubles. */
static int grow(void **array, size_t *allocated, size_t count, size_t element)
{
    size_t want;
    void *p;

    if (count < *allocated)
        return 0;
    want = MAX(*allocated * 2, (size_t)4096);
    p = reallocarray(*array, want, element);
    if (!p)
        return -ENOMEM;
    *array = p;
    *allocated = want;
    return 0;
}

int unwindtab_builder_range(struct unwindtab_builder *b, uint32_t start, uint32_t end)
{
    int r;

    if (b->range_count >= UNWINDTAB_MAX_RANGES)
        return -EFBIG;
    r = grow((void **)&b->ranges, &b->ranges_allocated, b->range_count, sizeof(*b->ranges));
    if (r < 0)
        return r;
    b->ranges[b->range_count++] =
        (struct range){.start = start, .end = end, .first = (uint32_t)b->row_count};
    return 0;
}

static bool is_same_rule(const struct unwind_row *x, const struct unwind_row *y)
{
    return x->kind == y->kind && x->rbp == y->rbp && x->offset == y->offset;
}

int unwindtab_builder_row(struct unwindtab_builder *b, const struct unwind_row *row)
{
    struct range *range = &b->ranges[b->range_count - 1];
    int r;

    if (range->count && is_same_rule(&b->rows[b->row_count - 1], row))
        return 0;
    if (b->row_count >= UNWINDTAB_MAX_ROWS) {
        range->end = row->pc; /* the rows before it say nothing of the rest */
        return -EFBIG;
    }
    r = grow((void **)&b->rows, &b->rows_allocated, b->row_count, sizeof(*b->rows));
    if (r < 0)
        return r;
    b->rows[b->row_count++] = *row;
    range->count++;
    return 0;
}

/* By start; stable, so that the order of addition survives. */
static int sort_ranges(struct unwindtab_builder *b)
{
    void *ranges = b->ranges;
    int r = sort_by_u32(&ranges, b->range_count, sizeof(*b->ranges), offsetof(struct range, start));

    if (ranges != b->ranges)
        b->ranges_allocated = b->range_count;
    b->ranges = ranges;
    return r;
}

int unwindtab_builder_covered(struct unwindtab_builder *b, struct unwind_span **ret, size_t *count)
{
    struct unwind_span *spans;
    size_t n = 0;
    int r = sort_ranges(b);

    if (r < 0)
        return r;
    spans = reallocarray(NULL, b->range_count + 1, sizeof(*spans));
    if (!spans)
        return -ENOMEM;
    for (size_t i = 0; i < b->range_count; i++) {
        const struct range *range = &b->ranges[i];

        if (range->end <= range->start)
            continue;
        if (n && range->start <= spans[n - 1].end)
            spans[n - 1].end = MAX(spans[n - 1].end, range->end);
        else
            spans[n++] = (struct unwind_span){range->start, range->end};
    }
    *ret = spans;
    *count = n;
    return 0;
}

/* ---- writing ---- */

/* A row is held back until the next one, since a cut may have to turn it into a gap. */
struct out {
    int fd, error;
    size_t used;
    uint32_t count; /* rows put so far */
    struct unwind_row rows[8192];
};

static void flush_rows(struct out *out, size_t keep)
{
    size_t size = (out->used - keep) * sizeof(*out->rows);

    if (out->error == 0)
        out->error = write_full(out->fd, out->rows, size);
    memmove(out->rows, out->rows + out->used - keep, keep * sizeof(*out->rows));
    out->used = keep;
}

static void put_row(struct out *out, const struct unwind_row *row)
{
    if (out->used && is_same_rule(&out->rows[out->used - 1], row))
        return;
    if (out->count == UNWINDTAB_MAX_ROWS) {
        /* What lies behind the cut must not look as if the last row covered it. */
        out->rows[out->used - 1].kind = UNWIND_NONE;
        out->error = -EFBIG;
        return;
    }
    if (out->used == ARRAY_SIZE(out->rows))
        flush_rows(out, 1);
    out->rows[out->used++] = *row;
    out->count++;
}

/* The rows of a range up to limit. */
static void put_range(struct out *out, const struct unwind_row *rows, const struct range *range,
                      uint32_t limit)
{
    if (range->count == 0)
        put_row(out, &(struct unwind_row){.pc = range->start, .kind = UNWIND_NONE});
    for (uint32_t i = 0; i < range->count && rows[range->first + i].pc < limit; i++)
        put_row(out, &rows[range->first + i]);
}

/* What stands between functions to align the next one is never run: as a gap it would only cost two
 * rows, where most functions start as their neighbour ends. */
static bool is_padding(const struct range *range, const struct range *next)
{
    return next->start % ALIGNMENT == 0 && next->start - range->end < ALIGNMENT;
}

/* Takes the ranges in order. */
static int put_all(const struct unwindtab_builder *b, struct out *out)
{
    size_t next;

    for (size_t i = 0; i < b->range_count && out->error == 0; i = next) {
        const struct range *range = &b->ranges[i], *behind;

        for (next = i + 1; next < b->range_count && b->ranges[next].start == range->start;)
            next++;
        behind = next < b->range_count ? &b->ranges[next] : NULL;
        if (behind && range->end >= behind->start) {
            put_range(out, b->rows, range, behind->start);
            continue;
        }
        put_range(out, b->rows, range, range->end);
        if (!behind || !is_padding(range, behind))
            put_row(out, &(struct unwind_row){.pc = range->end, .kind = UNWIND_NONE});
    }
    return out->error;
}

/* The header, in its place, once the number of rows is known. */
static int put_header(const struct unwindtab_builder *b, int fd, off_t start)
{
    int r;

    if (lseek(fd, start, SEEK_SET) < 0)
        return -errno;
    r = write_full(fd, &b->header, sizeof(b->header));
    if (r < 0)
        return r;
    return lseek(fd, 0, SEEK_END) < 0 ? -errno : 0;
}

int unwindtab_builder_write(struct unwindtab_builder *b, int fd)
{
    _cleanup_free_ struct out *out = malloc(sizeof(*out));
    off_t start = lseek(fd, 0, SEEK_CUR);
    int r;

    if (!out)
        return -ENOMEM;
    if (start < 0)
        return -errno;
    r = sort_ranges(b);
    if (r == 0)
        r = write_full(fd, &b->header, sizeof(b->header));
    if (r == 0)
        r = write_full(fd, b->segments, b->header.segment_count * sizeof(*b->segments));
    if (r < 0)
        return r;

    out->fd = fd;
    out->error = 0;
    out->used = out->count = 0;
    if (put_all(b, out) == -EFBIG && out->count == UNWINDTAB_MAX_ROWS) {
        b->header.flags |= UNWINDTAB_TRUNCATED;
        out->error = 0;
    }
    flush_rows(out, 0);
    if (out->error < 0)
        return out->error;
    b->header.row_count = out->count;
    return put_header(b, fd, start);
}
