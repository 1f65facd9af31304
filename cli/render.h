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

/* The lines of a stream that reads back as this model. A capture is not written by this: its stream
 * is saved as it came. */
int render_json(const struct model *m, const struct render_options *o, FILE *out);

/* What stands for a frame without a name of its own. */
#define RENDER_NO_NAME "[unknown]"
