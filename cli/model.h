/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack profile in memory: what every renderer draws, wherever it was read from.
 *
 * Filled from the agent's stream line by line (model_stream.c) or from folded lines
 * (model_folded.c), then finished once and read-only. All names in it are foreign text: whoever
 * writes them out escapes them through base/text.h. Draws nothing and opens no files.
 */
#pragma once

#include "agent/proto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/table.h"
#include "base/json.h"
#include "cli/stacks.h"

#include <stdbool.h>
#include <stdint.h>

/* How a frame is drawn: the protocol's kinds and what stands above the first function. */
enum model_kind {
    MODEL_USER,
    MODEL_CXX, /* user code in a language with namespaces in its names: C++, Rust */
    MODEL_KERNEL,
    MODEL_JIT,
    MODEL_INLINED,
    MODEL_LABEL,     /* a word of the view's, no function */
    MODEL_THREAD,    /* comm, with pid and tid where they are kept apart */
    MODEL_CONTAINER, /* only in captures that span several */
    MODEL_KIND_COUNT,
};

#define MODEL_NONE UINT32_MAX

/* Strings are borrowed from the model; NULL where unknown. */
struct model_frame {
    const char *name;
    const char *file, *build_id, *language;
    uint64_t address; /* of the function's start in its file; 0: unknown */
    uint32_t label;   /* of MODEL_THREAD, in model.labels; MODEL_NONE otherwise */
    enum model_kind kind;
    bool named;
};

/* Whose stack it was. Numbers are 0 where the capture did not keep them apart. */
struct model_label {
    const char *comm, *container;
    uint64_t pid, tid;
};

/* Fields are for reading; only model*.c write them. */
struct model {
    struct stacks *stacks; /* frame numbers lead into frames */
    struct model_frame *frames;
    uint32_t frame_count, frame_room;
    struct model_label *labels;
    uint32_t label_count, label_room;
    uint32_t *rank; /* after model_finish(): place of each frame in order of names */
    uint64_t line;  /* number of the line read last, from 1 */

    /* The lines of these types as they came; NULL when there was none. */
    struct json_object *started, *quality, *end;
    struct json_object *records; /* array of the rows and histograms that are kept; or NULL */
    uint64_t rows;               /* that came: lines of type record, aggregate and event */
    bool yields_records;         /* instead of stacks */
    struct err error;            /* of an "error" line */

    /* See model_set_taker(). */
    int (*take_row)(void *data, const struct model *m, struct json_object *row);
    void *taker;

    bool keep_files;        /* frames that differ only in file or address stay apart (pprof) */
    struct table *interned; /* key of a frame -> its number + 1 */
    struct table *strings;
    uint32_t *ids; /* the stream's frame ids -> frames */
    uint32_t id_count, id_room;
};

/* Returns 0 or -ENOMEM; *ret is unchanged on failure. */
int model_new(struct model **ret, bool keep_files);
void model_free(struct model *m); /* NULL is fine */
DEFINE_FREEP(struct model, model_free)

/* The number of this frame in *ret, added when new; strings are copied. 0 or -ENOMEM, -E2BIG. */
int model_add_frame(struct model *m, const struct model_frame *f, uint32_t *ret);

/* The number of the frame that stands for this thread (and process), in *ret. 0 or -ENOMEM. */
int model_add_thread(struct model *m, const struct model_label *l, uint32_t *ret);

/* Has take asked about each row that comes, before it is kept. It returns 1 when it is done with
 * the row and nobody needs it any more, 0 when it is to be kept, or -errno, which model_add_line()
 * returns. */
void model_set_taker(struct model *m,
                     int (*take)(void *data, const struct model *m, struct json_object *row),
                     void *data);

/* Whether the capture saw nothing at all. */
bool model_is_empty(const struct model *m);

/* Takes one line of a stream, without its newline. Errors name what is wrong, not the line's
 * number: that is m->line. A line of type "error" is no error here: it lands in m->error. */
int model_add_line(struct model *m, const char *line, size_t size, struct err *e);

/* Fills e from an object of type "error". Returns the -errno that fits its code. */
int model_error(const struct json_object *o, struct err *e);

/* Reads folded lines from fd to its end; head are bytes that were read from it before. */
int model_read_folded(struct model *m, int fd, const char *head, size_t head_size, struct err *e);

/* Makes the model ready to be drawn. Returns 0 or -ENOMEM. */
int model_finish(struct model *m);

/* What values count. */
const char *model_unit(const struct model *m); /* "samples" unless the stream says otherwise */

/* Title and subtitle as a reader wants them; given may be NULL. Both are the caller's to free, and
 * foreign text. Return NULL when out of memory. */
char *model_title(const struct model *m, const char *given);
char *model_subtitle(const struct model *m);
