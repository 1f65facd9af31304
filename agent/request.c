/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/request.h"

#include "agent/proto.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define CHAIN_DEPTH_DEFAULT 4
#define OVERHEAD_DEFAULT 2 /* percent */
#define IGNORED_MAX 32     /* names of unknown fields that are told */
#define SLICES 60          /* of a histogram over time */
#define SLICE_NS_MIN (100 * NS_PER_MS)

static const struct {
    const char *word;
    enum request_op op;
} ops[] = {
    {"list", REQUEST_LIST},
    {"status", REQUEST_STATUS},
    {"capture", REQUEST_CAPTURE},
    {"stop", REQUEST_STOP},
};

void request_free(struct request *r)
{
    free(r->target);
    free(r->event_word);
    buf_free(&r->ignored);
    *r = (struct request){0};
}

static const char known[] = "known";

/* A member, which is marked as one that this agent knows. */
static bool find(const struct json_object *o, const char *field, struct json_object **ret)
{
    if (!json_object_object_get_ex(o, field, ret))
        return false;
    if (*ret)
        json_object_set_userdata(*ret, (void *)(uintptr_t)known, NULL);
    return true;
}

/* Names of the members that nobody has asked for: a newer client's, which it is to be told. */
static void collect_ignored(const struct json_object *o, struct buf *ret)
{
    unsigned count = 0;

    json_object_object_foreach((struct json_object *)(uintptr_t)o, field, value)
    {
        if ((value && json_object_get_userdata(value) == known) || ++count > IGNORED_MAX)
            continue;
        buf_adds(ret, ret->size ? "," : "");
        text_add_json(ret, field);
    }
}

/* A number within bounds, or what it was when the field is absent. */
static int take_number(const struct json_object *o, const char *field, uint64_t min, uint64_t max,
                       uint64_t *ret, struct err *e)
{
    struct json_object *v;
    uint64_t n;

    if (!find(o, field, &v))
        return 0;
    if (!json_number(o, field, max, &n) || n < min)
        return err_set(e, ERR_USAGE, "'%s' must be a whole number from %llu to %llu", field,
                       (unsigned long long)min, (unsigned long long)max);
    *ret = n;
    return 0;
}

static int take_flag(const struct json_object *o, const char *field, bool *ret, struct err *e)
{
    struct json_object *v;

    if (!find(o, field, &v))
        return 0;
    if (!json_object_is_type(v, json_type_boolean))
        return err_set(e, ERR_USAGE, "'%s' must be true or false", field);
    *ret = json_object_get_boolean(v);
    return 0;
}

/* A string without zero bytes, copied; NULL when absent. */
static int take_string(const struct json_object *o, const char *field, size_t max, char **ret,
                       struct err *e)
{
    struct json_object *v;
    const char *s;
    size_t n;

    if (!find(o, field, &v))
        return 0;
    s = json_string(o, field);
    n = s ? (size_t)json_object_get_string_len(v) : 0;
    if (!s || n == 0 || n > max || strlen(s) != n)
        return err_set(e, ERR_USAGE, "'%s' must be a string of 1 to %zu bytes", field, max);
    *ret = strdup(s);
    return *ret ? 0 : -ENOMEM;
}

/* Sampling: a frequency for what ticks, a period for what is counted. */
static int check_rate(struct request *r, const struct json_object *o, struct err *e)
{
    struct json_object *v;
    int error;

    r->frequency = 0;
    error = take_number(o, "frequency", 1, PROTO_FREQUENCY_MAX, &r->frequency, e);
    if (error == 0)
        error = take_number(o, "period", 1, PROTO_PERIOD_MAX, &r->period, e);
    if (error < 0)
        return error;
    if (r->frequency && json_object_object_get_ex(o, "period", &v))
        return err_set(e, ERR_USAGE, "give 'frequency' or 'period', not both");
    if (*r->event.tracepoint && (r->frequency || r->period > 1))
        return err_set(e, ERR_USAGE,
                       "the tracepoint '%s' is taken at every hit: give neither a "
                       "frequency nor a period",
                       r->event_word);
    if (!r->frequency && !r->period) {
        /* Software counters are rare enough to take each; hardware ones are not. */
        if (r->event.type == PERF_TYPE_SOFTWARE && !r->event.clock)
            r->period = 1;
        else if (!*r->event.tracepoint)
            r->frequency = PROTO_FREQUENCY_DEFAULT;
    }
    return 0;
}

/* Which states of a blocked thread a word stands for: bits of the kernel's task state. */
static int take_states(const struct json_object *o, const char *field, uint32_t *ret, struct err *e)
{
    static const struct {
        const char *word;
        uint32_t bits;
    } states[] = {{"all", 0}, {"interruptible", 1}, {"uninterruptible", 2}};
    struct json_object *v;
    const char *word = json_string(o, field);

    if (!find(o, field, &v))
        return 0;
    for (size_t i = 0; word && i < ARRAY_SIZE(states); i++)
        if (strcmp(word, states[i].word) == 0) {
            *ret = states[i].bits;
            return 0;
        }
    return err_set(e, ERR_USAGE, "'%s' must be all, interruptible or uninterruptible", field);
}

/* How long a slice of a histogram over time is. */
static uint64_t slice_of(uint64_t duration_ms)
{
    return duration_ms ? MAX(duration_ms * NS_PER_MS / SLICES, SLICE_NS_MIN) : NS_PER_SEC;
}

/* What only the views of threads' time know. */
static int parse_waits(const struct json_object *o, struct request *r, struct err *e)
{
    struct wait_filter *w = &r->wait;
    _cleanup_free_ char *thread = NULL;
    uint64_t depth = CHAIN_DEPTH_DEFAULT;
    int error;

    w->max_overhead = OVERHEAD_DEFAULT;
    error = take_states(o, "state", &w->states, e);
    if (error == 0)
        error = take_number(o, "max_overhead", 1, PROTO_OVERHEAD_MAX, &w->max_overhead, e);
    if (error == 0)
        error = take_number(o, "min_us", 0, PROTO_WAIT_US_MAX, &w->min_us, e);
    if (error == 0)
        error = take_number(o, "max_us", 1, PROTO_WAIT_US_MAX, &w->max_us, e);
    if (error == 0)
        error = take_number(o, "chain_depth", 1, EVENT_CHAIN_MAX, &depth, e);
    if (error == 0)
        error = take_string(o, "thread", EVENT_COMM_SIZE - 1, &thread, e);
    if (error < 0)
        return error;
    if (w->max_us && w->max_us < w->min_us)
        return err_set(e, ERR_USAGE, "'max_us' is below 'min_us'");
    if (thread)
        memcpy(w->comm, thread, strlen(thread));
    w->chain_depth = (uint32_t)depth;
    w->slice_ns = slice_of(r->duration_ms);
    return 0;
}

static int take_weight(const struct json_object *o, const char *field, enum probe_weight *ret,
                       struct err *e)
{
    static const char *const words[WEIGHT_COUNT] = {
        [WEIGHT_CALLS] = "calls",
        [WEIGHT_BYTES] = "bytes",
        [WEIGHT_TIME] = "time",
    };
    const char *word = json_string(o, field);
    struct json_object *v;

    if (!json_object_object_get_ex(o, field, &v))
        return 0;
    for (int i = 0; word && i < WEIGHT_COUNT; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum probe_weight)i;
            return 0;
        }
    return err_set(e, ERR_USAGE, "'%s' must be calls, bytes or time", field);
}

const char *request_unit(const struct request *r)
{
    if (r->weight == WEIGHT_BYTES)
        return "bytes";
    return r->weight == WEIGHT_TIME ? "microseconds" : r->probe->unit;
}

/* What only the views of I/O know. They may go on until somebody ends them. */
static int parse_io(const struct json_object *o, struct request *r, struct err *e)
{
    bool stacks = false;
    int error;

    error = take_flag(o, "events", &r->events, e);
    if (error == 0)
        error = take_flag(o, "stacks", &stacks, e);
    if (error == 0)
        error = take_weight(o, "weight", &r->weight, e);
    if (error < 0)
        return error;
    if (stacks && r->events)
        return err_set(e, ERR_USAGE, "give 'stacks' or 'events', not both");
    if (!stacks && r->weight != WEIGHT_CALLS)
        return err_set(e, ERR_USAGE, "'weight' is of 'stacks'");
    if (stacks)
        r->probe = r->probe->as_stacks;
    if (r->probe->refuses & 1u << r->weight)
        return err_set(e, ERR_USAGE, "stacks of the view '%s' weigh calls or bytes",
                       r->probe->view);
    r->wait.slice_ns = slice_of(r->duration_ms);
    return 0;
}

/* Fields that would mean nothing to this view are a mistake of whoever asks. */
static int refuse_others(const struct json_object *o, const struct probe_ops *probe, struct err *e)
{
    static const struct {
        const char *field;
        enum probe_family family;
    } fields[] = {
        {"event", FAMILY_SAMPLES},      {"frequency", FAMILY_SAMPLES},
        {"period", FAMILY_SAMPLES},     {"state", FAMILY_WAITS},
        {"min_us", FAMILY_WAITS},       {"max_us", FAMILY_WAITS},
        {"chain_depth", FAMILY_WAITS},  {"thread", FAMILY_WAITS},
        {"max_overhead", FAMILY_WAITS}, {"events", FAMILY_IO},
        {"stacks", FAMILY_IO},          {"weight", FAMILY_IO},
    };
    struct json_object *v;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (find(o, fields[i].field, &v) && fields[i].family != probe->family)
            return err_set(e, ERR_USAGE, "the view '%s' has no '%s'", probe->view, fields[i].field);
    return 0;
}

static int unknown_view(const char *word, struct err *e)
{
    char names[160] = "";

    for (size_t i = 0; probe_table[i]; i++) {
        size_t used = strlen(names);

        snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", probe_table[i]->view);
    }
    return err_set(e, ERR_USAGE, "there is no view '%.64s': give one of %s", word, names);
}

static int parse_capture(const struct json_object *o, struct request *r, struct err *e)
{
    struct json_object *v;
    const char *view = find(o, "view", &v) ? json_string(o, "view") : NULL;
    int error;

    r->probe = view ? probe_find(view) : NULL;
    if (!r->probe)
        return unknown_view(view ? view : "", e);
    error = refuse_others(o, r->probe, e);
    if (error < 0)
        return error;
    r->duration_ms = PROTO_DURATION_MS_DEFAULT;
    r->max_stack = PROTO_STACK_DEFAULT;
    error = take_string(o, "target", PROTO_TARGET_MAX, &r->target, e);
    if (error == 0 && !r->target)
        error = err_set(e, ERR_USAGE, "a capture needs a 'target'");
    if (error == 0)
        error = take_string(o, "event", 100, &r->event_word, e);
    if (error == 0 && !r->event_word)
        error = (r->event_word = strdup("cpu-clock")) ? 0 : -ENOMEM;
    if (error == 0)
        error = take_number(o, "duration_ms", r->probe->family != FAMILY_IO, PROTO_DURATION_MS_MAX,
                            &r->duration_ms, e);
    if (error == 0)
        error = take_number(o, "pid", 1, INT32_MAX, &r->pid, e);
    if (error == 0)
        error = take_number(o, "max_stack", 1, PROTO_STACK_MAX, &r->max_stack, e);
    if (error == 0)
        error = take_flag(o, "per_process", &r->per_process, e);
    if (error == 0)
        error = take_flag(o, "per_thread", &r->per_thread, e);
    if (error == 0)
        error = take_flag(o, "addresses", &r->addresses, e);
    if (error == 0)
        error = take_flag(o, "full_names", &r->full_names, e);
    if (error == 0)
        error = take_flag(o, "java", &r->java, e);
    if (error == 0)
        error = take_flag(o, "inline", &r->inlines, e);
    if (error == 0)
        error = perf_event_parse(r->event_word, &r->event, e);
    if (error < 0)
        return error;
    switch (r->probe->family) {
    case FAMILY_WAITS:
        return parse_waits(o, r, e);
    case FAMILY_IO:
        return parse_io(o, r, e);
    default:
        return check_rate(r, o, e);
    }
}

/* Whoever is the older of the two is told to be replaced. */
static int check_version(const struct json_object *o, struct err *e)
{
    struct json_object *v;
    uint64_t version;

    if (!find(o, "porthole", &v) || !json_number(o, "porthole", UINT32_MAX, &version))
        return err_set(e, ERR_USAGE,
                       "the request must say \"porthole\":%d, the version of the protocol",
                       PROTO_VERSION);
    if (PROTO_VERSION_MIN <= version && version <= PROTO_VERSION)
        return 0;
    err_set(e, ERR_VERSION,
            "this agent speaks version %d of the protocol, the request version %llu", PROTO_VERSION,
            (unsigned long long)version);
    err_remedy(e, "upgrade %s, the older of the two",
               version > PROTO_VERSION ? "portholed" : "porthole");
    return -EPROTONOSUPPORT;
}

int request_parse(const char *line, size_t size, struct request *ret, struct err *e)
{
    _cleanup_json_ struct json_object *o = NULL;
    struct request r = {0};
    struct json_object *v;
    const char *op;
    int error;

    error = json_parse_strict(line, size, &o, e);
    if (error < 0) {
        /* Whatever is wrong with it, the client wrote it. */
        if (e->code == ERR_FAILED)
            e->code = ERR_USAGE;
        return error;
    }
    op = find(o, "op", &v) ? json_string(o, "op") : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (op && strcmp(ops[i].word, op) == 0) {
            r.op = ops[i].op;
            error = r.op == REQUEST_STOP ? 0 : check_version(o, e);
            if (error == 0 && r.op == REQUEST_CAPTURE)
                error = parse_capture(o, &r, e);
            if (error == 0)
                collect_ignored(o, &r.ignored);
            if (error == 0)
                error = buf_error(&r.ignored);
            if (error < 0) {
                request_free(&r);
                return error;
            }
            *ret = r;
            return 0;
        }
    return err_set(e, ERR_USAGE, "unknown op '%.64s': give list, status or capture", op ? op : "");
}
