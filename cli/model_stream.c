/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's stream (docs/protocol.md) into a model. Every id, size and number in it is checked:
 * a saved file may come from anybody.
 */
#include "cli/model.h"

#include "base/version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (1ull << 56)
#define PID_MAX (1ull << 31)
#define RECORDS_MAX 1000000

static int take_frame(struct model *m, const struct json_object *o, struct err *e)
{
    static const char *const kinds[FRAME_KIND_COUNT] = PROTO_FRAME_KINDS;
    static const enum model_kind drawn[FRAME_KIND_COUNT] = {MODEL_USER, MODEL_KERNEL, MODEL_JIT,
                                                            MODEL_INLINED, MODEL_LABEL};
    /* Kinds that later versions may add are drawn like the user's. */
    struct model_frame f = {.label = MODEL_NONE, .kind = MODEL_USER};
    const char *kind = json_string(o, "kind"), *address = json_string(o, "address");
    uint64_t id;
    uint32_t *ids;
    int r;

    f.name = json_string(o, "name");
    if (!f.name || !kind)
        return err_set(e, ERR_FAILED, "a frame without name or kind");
    for (size_t i = 0; i < FRAME_KIND_COUNT; i++)
        if (strcmp(kind, kinds[i]) == 0)
            f.kind = drawn[i];
    if (!json_number(o, "id", UINT32_MAX - 1, &id) || id != m->id_count)
        return err_set(e, ERR_FAILED, "frame ids must count up: expected %u", m->id_count);

    f.file = json_string(o, "file");
    f.build_id = json_string(o, "build_id");
    f.language = json_string(o, "language");
    f.named = json_flag(o, "named");
    f.address = address ? strtoull(address, NULL, 16) : 0;
    if (f.kind == MODEL_USER && f.language)
        f.kind = MODEL_CXX;

    if (m->id_count == m->id_room) {
        ids = reallocarray(m->ids, m->id_room * 2ull + 64, sizeof(*ids));
        if (!ids)
            return -ENOMEM;
        m->ids = ids;
        m->id_room = m->id_room * 2 + 64;
    }
    r = model_add_frame(m, &f, &m->ids[m->id_count]);
    if (r == 0)
        m->id_count++;
    return r;
}

/* The frames above the first function: container where the capture spans several, then thread. */
static int take_labels(struct model *m, const struct json_object *o, uint32_t *frames,
                       uint32_t *count)
{
    struct model_label l = {.comm = json_string(o, "comm"),
                            .container = json_string(o, "container")};
    int r;

    json_number(o, "pid", PID_MAX, &l.pid);
    json_number(o, "tid", PID_MAX, &l.tid);
    if (l.container) {
        struct model_frame f = {
            .name = l.container, .kind = MODEL_CONTAINER, .named = true, .label = MODEL_NONE};

        r = model_add_frame(m, &f, &frames[*count]);
        if (r < 0)
            return r;
        ++*count;
    }
    r = model_add_thread(m, &l, &frames[*count]);
    if (r == 0)
        ++*count;
    return r;
}

static int take_stack(struct model *m, const struct json_object *o, struct err *e)
{
    struct json_object *ids = json_member(o, "frames", json_type_array);
    _cleanup_free_ uint32_t *frames = NULL;
    uint32_t count = 0;
    uint64_t value;
    size_t n;
    int r;

    if (!ids)
        return err_set(e, ERR_FAILED, "a stack without frames");
    if (!json_number(o, "value", VALUE_MAX, &value))
        return err_set(e, ERR_FAILED, "a stack's value must be a whole number up to 2^56");
    n = json_object_array_length(ids);
    if (n > STACKS_DEPTH_MAX - 2)
        return err_set(e, ERR_FAILED, "a stack of %zu frames is too deep", n);
    frames = calloc(n + 2, sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    r = take_labels(m, o, frames, &count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(ids, i);
        int64_t id = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;

        if (id < 0 || id >= (int64_t)m->id_count)
            return err_set(e, ERR_FAILED, "a stack names a frame that did not come before it");
        frames[count++] = m->ids[id];
    }
    r = stacks_add(m->stacks, frames, count, value);
    return r == -EOVERFLOW ? err_set(e, ERR_FAILED, "the sum of values is too large") : r;
}

/* Keeps a line that may come once. */
static int keep(struct json_object **at, struct json_object *o, struct err *e)
{
    if (*at)
        return err_set(e, ERR_FAILED, "a second line of type '%s'", json_string(o, "type"));
    *at = json_object_get(o);
    return 0;
}

static int refuse_version(uint64_t version, struct err *e)
{
    int r = err_set(e, ERR_VERSION,
                    "it is of version %" PRIu64 " of the protocol, this porthole speaks version %d",
                    version, PROTO_VERSION);

    err_remedy(e, "upgrade %s, the older of the two",
               version > PROTO_VERSION ? "this porthole" : "portholed, or what wrote the file");
    return r;
}

int model_error(const struct json_object *o, struct err *e)
{
    const char *code = json_string(o, "code"), *message = json_string(o, "message");
    const char *remedy = json_string(o, "remedy"), *version = json_string(o, "version");
    struct json_object *names = json_member(o, "candidates", json_type_array);
    size_t n = names ? MIN(json_object_array_length(names), (size_t)8) : 0;
    char list[400] = "";
    int r;

    r = err_set(e, err_code_from_name(code ? code : ""), "%s",
                message && *message ? message : "the agent refused");
    if (remedy && *remedy)
        err_remedy(e, "%s", remedy);
    if (e->code == ERR_USAGE && version && strcmp(version, porthole_version) != 0)
        err_remedy(e,
                   "portholed is of version %.64s, porthole of %s: one may not know what the "
                   "other does",
                   version, porthole_version);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(names, i));
        size_t used = strlen(list);

        snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", name ? name : "");
    }
    if (n)
        err_remedy(e, "did you mean %s?", list);
    return r;
}

static int keep_record(struct model *m, struct json_object *o, struct err *e)
{
    if (!m->records)
        m->records = json_object_new_array();
    if (!m->records)
        return -ENOMEM;
    if (json_object_array_length(m->records) >= RECORDS_MAX)
        return err_set(e, ERR_FAILED, "more than %d records", RECORDS_MAX);
    if (json_object_array_add(m->records, json_object_get(o)) == 0)
        return 0;
    json_object_put(o);
    return -ENOMEM;
}

static int take_record(struct model *m, struct json_object *o, bool is_row, struct err *e)
{
    int r = 0;

    if (!m->started)
        return err_set(e, ERR_FAILED, "a record before the line of type 'started'");
    if (is_row) {
        m->rows++;
        r = m->take_row ? m->take_row(m->taker, m, o) : 0;
    }
    return r == 0 ? keep_record(m, o, e) : MIN(r, 0);
}

/* Sums and what happened once differ in type, so that nobody who adds up counts twice. */
static bool is_row(const char *type)
{
    return strcmp(type, "record") == 0 || strcmp(type, "aggregate") == 0 ||
           strcmp(type, "event") == 0;
}

static int take_started(struct model *m, struct json_object *o, struct err *e)
{
    const char *yields = json_string(o, "yields");
    uint64_t version;

    if (!json_number(o, "porthole", UINT64_MAX, &version))
        return err_set(e, ERR_FAILED, "it does not say its version of the protocol");
    if (version < PROTO_VERSION_MIN || version > PROTO_VERSION)
        return refuse_version(version, e);
    m->yields_records = yields && strcmp(yields, "records") == 0;
    return keep(&m->started, o, e);
}

int model_add_line(struct model *m, const char *line, size_t size, struct err *e)
{
    _cleanup_json_ struct json_object *o = NULL;
    const char *type;
    int r;

    m->line++;
    r = json_parse_line(line, size, &o, e);
    if (r < 0)
        return r;
    type = json_string(o, "type");
    if (!type)
        return err_set(e, ERR_FAILED, "a line without type");
    if (m->end)
        return err_set(e, ERR_FAILED, "a line behind the end");
    if (strcmp(type, "error") == 0) {
        model_error(o, &m->error);
        return 0;
    }
    if (strcmp(type, "started") == 0)
        return take_started(m, o, e);
    if (is_row(type) || strcmp(type, "histogram") == 0)
        return take_record(m, o, is_row(type), e);
    if (strcmp(type, "quality") == 0)
        return keep(&m->quality, o, e);
    if (strcmp(type, "end") == 0)
        return keep(&m->end, o, e);
    if (strcmp(type, "frame") != 0 && strcmp(type, "stack") != 0)
        return 0; /* progress, and what later versions may add */
    if (!m->started)
        return err_set(e, ERR_FAILED, "a %s before the line of type 'started'", type);
    return strcmp(type, "frame") == 0 ? take_frame(m, o, e) : take_stack(m, o, e);
}
