/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that are shown as they come: connections, requests, events.
 *
 * Such a capture may run for days, so rows are written and forgotten; the widths of a table's
 * columns are fixed beforehand, by the table of columns and the terminal. What comes at the end
 * (histograms, peers) is kept by the model and drawn behind them. For cmd_capture and cmd_render;
 * knows nothing of where the rows come from, and leaves flushing to its caller.
 */
#pragma once

#include "cli/output.h"

struct live;

/* format, o and out are borrowed. Returns 0 or -ENOMEM; *ret is unchanged on failure. */
int live_new(struct live **ret, const struct format *format, const struct render_options *o,
             FILE *out);
void live_free(struct live *l); /* NULL is fine */
DEFINE_FREEP(struct live, live_free)

/* Takes a row as model_set_taker() wants it; m has its line of type "started". */
int live_take(struct live *l, const struct model *m, struct json_object *row);

/* Draws what is left of a finished model, and all of one whose rows are not of this kind. Returns 0
 * or -ENOMEM. */
int live_finish(struct live *l, const struct model *m);
