/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capture commands: ask the agent, follow its stream, write what was asked for.
 */
#include "cli/cmd.h"

#include "base/loop.h"
#include "base/text.h"
#include "cli/capture_options.h"
#include "cli/live.h"
#include "cli/quality.h"
#include "cli/tables.h"
#include "cli/talk.h"
#include "cli/units.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A capture under way. */
struct capture {
    const struct capture_options *options;
    struct talk *talk;
    struct model *model;
    struct output *out;
    struct live *live;
    FILE *copy;       /* gets the lines as they come; NULL unless the output is json */
    bool progress;    /* stderr is a terminal that wants to see it */
    bool on_terminal; /* so is the output, and maybe the same one */
    bool shown;       /* a progress line stands there now */
    unsigned interrupts;
};

static int send_request(struct capture *c, const char *view, const char *target, struct err *e)
{
    _cleanup_buf_ struct buf b = {0};

    capture_options_add_request(c->options, view, target, &b);
    return buf_error(&b) < 0 ? -ENOMEM : talk_send(c->talk, b.data, e);
}

static void clear_progress(struct capture *c)
{
    if (c->shown)
        fputs("\r\033[K", stderr);
    c->shown = false;
}

/* Rewrites the one line that says how far it is. */
static void show_progress(struct capture *c, const char *line, size_t size)
{
    static const char mark[] = "{\"type\":\"progress\"";
    _cleanup_json_ struct json_object *o = NULL;
    _cleanup_buf_ struct buf b = {0};
    uint64_t ms;

    if (!c->progress || size < sizeof(mark) || memcmp(line, mark, sizeof(mark) - 1) != 0 ||
        json_parse_line(line, size, &o, NULL) < 0)
        return;
    ms = json_count(o, "elapsed_ms");
    buf_addf(&b, "%" PRIu64 ".%" PRIu64, ms / 1000, ms % 1000 / 100);
    if (c->options->duration_ns)
        buf_addf(&b, " of %g", (double)c->options->duration_ns / 1e9);
    buf_adds(&b, " s, ");
    units_add_value(&b, c->model, json_count(o, "samples"));
    buf_adds(&b, ", ");
    if (json_count(o, "lost"))
        units_add_number(&b, c->model, json_count(o, "lost"));
    else
        buf_addc(&b, '0');
    if (buf_error(&b) < 0)
        return;
    fprintf(stderr, "\r\033[K%s lost%s", b.data, c->interrupts ? ", ending" : "");
    fflush(stderr);
    c->shown = true;
}

/* The first interrupt asks the agent for what there is, the second gives up. */
static int take_interrupt(struct capture *c, struct err *e)
{
    if (c->interrupts++)
        return err_set(e, ERR_INTERRUPTED, "interrupted");
    return talk_send(c->talk, "{\"op\":\"stop\"}", e);
}

/* The same terminal may show rows and progress: a row takes the progress line's place. */
static int take_row(void *data, const struct model *m, struct json_object *row)
{
    struct capture *c = data;

    if (c->on_terminal)
        clear_progress(c);
    return live_take(c->live, m, row);
}

/* Whether readers are to see each line now. */
static bool comes_live(const struct capture *c)
{
    const struct table_spec *spec = c->model->yields_records ? table_spec_of(c->model) : NULL;

    return spec && spec->live;
}

static int take_line(struct capture *c, const char *line, size_t size, struct err *e)
{
    struct err why = {0};
    int r = model_add_line(c->model, line, size, &why);

    if (r < 0 && why.code) {
        err_set(e, why.code, "line %" PRIu64 " of the agent's answer: %.400s", c->model->line,
                why.message);
        if (*why.remedy)
            err_remedy(e, "%s", why.remedy);
        err_remedy(e, "are porthole and portholed of the same version?");
    }
    if (r < 0)
        return r;
    if (c->model->error.code) {
        *e = c->model->error;
        return -EIO;
    }
    if (c->copy) {
        fwrite(line, 1, size, c->copy);
        fputc('\n', c->copy);
    }
    if (comes_live(c) && (r = output_flush(c->out, e)) < 0)
        return r;
    show_progress(c, line, size);
    return 0;
}

/* Takes the whole stream. */
static int follow(struct capture *c, struct err *e)
{
    const char *line;
    size_t size;
    int r = 0;

    while (r >= 0 && !c->model->end) {
        r = talk_next_line(c->talk, &line, &size, e);
        if (r == TALK_LINE) {
            r = take_line(c, line, size, e);
        } else if (r == TALK_INTERRUPT) {
            r = take_interrupt(c, e);
        } else if (r == TALK_END) {
            r = err_set(e, ERR_FAILED, "the agent went away in mid-capture");
            err_remedy(e, "its log says why; see also porthole doctor");
        }
    }
    clear_progress(c);
    /* Where only an interrupt ends the capture, nothing is a result like any other. */
    if (r >= 0 && c->interrupts && c->options->duration_ns && model_is_empty(c->model))
        r = err_set(e, ERR_INTERRUPTED, "interrupted before anything was captured");
    return MIN(r, 0);
}

static const struct format *choose_format(const struct capture_options *o, const char *view,
                                          struct err *e)
{
    bool rows = capture_options_yield_rows(o, view);
    const struct format *format =
        o->records ? &output_records : output_format(cmd_format, cmd_output, rows, e);
    struct err unused = {0};

    if (!format && rows && !o->events && cmd_find(view)->options == cmd_io_options &&
        output_format(cmd_format, cmd_output, false, &unused)) {
        e->remedy[0] = '\0';
        err_remedy(e, "give --stacks with it, for stacks of who caused them");
    }
    if (format && cmd_check_picture(format, table_spec_find(view), view, e) < 0)
        return NULL;
    return format;
}

/* Draws what is not written yet. */
static int deliver(struct capture *c, struct err *e)
{
    int r = model_finish(c->model);

    if (r == 0 && !c->copy)
        r = live_finish(c->live, c->model);
    if (r == 0)
        r = output_commit(c->out, e);
    if (r == 0 && !c->options->quiet)
        quality_print(c->model, stderr);
    return r;
}

int cmd_capture(int argc, char **argv, struct err *e)
{
    _cleanup_(talk_freep) struct talk *talk = NULL;
    _cleanup_(model_freep) struct model *model = NULL;
    _cleanup_(output_freep) struct output *out = NULL;
    _cleanup_(live_freep) struct live *live = NULL;
    const struct format *format;
    struct render_options o;
    struct capture c = {.progress = false};
    const char *target;
    int r;

    c.options = capture_options_parse(argc, argv, &target, e);
    if (!c.options)
        return -EINVAL;
    r = cmd_take_render_options(&o, e);
    if (r < 0)
        return r;
    format = choose_format(c.options, argv[0], e);
    if (!format)
        return -EINVAL;
    if ((r = output_open(&out, cmd_output, e)) < 0 ||
        (r = model_new(&model, format->keep_files)) < 0 ||
        (r = live_new(&live, format, &o, output_stream(out))) < 0 ||
        (r = talk_connect(&talk, cmd_socket, e)) < 0)
        return r;
    c.talk = talk;
    c.model = model;
    c.out = out;
    c.live = live;
    c.copy = format->render == render_json ? output_stream(out) : NULL;
    c.progress = !c.options->quiet && isatty(STDERR_FILENO);
    c.on_terminal = isatty(fileno(output_stream(out)));
    model_set_taker(model, take_row, &c);
    if ((r = send_request(&c, argv[0], target, e)) < 0 || (r = follow(&c, e)) < 0)
        return r;
    return deliver(&c, e);
}
