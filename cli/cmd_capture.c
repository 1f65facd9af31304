/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capture commands: ask the agent, follow its stream, write what was asked for.
 */
#include "cli/cmd.h"

#include "base/loop.h"
#include "base/text.h"
#include "cli/talk.h"
#include "cli/quality.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DURATION_MIN_NS (100 * NS_PER_MS)

static struct {
    uint64_t duration_ns, frequency, period, pid;
    const char *event;
    bool per_process, per_thread, addresses, quiet;
} opt = {.duration_ns = PROTO_DURATION_MS_DEFAULT * NS_PER_MS};

const struct option_spec cmd_capture_options[] = {
    {.name = "duration",
     .short_name = 'd',
     .kind = OPTION_SECONDS,
     .into = &opt.duration_ns,
     .arg = "SEC",
     .min = DURATION_MIN_NS,
     .max = PROTO_DURATION_MS_MAX * NS_PER_MS,
     .help = "how long, 0.1 to 86400 seconds (10); an interrupt ends it early and delivers"},
    {.name = "frequency",
     .short_name = 'F',
     .kind = OPTION_NUMBER,
     .into = &opt.frequency,
     .arg = "HZ",
     .min = 1,
     .max = PROTO_FREQUENCY_MAX,
     .help = "samples a second and CPU, 1 to 10000 (99)"},
    {.name = "period",
     .short_name = 'c',
     .kind = OPTION_NUMBER,
     .into = &opt.period,
     .arg = "N",
     .min = 1,
     .max = PROTO_PERIOD_MAX,
     .help = "one sample every N events instead of a frequency"},
    {.name = "event",
     .short_name = 'e',
     .kind = OPTION_STRING,
     .into = &opt.event,
     .arg = "EVENT",
     .help = "a perf event, such as page-faults or LLC-misses (cpu-clock)"},
    {.name = "pid",
     .short_name = 'p',
     .kind = OPTION_NUMBER,
     .into = &opt.pid,
     .arg = "PID",
     .min = 1,
     .max = INT32_MAX,
     .help = "only this process, as the container numbers it"},
    {.name = "per-process",
     .kind = OPTION_FLAG,
     .into = &opt.per_process,
     .help = "keep processes apart"},
    {.name = "per-thread",
     .kind = OPTION_FLAG,
     .into = &opt.per_thread,
     .help = "keep threads apart"},
    {.name = "addresses",
     .kind = OPTION_FLAG,
     .into = &opt.addresses,
     .help = "show the addresses of frames without a name"},
    CMD_OPTIONS_RENDER,
    {.name = "quiet",
     .short_name = 'q',
     .kind = OPTION_FLAG,
     .into = &opt.quiet,
     .help = "no progress and no summary on stderr"},
    CMD_OPTION_SOCKET,
    {0},
};

/* A capture under way. */
struct capture {
    struct talk *talk;
    struct model *model;
    FILE *copy;    /* gets the lines as they come; NULL unless the output is json */
    bool progress; /* stderr is a terminal that wants to see it */
    bool shown;    /* a progress line stands there now */
    unsigned interrupts;
};

static void add_field(struct buf *b, const char *field, uint64_t value)
{
    if (value)
        buf_addf(b, ",\"%s\":%" PRIu64, field, value);
}

static int send_request(struct capture *c, const char *view, const char *target, struct err *e)
{
    _cleanup_buf_ struct buf b = {0};

    buf_addf(&b, "{\"porthole\":%d,\"op\":\"capture\",\"view\":\"%s\",\"target\":", PROTO_VERSION,
             view);
    text_add_json(&b, target);
    add_field(&b, "duration_ms", opt.duration_ns / NS_PER_MS);
    add_field(&b, "frequency", opt.frequency);
    add_field(&b, "period", opt.period);
    add_field(&b, "pid", opt.pid);
    if (opt.event) {
        buf_adds(&b, ",\"event\":");
        text_add_json(&b, opt.event);
    }
    if (opt.per_process || opt.per_thread)
        buf_addf(&b, ",\"%s\":true", opt.per_thread ? "per_thread" : "per_process");
    if (opt.addresses)
        buf_adds(&b, ",\"addresses\":true");
    buf_addc(&b, '}');
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
    uint64_t ms;

    if (!c->progress || size < sizeof(mark) || memcmp(line, mark, sizeof(mark) - 1) != 0 ||
        json_parse_line(line, size, &o, NULL) < 0)
        return;
    ms = json_count(o, "elapsed_ms");
    fprintf(stderr,
            "\r\033[K%" PRIu64 ".%" PRIu64 " of %g s, %" PRIu64 " samples, %" PRIu64 " lost%s",
            ms / 1000, ms % 1000 / 100, (double)opt.duration_ns / 1e9, json_count(o, "samples"),
            json_count(o, "lost"), c->interrupts ? ", ending" : "");
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

static int take_line(struct capture *c, const char *line, size_t size, struct err *e)
{
    struct err why = {0};
    int r = model_add_line(c->model, line, size, &why);

    if (r < 0 && why.code) {
        err_set(e, ERR_FAILED, "line %" PRIu64 " of the agent's answer: %.400s", c->model->line,
                why.message);
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
    if (r >= 0 && c->interrupts && c->model->stacks->total == 0)
        r = err_set(e, ERR_INTERRUPTED, "interrupted before anything was captured");
    return MIN(r, 0);
}

static int check_options(int argc, char **argv, const char **target, struct err *e)
{
    size_t count;
    int r = options_parse(cmd_capture_options, argc, argv, target, 1, &count, e);

    if (r < 0)
        return r;
    if (count == 0)
        return cmd_missing(argv[0], "TARGET", e);
    if (opt.frequency && opt.period)
        return err_set(e, ERR_USAGE, "--frequency and --period exclude each other");
    if (!**target || strlen(*target) > PROTO_TARGET_MAX)
        return err_set(e, ERR_USAGE, "a target has 1 to %d bytes", PROTO_TARGET_MAX);
    return 0;
}

int cmd_capture(int argc, char **argv, struct err *e)
{
    _cleanup_(talk_freep) struct talk *talk = NULL;
    _cleanup_(model_freep) struct model *model = NULL;
    _cleanup_(output_freep) struct output *out = NULL;
    const struct format *format;
    struct render_options o;
    struct capture c = {.progress = false};
    const char *target;
    int r;

    r = check_options(argc, argv, &target, e);
    if (r < 0)
        return r;
    r = cmd_take_render_options(&o, e);
    if (r < 0)
        return r;
    format = output_format(cmd_format, cmd_output, e);
    if (!format)
        return -EINVAL;
    if ((r = output_open(&out, cmd_output, e)) < 0 ||
        (r = model_new(&model, format->keep_files)) < 0 ||
        (r = talk_connect(&talk, cmd_socket, e)) < 0)
        return r;
    c.talk = talk;
    c.model = model;
    c.copy = format->render == render_json ? output_stream(out) : NULL;
    c.progress = !opt.quiet && isatty(STDERR_FILENO);
    if ((r = send_request(&c, argv[0], target, e)) < 0 || (r = follow(&c, e)) < 0)
        return r;

    r = model_finish(model);
    if (r == 0 && !c.copy)
        r = format->render(model, &o, output_stream(out));
    if (r == 0)
        r = output_commit(out, e);
    if (r == 0 && !opt.quiet)
        quality_print(model, stderr);
    return r;
}
