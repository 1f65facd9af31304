/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/inlined.h"

#include "base/table.h"
#include "base/text.h"

#include <errno.h>

#define ROWS_MAX 64

/* Frames of one file that are not expanded for one cause. */
struct row {
    const struct frame *example;
    uint64_t frames;
};

struct inlined {
    uint64_t asked, expanded; /* frames */
    struct table *rows;
};

int inlined_new(struct inlined **ret)
{
    _cleanup_(inlined_freep) struct inlined *n = calloc(1, sizeof(*n));

    if (!n || table_new(&n->rows, free) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(n);
    return 0;
}

void inlined_free(struct inlined *n)
{
    if (!n)
        return;
    table_free(n->rows);
    free(n);
}

void inlined_add(struct inlined *n, const struct frame *f, uint64_t value)
{
    struct {
        const char *file, *detail;
        uint64_t cause;
    } key = {f->file, f->inlines_detail, f->inlines};
    struct row *row;

    if (f->inlines == INLINES_NOT_ASKED)
        return;
    n->asked += value;
    if (f->inlines == INLINES_EXPANDED) {
        n->expanded += value;
        return;
    }
    row = table_get(n->rows, &key, sizeof(key));
    if (!row) {
        row = calloc(1, sizeof(*row));
        if (!row || table_put(n->rows, &key, sizeof(key), row) < 0) {
            free(row);
            return;
        }
        row->example = f;
    }
    row->frames += value;
}

static int by_frames(const void *a, const void *b)
{
    const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;

    return x->frames > y->frames ? -1 : x->frames < y->frames;
}

static void write_row(const struct row *row, struct buf *out)
{
    const struct frame *f = row->example;

    buf_addf(out, "{\"cause\":\"%s\",\"frames\":%llu", frame_inlines_name(f->inlines),
             (unsigned long long)row->frames);
    if (f->file) {
        buf_adds(out, ",\"file\":");
        text_add_json(out, f->file);
    }
    if (f->inlines_detail) {
        buf_adds(out, ",\"detail\":");
        text_add_json(out, f->inlines_detail);
    }
    if (f->build_id_size) {
        buf_adds(out, ",\"build_id\":\"");
        for (int i = 0; i < f->build_id_size; i++)
            buf_addf(out, "%02x", f->build_id[i]);
        buf_addc(out, '"');
    }
    buf_adds(out, ",\"remedy\":");
    text_add_json(out, frame_inlines_remedy(f->inlines));
    buf_addc(out, '}');
}

void inlined_write(const struct inlined *n, struct buf *out)
{
    _cleanup_free_ struct row **sorted =
        calloc(MAX(table_count(n->rows), (size_t)1), sizeof(*sorted));
    size_t cursor = 0, count = 0;
    struct row *row;

    if (!n->asked)
        return;
    while (sorted && (row = table_next(n->rows, &cursor, NULL, NULL)))
        sorted[count++] = row;
    if (count)
        qsort(sorted, count, sizeof(struct row *), by_frames);
    buf_addf(out, ",\"inlines\":{\"asked\":%llu,\"expanded\":%llu,\"not_expanded\":[",
             (unsigned long long)n->asked, (unsigned long long)n->expanded);
    for (size_t i = 0; i < MIN(count, (size_t)ROWS_MAX); i++) {
        buf_adds(out, i ? "," : "");
        write_row(sorted[i], out);
    }
    buf_adds(out, "]}");
}
