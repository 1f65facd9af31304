/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"

#include "agent/proto.h"

#include <errno.h>
#include <string.h>

static inline void tokener_freep(struct json_tokener **t)
{
    if (*t)
        json_tokener_free(*t);
}

int json_parse_line(const char *line, size_t size, struct json_object **ret, struct err *e)
{
    _cleanup_(tokener_freep) struct json_tokener *t = NULL;
    _cleanup_json_ struct json_object *o = NULL;
    enum json_tokener_error error;

    if (size > JSON_LINE_MAX)
        return err_set(e, ERR_FAILED, "a line of %zu bytes is longer than the %u allowed", size,
                       JSON_LINE_MAX);
    if (memchr(line, '\0', size))
        return err_set(e, ERR_FAILED, "not JSON: a zero byte");
    t = json_tokener_new_ex(PROTO_DEPTH_MAX);
    if (!t)
        return -ENOMEM;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);

    o = json_tokener_parse_ex(t, line, (int)size);
    error = json_tokener_get_error(t);
    if (error == json_tokener_continue)
        return err_set(e, ERR_FAILED, "not JSON: the object is cut off");
    if (error != json_tokener_success)
        return err_set(e, ERR_FAILED, "not JSON: %s", json_tokener_error_desc(error));
    if (json_tokener_get_parse_end(t) < size)
        return err_set(e, ERR_FAILED, "not JSON: bytes behind the object");
    if (!json_object_is_type(o, json_type_object))
        return err_set(e, ERR_FAILED, "not a JSON object");
    *ret = TAKE_PTR(o);
    return 0;
}

const char *json_string(const struct json_object *o, const char *field)
{
    struct json_object *v = json_member(o, field, json_type_string);

    return v ? json_object_get_string(v) : NULL;
}

bool json_number(const struct json_object *o, const char *field, uint64_t max, uint64_t *ret)
{
    struct json_object *v = json_member(o, field, json_type_int);
    uint64_t n;

    /* json-c answers 0 for a negative number read as unsigned, and the largest for one too big. */
    if (!v || json_object_get_int64(v) < 0)
        return false;
    n = json_object_get_uint64(v);
    if (n > max)
        return false;
    *ret = n;
    return true;
}

uint64_t json_count(const struct json_object *o, const char *field)
{
    uint64_t n = 0;

    json_number(o, field, UINT64_MAX, &n);
    return n;
}

bool json_flag(const struct json_object *o, const char *field)
{
    struct json_object *v = json_member(o, field, json_type_boolean);

    return v && json_object_get_boolean(v);
}

struct json_object *json_member(const struct json_object *o, const char *field, enum json_type type)
{
    struct json_object *v = NULL;

    if (!o || !json_object_object_get_ex(o, field, &v) || !json_object_is_type(v, type))
        return NULL;
    return v;
}
