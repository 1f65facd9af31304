/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole render: a saved capture, or folded lines from anywhere, drawn again without an agent.
 */
#include "cli/cmd.h"

#include "base/buf.h"
#include "cli/live.h"
#include "cli/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

const struct option_spec cmd_render_options[] = {CMD_OPTIONS_RENDER, {0}};

#define READ_BYTES (256u << 10)

static int open_input(const char *path, int *ret, struct err *e)
{
    struct stat st;
    int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                    : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))) {
        int error = fd < 0 ? errno : EISDIR;

        closep(&fd);
        return err_set(e, error == EACCES ? ERR_DENIED : ERR_FAILED, "cannot read '%.200s': %s",
                       path, strerror(error));
    }
    *ret = fd;
    return 0;
}

/* A stream begins with an object; a folded line may begin with a brace too, but not so. */
static bool looks_like_stream(const struct buf *b)
{
    size_t at = 0;

    while (at < b->size && strchr(" \t\r\n", b->data[at]))
        at++;
    if (at == b->size || b->data[at++] != '{')
        return false;
    while (at < b->size && strchr(" \t", b->data[at]))
        at++;
    return at < b->size && b->data[at] == '"';
}

/* Takes the whole lines out of b; with last, the rest too. */
static int take_lines(struct model *m, struct buf *b, bool last, FILE *copy, struct err *e)
{
    size_t at = 0;
    int r;

    while (at < b->size) {
        const char *line = b->data + at, *end = memchr(line, '\n', b->size - at);
        size_t n = end ? (size_t)(end - line) : b->size - at;

        if (!end && !last && n <= JSON_LINE_MAX)
            break;
        r = model_add_line(m, line, n, e);
        if (r < 0)
            return r;
        if (copy) {
            fwrite(line, 1, n, copy);
            fputc('\n', copy);
        }
        at = MIN(at + n + 1, b->size);
    }
    buf_consume(b, at);
    return 0;
}

static int read_stream(struct model *m, int fd, struct buf *b, FILE *copy, struct err *e)
{
    ssize_t n = 1;
    int r;

    for (;;) {
        r = take_lines(m, b, n == 0, copy, e);
        if (r < 0 || n == 0)
            break;
        n = buf_read_fd(b, fd, READ_BYTES);
        if (n < 0)
            return err_set(e, ERR_FAILED, "cannot read: %s", strerror((int)-n));
    }
    if (r < 0)
        return r;
    if (m->error.code)
        return err_set(e, ERR_FAILED, "this capture failed: %.400s", m->error.message);
    if (!m->started || !m->end)
        return err_set(e, ERR_FAILED, "the stream has no %s", m->started ? "end" : "start");
    return 0;
}

/* Fills m from a file of either kind. copy, when not NULL, gets a stream's lines as they are. */
static int read_input(struct model *m, int fd, FILE *copy, struct err *e)
{
    _cleanup_buf_ struct buf b = {0};
    ssize_t n;

    do
        n = buf_read_fd(&b, fd, READ_BYTES);
    while (n > 0 && b.size < 4);
    if (n < 0)
        return err_set(e, ERR_FAILED, "cannot read: %s", strerror((int)-n));
    if (b.size == 0)
        return err_set(e, ERR_FAILED, "the input is empty");
    if (looks_like_stream(&b))
        return read_stream(m, fd, &b, copy, e);
    return model_read_folded(m, fd, b.data, b.size, e);
}

/* Says where in the input something was wrong. */
static int locate(int r, const char *path, const struct model *m, const struct err *why,
                  struct err *e)
{
    if (why->code == ERR_NONE)
        return r;
    err_set(e, why->code, "'%.100s', line %" PRIu64 ": %.300s", path, m->line, why->message);
    if (*why->remedy)
        err_remedy(e, "%s", why->remedy);
    err_remedy(e, "give a capture saved as .json, or folded lines");
    return r;
}

/* What is drawn, and how: that depends on what the file holds, which its first line says. */
struct drawing {
    struct render_options options;
    struct output *out;
    struct live *live; /* NULL until then */
    struct err why;    /* there is no such drawing */
};

/* Returns 0 or -errno with d->why filled. */
static int choose(struct drawing *d, const struct model *m)
{
    const struct format *format = output_format(cmd_format, cmd_output, m->yields_records, &d->why);
    int r;

    if (!format)
        return -EINVAL;
    r = cmd_check_picture(format, table_spec_of(m), json_string(m->started, "view"), &d->why);
    if (r < 0)
        return r;
    return live_new(&d->live, format, &d->options, output_stream(d->out));
}

static int take_row(void *data, const struct model *m, struct json_object *row)
{
    struct drawing *d = data;
    int r = d->live ? 0 : choose(d, m);

    return r < 0 ? r : live_take(d->live, m, row);
}

static void drawing_free(struct drawing *d)
{
    output_free(d->out);
    live_free(d->live);
}

/* Any format that could suit what the file may hold. */
static const struct format *guess_format(struct err *e)
{
    struct err why = {0};
    const struct format *format = output_format(cmd_format, cmd_output, false, &why);

    return format ? format : output_format(cmd_format, cmd_output, true, e);
}

int cmd_render(int argc, char **argv, struct err *e)
{
    _cleanup_(model_freep) struct model *m = NULL;
    _cleanup_(drawing_free) struct drawing d = {0};
    _cleanup_close_ int fd = -1;
    const struct format *guess;
    struct err why = {0};
    const char *path;
    size_t count;
    bool raw;
    int r;

    r = options_parse(cmd_render_options, argc, argv, &path, 1, &count, e);
    if (r < 0)
        return r;
    if (count == 0)
        return cmd_missing("render", "FILE", e);
    r = cmd_take_render_options(&d.options, e);
    if (r < 0)
        return r;
    guess = guess_format(e);
    if (!guess)
        return -EINVAL;
    if ((r = open_input(path, &fd, e)) < 0 || (r = model_new(&m, guess->keep_files)) < 0 ||
        (r = output_open(&d.out, cmd_output, e)) < 0)
        return r;
    model_set_taker(m, take_row, &d);
    raw = guess->render == render_json;
    r = read_input(m, fd, raw ? output_stream(d.out) : NULL, &why);
    if (r == 0 && !d.live)
        r = choose(&d, m);
    if (d.why.code)
        *e = d.why;
    else if (r < 0)
        return locate(r, path, m, &why, e);
    if (r < 0)
        return r;
    if (!raw || !m->started) {
        if ((r = model_finish(m)) < 0 || (r = live_finish(d.live, m)) < 0)
            return r;
    }
    return output_commit(d.out, e);
}
