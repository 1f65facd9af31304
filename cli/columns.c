/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/columns.h"

#include "base/text.h"
#include "cli/width.h"

#include <errno.h>
#include <string.h>

/* Cells of all rows, row by row, and how wide each column wants to be. */
struct grid {
    char **cells;
    unsigned *widths;
    size_t rows, columns;
};

static void grid_free(struct grid *g)
{
    for (size_t i = 0; g->cells && i < g->rows * g->columns; i++)
        free(g->cells[i]);
    free(g->cells);
    free(g->widths);
}

/* The cell's text, safe for a terminal; the caller frees it. NULL when out of memory. */
static char *cell_of(const struct column *c, const struct json_object *record)
{
    _cleanup_buf_ struct buf raw = {0}, safe = {0};

    c->text(&raw, record);
    text_add_terminal(&safe, raw.size ? raw.data : "-");
    return buf_error(&raw) < 0 || buf_error(&safe) < 0 ? NULL : TAKE_PTR(safe.data);
}

static int fill_cell(struct grid *g, size_t row, size_t column, const struct column *c,
                     const struct json_object *record)
{
    char *cell = cell_of(c, record);

    if (!cell)
        return -ENOMEM;
    g->widths[column] = MAX(g->widths[column], width_of(cell));
    g->cells[row * g->columns + column] = cell;
    return 0;
}

/* Takes columns away from the widest column that may shrink, until all fit. */
static void fit(struct grid *g, const struct column *columns, unsigned width)
{
    for (;;) {
        size_t sum = 0, widest = g->columns;

        for (size_t i = 0; i < g->columns; i++) {
            sum += g->widths[i] + (i ? COLUMNS_GAP : 0);
            if (columns[i].min_width && g->widths[i] > columns[i].min_width &&
                (widest == g->columns || g->widths[i] > g->widths[widest]))
                widest = i;
        }
        if (sum <= width || widest == g->columns)
            return;
        g->widths[widest]--;
    }
}

static void add_cell(struct buf *line, const struct column *c, const char *cell, unsigned width,
                     bool last)
{
    size_t start = line->size;
    unsigned used;

    width_add_cut(line, cell, width);
    used = line->data ? width_of(line->data + start) : 0;
    if (c->right) {
        line->size = start;
        buf_addf(line, "%*s", (int)(width - MIN(used, width)), "");
        width_add_cut(line, cell, width);
    } else if (!last) {
        buf_addf(line, "%*s", (int)(width - MIN(used, width)), "");
    }
    if (!last)
        buf_addf(line, "%*s", COLUMNS_GAP, "");
}

static void put_row(const struct grid *g, const struct column *columns, size_t row, FILE *out)
{
    _cleanup_buf_ struct buf line = {0};

    for (size_t i = 0; i < g->columns; i++)
        add_cell(&line, &columns[i], row ? g->cells[(row - 1) * g->columns + i] : columns[i].header,
                 g->widths[i], i + 1 == g->columns);
    if (!buf_error(&line))
        fprintf(out, "%s\n", line.data);
}

int columns_print_row(const struct column *columns, const unsigned *widths,
                      const struct json_object *record, FILE *out)
{
    _cleanup_buf_ struct buf line = {0};

    for (size_t i = 0; columns[i].header; i++) {
        _cleanup_free_ char *cell =
            record ? cell_of(&columns[i], record) : strdup(columns[i].header);

        if (!cell)
            return -ENOMEM;
        add_cell(&line, &columns[i], cell,
                 columns[i].min_width ? widths[i] : MAX(widths[i], width_of(cell)),
                 !columns[i + 1].header);
    }
    if (buf_error(&line) < 0)
        return -ENOMEM;
    fprintf(out, "%s\n", line.data);
    return 0;
}

int columns_print(const struct column *columns, struct json_object *records, unsigned width,
                  FILE *out)
{
    _cleanup_(grid_free) struct grid g = {.rows = json_object_array_length(records)};

    while (columns[g.columns].header)
        g.columns++;
    g.cells = calloc(g.rows * g.columns + 1, sizeof(*g.cells));
    g.widths = calloc(g.columns + 1, sizeof(*g.widths));
    if (!g.cells || !g.widths)
        return -ENOMEM;
    for (size_t i = 0; i < g.columns; i++) {
        g.widths[i] = width_of(columns[i].header);
        for (size_t row = 0; row < g.rows; row++) {
            int r = fill_cell(&g, row, i, &columns[i], json_object_array_get_idx(records, row));

            if (r < 0)
                return r;
        }
    }
    fit(&g, columns, width);
    for (size_t row = 0; row <= g.rows; row++)
        put_row(&g, columns, row, out);
    return 0;
}
