/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/request.h"

#include "agent/proto.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>

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
    *r = (struct request){0};
}

/* A number within bounds, or what it was when the field is absent. */
static int take_number(const struct json_object *o, const char *field, uint64_t min, uint64_t max,
                       uint64_t *ret, struct err *e)
{
    struct json_object *v;
    uint64_t n;

    if (!json_object_object_get_ex(o, field, &v))
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

    if (!json_object_object_get_ex(o, field, &v))
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

    if (!json_object_object_get_ex(o, field, &v))
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

static int parse_capture(const struct json_object *o, struct request *r, struct err *e)
{
    const char *view = json_string(o, "view");
    int error;

    r->probe = view ? probe_find(view) : NULL;
    if (!r->probe)
        return err_set(e, ERR_USAGE, "there is no view '%.64s': give cpu", view ? view : "");
    r->duration_ms = PROTO_DURATION_MS_DEFAULT;
    error = take_string(o, "target", PROTO_TARGET_MAX, &r->target, e);
    if (error == 0 && !r->target)
        error = err_set(e, ERR_USAGE, "a capture needs a 'target'");
    if (error == 0)
        error = take_string(o, "event", 100, &r->event_word, e);
    if (error == 0 && !r->event_word)
        error = (r->event_word = strdup("cpu-clock")) ? 0 : -ENOMEM;
    if (error == 0)
        error = take_number(o, "duration_ms", 1, PROTO_DURATION_MS_MAX, &r->duration_ms, e);
    if (error == 0)
        error = take_number(o, "pid", 1, INT32_MAX, &r->pid, e);
    if (error == 0)
        error = take_flag(o, "per_process", &r->per_process, e);
    if (error == 0)
        error = take_flag(o, "per_thread", &r->per_thread, e);
    if (error == 0)
        error = take_flag(o, "addresses", &r->addresses, e);
    if (error == 0)
        error = perf_event_parse(r->event_word, &r->event, e);
    return error < 0 ? error : check_rate(r, o, e);
}

int request_parse(const char *line, size_t size, struct request *ret, struct err *e)
{
    _cleanup_json_ struct json_object *o = NULL;
    struct request r = {0};
    const char *op;
    uint64_t version;
    int error;

    error = json_parse_strict(line, size, &o, e);
    if (error < 0) {
        /* Whatever is wrong with it, the client wrote it. */
        if (e->code == ERR_FAILED)
            e->code = ERR_USAGE;
        return error;
    }
    op = json_string(o, "op");
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (op && strcmp(ops[i].word, op) == 0) {
            r.op = ops[i].op;
            if (r.op != REQUEST_STOP &&
                (!json_number(o, "porthole", UINT32_MAX, &version) || version != PROTO_VERSION))
                return err_set(e, ERR_USAGE,
                               "the request must say \"porthole\":%d, the version "
                               "of the protocol",
                               PROTO_VERSION);
            error = r.op == REQUEST_CAPTURE ? parse_capture(o, &r, e) : 0;
            if (error < 0) {
                request_free(&r);
                return error;
            }
            *ret = r;
            return 0;
        }
    return err_set(e, ERR_USAGE, "unknown op '%.64s': give list, status or capture", op ? op : "");
}
