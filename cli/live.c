/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live.h"

#include "base/buf.h"
#include "cli/tables.h"
#include "cli/width.h"

#include <errno.h>
#include <string.h>

#define COLUMNS_MAX 24

struct live {
    const struct format *format;
    const struct render_options *o;
    FILE *out;

    bool begun; /* the header is written */
    struct column columns[COLUMNS_MAX + 1];
    unsigned widths[COLUMNS_MAX], most[COLUMNS_MAX], drop[COLUMNS_MAX];
    size_t count;
    struct buf dropped; /* names of the columns for which there is no room */
};

int live_new(struct live **ret, const struct format *format, const struct render_options *o,
             FILE *out)
{
    struct live *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->format = format;
    l->o = o;
    l->out = out;
    *ret = l;
    return 0;
}

void live_free(struct live *l)
{
    if (!l)
        return;
    buf_free(&l->dropped);
    free(l);
}

/* ---- columns of fixed width ---- */

static void use_columns(struct live *l, const struct table_spec *spec)
{
    for (const struct table_column *c = spec->columns; c->field && l->count < COLUMNS_MAX; c++) {
        unsigned width = c->width ? c->width : c->shown.min_width;

        if (!c->shown.header)
            continue;
        l->widths[l->count] = MAX(width, width_of(c->shown.header));
        l->most[l->count] = c->most;
        l->drop[l->count] = c->drop;
        l->columns[l->count++] = c->shown;
    }
}

static unsigned used_width(const struct live *l)
{
    unsigned sum = 0;

    for (size_t i = 0; i < l->count; i++)
        sum += l->widths[i] + (i ? COLUMNS_GAP : 0);
    return sum;
}

/* Takes away what matters least, until the others fit. */
static void drop_columns(struct live *l)
{
    while (used_width(l) > l->o->width) {
        size_t least = 0;

        for (size_t i = 1; i < l->count; i++)
            if (l->drop[i] > l->drop[least])
                least = i;
        if (!l->drop[least])
            return;
        buf_addf(&l->dropped, "%s%s", l->dropped.size ? ", " : "", l->columns[least].header);
        l->count--;
        for (size_t i = least; i < l->count; i++) {
            l->columns[i] = l->columns[i + 1];
            l->widths[i] = l->widths[i + 1];
            l->most[i] = l->most[i + 1];
            l->drop[i] = l->drop[i + 1];
        }
    }
}

/* Gives the room that is left to names and addresses, in turn. */
static void widen_columns(struct live *l)
{
    unsigned left = l->o->width - MIN(used_width(l), l->o->width);
    bool given = true;

    while (left && given) {
        given = false;
        for (size_t i = 0; i < l->count && left; i++)
            if (l->widths[i] < l->most[i]) {
                l->widths[i]++;
                left--;
                given = true;
            }
    }
}

static void fit_columns(struct live *l, const struct table_spec *spec)
{
    use_columns(l, spec);
    drop_columns(l);
    widen_columns(l);
    l->columns[l->count] = (struct column){0};
}

/* ---- rows ---- */

/* Writes what stands above the first row. */
static int begin(struct live *l, const struct table_spec *spec)
{
    if (l->begun)
        return 0;
    l->begun = true;
    if (l->format->live == LIVE_ROWS)
        return render_row(spec, NULL, l->out);
    if (l->format->live != LIVE_TABLE)
        return 0;
    fit_columns(l, spec);
    return columns_print_row(l->columns, l->widths, NULL, l->out);
}

static int put_row(struct live *l, const struct table_spec *spec, struct json_object *row)
{
    int r = begin(l, spec);

    if (r < 0)
        return r;
    switch (l->format->live) {
    case LIVE_TABLE:
        return columns_print_row(l->columns, l->widths, row, l->out);
    case LIVE_ROWS:
        return render_row(spec, row, l->out);
    case LIVE_RECORDS:
        render_record(row, l->out);
        return 0;
    case LIVE_NOT:
        return 0;
    }
    return 0;
}

int live_take(struct live *l, const struct model *m, struct json_object *row)
{
    const struct table_spec *spec = table_spec_of(m);
    const char *kind = json_string(row, "record");
    int r;

    if (!spec || !spec->live || !kind || strcmp(kind, spec->record) != 0)
        return 0;
    r = put_row(l, spec, row);
    return r < 0 ? r : 1;
}

int live_finish(struct live *l, const struct model *m)
{
    const struct table_spec *spec = m->yields_records ? table_spec_of(m) : NULL;
    int r;

    if (!spec || !spec->live)
        return l->format->render(m, l->o, l->out);
    if (l->format->live == LIVE_ROWS)
        return begin(l, spec);
    if (l->dropped.size)
        fprintf(l->out, "(no room for %s)\n", l->dropped.data);
    if (l->begun && l->format->live == LIVE_TABLE)
        fputc('\n', l->out);
    r = l->format->render(m, l->o, l->out);
    return r;
}
