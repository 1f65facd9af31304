/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where results go: the table of formats, and files that appear whole or not at all.
 *
 * An output is made before the work begins, so that an unwritable place is known at once, and gets
 * its name only when everything is in it. For the commands.
 */
#pragma once

#include "base/err.h"
#include "cli/render.h"

#define OUTPUT_FORMATS "tree|folded|svg|json|pprof|table|rows"

/* What becomes of rows that are shown as they come (live.h). */
enum format_live {
    LIVE_NOT,     /* nothing: the format does not draw rows, or its stream is written as it comes */
    LIVE_TABLE,   /* lines of a table with columns of fixed width */
    LIVE_ROWS,    /* plain rows */
    LIVE_RECORDS, /* the records themselves */
};

struct format {
    const char *name;
    const char *suffix;   /* of files, with its dot */
    bool keep_files;      /* wants models made with keep_files */
    bool binary;          /* not for terminals */
    bool stacks, records; /* what it can draw */
    enum format_live live;
    int (*render)(const struct model *m, const struct render_options *o, FILE *out);
};

/* The format of that name, else of that path's suffix, else what suits stdout; word and path may be
 * NULL. NULL with e filled when path's suffix says nothing, the format does not suit a terminal, or
 * does not draw what the view yields. */
const struct format *output_format(const char *word, const char *path, bool records, struct err *e);

/* What --json asks for: records one a line, without the rest of the stream. */
extern const struct format output_records;

struct output;

/* Prepares for writing to path, to stdout for NULL. Returns 0 or -errno with e filled. */
int output_open(struct output **ret, const char *path, struct err *e);

/* The stream to write to; the output's. */
FILE *output_stream(const struct output *o);

/* Writes out what is buffered, so that readers see it now. Returns 0 or -errno with e filled. */
int output_flush(const struct output *o, struct err *e);

/* Checks everything written and gives the file its name. Returns 0 or -errno with e filled: then
 * nothing is left behind. Call once, then output_free(). */
int output_commit(struct output *o, struct err *e);

/* Without a commit before, the file vanishes. NULL is fine. */
void output_free(struct output *o);
DEFINE_FREEP(struct output, output_free)
