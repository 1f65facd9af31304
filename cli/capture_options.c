/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/capture_options.h"

#include "base/loop.h"
#include "base/text.h"
#include "cli/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DURATION_MIN_NS (100 * NS_PER_MS)

static struct capture_options opt = {.duration_ns = PROTO_DURATION_MS_DEFAULT * NS_PER_MS};

/* What all views have in common. */
#define CAPTURE_OPTION_DURATION                                                                  \
    {                                                                                            \
        .name = "duration", .short_name = 'd', .kind = OPTION_SECONDS, .into = &opt.duration_ns, \
        .arg = "SEC", .min = DURATION_MIN_NS, .max = PROTO_DURATION_MS_MAX * NS_PER_MS,          \
        .help = "how long, 0.1 to 86400 seconds (10); an interrupt ends it early and delivers"   \
    }

#define CAPTURE_OPTIONS_STACKS                                                                   \
    {.name = "pid",                                                                              \
     .short_name = 'p',                                                                          \
     .kind = OPTION_NUMBER,                                                                      \
     .into = &opt.pid,                                                                           \
     .arg = "PID",                                                                               \
     .min = 1,                                                                                   \
     .max = INT32_MAX,                                                                           \
     .help = "only this process, as the container numbers it"},                                  \
        {.name = "max-stack",                                                                    \
         .kind = OPTION_NUMBER,                                                                  \
         .into = &opt.max_stack,                                                                 \
         .arg = "N",                                                                             \
         .min = 1,                                                                               \
         .max = PROTO_STACK_MAX,                                                                 \
         .help = "frames of user stacks, 1 to 1024 (127); the kernel's part has its own bound"}, \
        {.name = "per-process",                                                                  \
         .kind = OPTION_FLAG,                                                                    \
         .into = &opt.per_process,                                                               \
         .help = "keep processes apart"},                                                        \
        {.name = "per-thread",                                                                   \
         .kind = OPTION_FLAG,                                                                    \
         .into = &opt.per_thread,                                                                \
         .help = "keep threads apart"},                                                          \
        {.name = "full-names",                                                                   \
         .kind = OPTION_FLAG,                                                                    \
         .into = &opt.full_names,                                                                \
         .help = "C++, Rust and Go names with parameters, type arguments, whole paths"},         \
    {                                                                                            \
        .name = "inline", .kind = OPTION_FLAG, .into = &opt.inlines,                             \
        .help = "show inlined functions, too, where there is DWARF"                              \
    }

#define CAPTURE_OPTION_QUIET                                                         \
    {                                                                                \
        .name = "quiet", .short_name = 'q', .kind = OPTION_FLAG, .into = &opt.quiet, \
        .help = "no progress and no summary on stderr"                               \
    }

const struct option_spec cmd_capture_options[] = {
    CAPTURE_OPTION_DURATION,
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
    CAPTURE_OPTIONS_STACKS,
    {.name = "addresses",
     .kind = OPTION_FLAG,
     .into = &opt.addresses,
     .help = "show the addresses of frames without a name"},
    {.name = "java",
     .kind = OPTION_FLAG,
     .into = &opt.java,
     .help = "have JVMs of the target write their perf maps, where the agent may ask them"},
    CMD_OPTIONS_RENDER,
    CAPTURE_OPTION_QUIET,
    CMD_OPTION_SOCKET,
    {0},
};

/* The views of threads' time. */
const struct option_spec cmd_waits_options[] = {
    CAPTURE_OPTION_DURATION,
    {.name = "state",
     .kind = OPTION_CHOICE,
     .into = &opt.state,
     .arg = "STATE",
     .choices = "all|interruptible|uninterruptible",
     .help = "only waits in this state; uninterruptible ones are mostly disk I/O (all)"},
    {.name = "min-us",
     .kind = OPTION_NUMBER,
     .into = &opt.min_us,
     .arg = "USEC",
     .min = 1,
     .max = PROTO_WAIT_US_MAX,
     .help = "only waits of at least so many microseconds"},
    {.name = "max-us",
     .kind = OPTION_NUMBER,
     .into = &opt.max_us,
     .arg = "USEC",
     .min = 1,
     .max = PROTO_WAIT_US_MAX,
     .help = "only waits of at most so many microseconds"},
    {.name = "thread",
     .kind = OPTION_STRING,
     .into = &opt.thread,
     .arg = "NAME",
     .help = "only threads whose name begins so"},
    {.name = "depth",
     .kind = OPTION_NUMBER,
     .into = &opt.chain_depth,
     .arg = "N",
     .min = 1,
     .max = PROTO_CHAIN_DEPTH_MAX,
     .help = "chain: follow up to N wakers, 1 to 8 (4)"},
    {.name = "max-overhead",
     .kind = OPTION_NUMBER,
     .into = &opt.max_overhead,
     .arg = "PERCENT",
     .min = 1,
     .max = PROTO_OVERHEAD_MAX,
     .help = "take fewer stacks when all cost more of a CPU's time, 1 to 100 (2)"},
    CAPTURE_OPTIONS_STACKS,
    {.name = "json",
     .kind = OPTION_FLAG,
     .into = &opt.records,
     .help = "runq, states: one object a line, for scripts"},
    CMD_OPTIONS_RENDER,
    CAPTURE_OPTION_QUIET,
    CMD_OPTION_SOCKET,
    {0},
};

/* The views of I/O. */
const struct option_spec cmd_io_options[] = {
    {.name = "duration",
     .short_name = 'd',
     .kind = OPTION_SECONDS,
     .into = &opt.duration_ns,
     .arg = "SEC",
     .max = PROTO_DURATION_MS_MAX * NS_PER_MS,
     .help = "how long, 0.1 to 86400 seconds (10), 0 until interrupted; an interrupt delivers"},
    {.name = "events",
     .kind = OPTION_FLAG,
     .into = &opt.events,
     .help = "a row for each thing that happens, as it happens"},
    {.name = "stacks",
     .kind = OPTION_FLAG,
     .into = &opt.stacks,
     .help = "stacks of who caused it, instead of rows"},
    {.name = "weight",
     .kind = OPTION_CHOICE,
     .into = &opt.weight,
     .arg = "WHAT",
     .choices = "calls|bytes|time",
     .help = "with --stacks: add up calls, bytes or, for block, time (calls)"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .into = &opt.records,
     .help = "rows and histograms, one object a line, for scripts"},
    CAPTURE_OPTIONS_STACKS,
    CMD_OPTIONS_RENDER,
    CAPTURE_OPTION_QUIET,
    CMD_OPTION_SOCKET,
    {0},
};

static void add_field(struct buf *b, const char *field, uint64_t value)
{
    if (value)
        buf_addf(b, ",\"%s\":%" PRIu64, field, value);
}

static void add_word(struct buf *b, const char *field, const char *word)
{
    if (!word)
        return;
    buf_addf(b, ",\"%s\":", field);
    text_add_json(b, word);
}

static void add_flag(struct buf *b, const char *field, bool value)
{
    if (value)
        buf_addf(b, ",\"%s\":true", field);
}

void capture_options_add_request(const struct capture_options *o, const char *view,
                                 const char *target, struct buf *b)
{
    buf_addf(b, "{\"porthole\":%d,\"op\":\"capture\",\"view\":\"%s\",\"target\":", PROTO_VERSION,
             view);
    text_add_json(b, target);
    /* 0 says that there is no end, and is no default. */
    buf_addf(b, ",\"duration_ms\":%llu", o->duration_ns / NS_PER_MS);
    add_field(b, "frequency", o->frequency);
    add_field(b, "period", o->period);
    add_field(b, "pid", o->pid);
    add_field(b, "max_stack", o->max_stack);
    add_field(b, "min_us", o->min_us);
    add_field(b, "max_us", o->max_us);
    add_field(b, "chain_depth", o->chain_depth);
    add_field(b, "max_overhead", o->max_overhead);
    add_word(b, "state", o->state);
    add_word(b, "thread", o->thread);
    add_word(b, "event", o->event);
    add_word(b, "weight", o->weight);
    add_flag(b, "per_thread", o->per_thread);
    add_flag(b, "per_process", o->per_process && !o->per_thread);
    add_flag(b, "addresses", o->addresses);
    add_flag(b, "full_names", o->full_names);
    add_flag(b, "java", o->java);
    add_flag(b, "inline", o->inlines);
    add_flag(b, "events", o->events);
    add_flag(b, "stacks", o->stacks);
    buf_addc(b, '}');
}

bool capture_options_yield_rows(const struct capture_options *o, const char *view)
{
    return cmd_find(view)->records[0] && !o->stacks;
}

/* What is of stacks means nothing to rows, and the other way round. */
static int check_io(const char *view, struct err *e)
{
    bool tcp = strcmp(view, "tcp") == 0;
    const char *of_stacks = opt.weight                 ? "--weight"
                            : opt.max_stack            ? "--max-stack"
                            : opt.full_names           ? "--full-names"
                            : opt.inlines              ? "--inline"
                            : opt.per_thread           ? "--per-thread"
                            : (tcp && opt.per_process) ? "--per-process"
                                                       : NULL;

    if (opt.duration_ns && opt.duration_ns < DURATION_MIN_NS)
        return err_set(e, ERR_USAGE,
                       "a --duration is 0, until interrupted, or seconds from 0.1 to 86400");
    if (opt.events && opt.stacks)
        return err_set(e, ERR_USAGE, "--events and --stacks exclude each other");
    if (of_stacks && !opt.stacks) {
        err_set(e, ERR_USAGE, "%s is for stacks, and %s yields rows", of_stacks, view);
        err_remedy(e, "give --stacks with it");
        return -EINVAL;
    }
    if (opt.weight && strcmp(opt.weight, "time") == 0 && tcp)
        return err_set(e, ERR_USAGE, "'time' is no --weight of tcp: give one of calls|bytes");
    return 0;
}

static int check_rows(const char *view, struct err *e)
{
    if (!opt.records)
        return 0;
    if (!capture_options_yield_rows(&opt, view)) {
        err_set(e, ERR_USAGE, "%s%s yields stacks, and --json is for rows", view,
                opt.stacks ? " --stacks" : "");
        err_remedy(e, "give --format=json");
        return -EINVAL;
    }
    if (cmd_format)
        return err_set(e, ERR_USAGE, "--json and --format exclude each other");
    return 0;
}

const struct capture_options *capture_options_parse(int argc, char **argv, const char **target,
                                                    struct err *e)
{
    const struct cmd *cmd = cmd_find(argv[0]);
    size_t count;
    int r = options_parse(cmd->options, argc, argv, target, 1, &count, e);

    if (r == 0 && count == 0)
        r = cmd_missing(argv[0], "TARGET", e);
    if (r == 0 && opt.frequency && opt.period)
        r = err_set(e, ERR_USAGE, "--frequency and --period exclude each other");
    if (r == 0 && cmd->options == cmd_io_options)
        r = check_io(argv[0], e);
    if (r == 0)
        r = check_rows(argv[0], e);
    if (r == 0 && (!**target || strlen(*target) > PROTO_TARGET_MAX))
        r = err_set(e, ERR_USAGE, "a target has 1 to %d bytes", PROTO_TARGET_MAX);
    return r < 0 ? NULL : &opt;
}
