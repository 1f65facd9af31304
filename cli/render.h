/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renderers: a finished model to bytes on a stream, one file each. The table of them is in
 * output.c.
 *
 * A renderer returns 0 or -ENOMEM; what goes wrong with the stream is seen by who closes it.
 */
#pragma once

#include "cli/model.h"

#include <stdio.h>

struct render_options {
    const char *title;  /* NULL: made from the capture */
    bool icicle;        /* svg: outermost frames at the top */
    bool color;         /* tree: colours of a terminal */
    unsigned width;     /* tree: columns */
    double min_percent; /* tree: smaller branches are summed up */
};

#define RENDER_WIDTH 100       /* columns where there is no terminal */
#define RENDER_MIN_PERCENT 1.0 /* of the tree */

int render_tree(const struct model *m, const struct render_options *o, FILE *out);
int render_folded(const struct model *m, const struct render_options *o, FILE *out);
int render_svg(const struct model *m, const struct render_options *o, FILE *out);
int render_pprof(const struct model *m, const struct render_options *o, FILE *out);

/* For records: tables, and histograms as bars; plain rows, all columns, separated by tabs; and the
 * records as they are, one object a line. */
int render_table(const struct model *m, const struct render_options *o, FILE *out);
int render_rows(const struct model *m, const struct render_options *o, FILE *out);
int render_records(const struct model *m, const struct render_options *o, FILE *out);

/* One plain row, for NULL the line of its columns' names; and one record. Rows as they come are
 * written by these, too. The former returns 0 or -ENOMEM. */
struct table_spec;
int render_row(const struct table_spec *spec, const struct json_object *row, FILE *out);
void render_record(struct json_object *record, FILE *out);

/* For histograms over time: a heat map. */
int render_heatmap(const struct model *m, const struct render_options *o, FILE *out);

/* The lines of a stream that reads back as this model. A capture is not written by this: its stream
 * is saved as it came. */
int render_json(const struct model *m, const struct render_options *o, FILE *out);

/* What stands for a frame without a name of its own. */
#define RENDER_NO_NAME "[unknown]"
