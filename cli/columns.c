/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/columns.h"

#include "base/text.h"
#include "cli/width.h"

#include <errno.h>
#include <string.h>

#define GAP 2

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

static int fill_cell(struct grid *g, size_t row, size_t column, const struct column *c,
                     const struct json_object *record)
{
    _cleanup_buf_ struct buf raw = {0}, safe = {0};

    c->text(&raw, record);
    text_add_terminal(&safe, raw.size ? raw.data : "-");
    if (buf_error(&raw) < 0 || buf_error(&safe) < 0)
        return -ENOMEM;
    g->widths[column] = MAX(g->widths[column], width_of(safe.data));
    g->cells[row * g->columns + column] = TAKE_PTR(safe.data);
    return 0;
}

/* Takes columns away from the widest column that may shrink, until all fit. */
static void fit(struct grid *g, const struct column *columns, unsigned width)
{
    for (;;) {
        size_t sum = 0, widest = g->columns;

        for (size_t i = 0; i < g->columns; i++) {
            sum += g->widths[i] + (i ? GAP : 0);
            if (columns[i].min_width && g->widths[i] > columns[i].min_width &&
                (widest == g->columns || g->widths[i] > g->widths[widest]))
                widest = i;
        }
        if (sum <= width || widest == g->columns)
            return;
        g->widths[widest]--;
    }
}

static void put_row(const struct grid *g, const struct column *columns, size_t row, FILE *out)
{
    _cleanup_buf_ struct buf line = {0};

    for (size_t i = 0; i < g->columns; i++) {
        const char *cell = row ? g->cells[(row - 1) * g->columns + i] : columns[i].header;
        size_t start = line.size;
        unsigned used;

        width_add_cut(&line, cell, g->widths[i]);
        used = line.data ? width_of(line.data + start) : 0;
        if (columns[i].right) {
            line.size = start;
            buf_addf(&line, "%*s", (int)(g->widths[i] - MIN(used, g->widths[i])), "");
            width_add_cut(&line, cell, g->widths[i]);
        } else if (i + 1 < g->columns) {
            buf_addf(&line, "%*s", (int)(g->widths[i] - MIN(used, g->widths[i])), "");
        }
        if (i + 1 < g->columns)
            buf_addf(&line, "%*s", GAP, "");
    }
    if (!buf_error(&line))
        fprintf(out, "%s\n", line.data);
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
