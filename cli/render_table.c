/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as tables, histograms as bars.
 */
#include "cli/render.h"

#include "cli/histograms.h"
#include "cli/tables.h"
#include "cli/units.h"
#include "cli/width.h"

#include <errno.h>
#include <float.h>
#include <string.h>

#define COLUMNS_MAX 32

/* Columns of a table, and how wide each must be at least. */
struct shown {
    struct column columns[COLUMNS_MAX];
    unsigned widths[COLUMNS_MAX];
    double weights[COLUMNS_MAX]; /* what would be lost with it; columns that say who it is: all */
    size_t count;
};

static void use_column(struct shown *s, const struct table_column *c, struct json_object *rows,
                       const struct json_object *totals)
{
    size_t count = json_object_array_length(rows);
    unsigned widest = 0;
    bool used = false;

    for (size_t i = 0; i <= count; i++) {
        _cleanup_buf_ struct buf cell = {0};

        c->shown.text(&cell, i < count ? json_object_array_get_idx(rows, i) : totals);
        used = used || cell.size;
        widest = MAX(widest, cell.size ? width_of(cell.data) : 1);
    }
    /* Columns in which no row has anything are left out. */
    if (!used || s->count + 1 >= COLUMNS_MAX)
        return;
    widest = MAX(widest, width_of(c->shown.header));
    s->widths[s->count] = c->shown.min_width ? MIN(widest, c->shown.min_width) : widest;
    if (c->drop)
        s->weights[s->count] = -(double)c->drop;
    else
        s->weights[s->count] =
            c->total == TOTAL_NONE ? DBL_MAX : (double)json_count(totals, c->field);
    s->columns[s->count++] = c->shown;
}

/* Takes away what says least, until the others fit, and says so. */
static void drop_columns(struct shown *s, unsigned width, struct buf *dropped)
{
    for (;;) {
        size_t sum = 0, least = 0;

        for (size_t i = 0; i < s->count; i++) {
            sum += s->widths[i] + (i ? COLUMNS_GAP : 0);
            if (s->weights[i] < s->weights[least])
                least = i;
        }
        if (sum <= width || s->count < 2 || s->weights[least] >= DBL_MAX)
            break;
        buf_addf(dropped, "%s%s", dropped->size ? ", " : "", s->columns[least].header);
        s->count--;
        for (size_t i = least; i < s->count; i++) {
            s->columns[i] = s->columns[i + 1];
            s->widths[i] = s->widths[i + 1];
            s->weights[i] = s->weights[i + 1];
        }
    }
    s->columns[s->count] = (struct column){0};
}

/* Leaves the first spec->top rows; returns how many it took away. */
static size_t cut_rows(const struct table_spec *spec, struct json_object *rows)
{
    size_t count = json_object_array_length(rows);

    if (!spec->top || count <= spec->top)
        return 0;
    json_object_array_del_idx(rows, spec->top, count - spec->top);
    return count - spec->top;
}

static void put_left_out(size_t cut, const char *dropped, FILE *out)
{
    _cleanup_buf_ struct buf b = {0};

    units_add_grouped(&b, cut);
    if (cut && b.data)
        fprintf(out, "(and %s more; the total is of all)\n", b.data);
    if (dropped)
        fprintf(out, "(no room for %s)\n", dropped);
}

static int put_rows(const struct model *m, const struct table_spec *spec,
                    const struct render_options *o, bool headed, FILE *out)
{
    _cleanup_json_ struct json_object *rows = table_rows(m, spec), *totals = NULL;
    _cleanup_buf_ struct buf dropped = {0};
    struct shown shown = {.count = 0};
    size_t cut;
    int r;

    if (!rows)
        return -ENOMEM;
    if (json_object_array_length(rows) == 0)
        return 0;
    totals = table_totals(m, spec, rows);
    if (!totals)
        return -ENOMEM;
    cut = cut_rows(spec, rows);
    for (const struct table_column *c = spec->columns; c->field; c++)
        if (c->shown.header)
            use_column(&shown, c, rows, totals);
    drop_columns(&shown, o->width, &dropped);
    if (json_object_array_length(rows) > 1)
        json_object_array_add(rows, json_object_get(totals));
    if (headed)
        fprintf(out, "%s:\n", spec->heading);
    r = columns_print(shown.columns, rows, o->width, out);
    if (r == 0)
        put_left_out(cut, dropped.data, out);
    return r;
}

int render_table(const struct model *m, const struct render_options *o, FILE *out)
{
    const struct table_spec *spec = table_spec_of(m);
    size_t n = m->records ? json_object_array_length(m->records) : 0;
    uint64_t unused;
    int r = 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *row = json_object_array_get_idx(m->records, i);

        if (json_string(row, "histogram") && !json_number(row, "from_ms", UINT64_MAX, &unused))
            histogram_print(row, out);
    }
    if (!spec)
        return 0;
    r = put_rows(m, spec, o, false, out);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(spec->others) && spec->others[i]; i++)
        r = put_rows(m, table_spec_find(spec->others[i]), o, true, out);
    return r;
}
