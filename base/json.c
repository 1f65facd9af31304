/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/table.h"

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
    t = json_tokener_new_ex(JSON_DEPTH_MAX);
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

/* ---- what json-c lets pass ---- */

struct scan {
    const char *text;
    size_t size, at;
    size_t keys; /* seen, in all objects */
    struct err *e;
};

static void skip_string(struct scan *s)
{
    for (s->at++; s->at < s->size && s->text[s->at] != '"'; s->at++)
        if (s->text[s->at] == '\\')
            s->at++;
    s->at++;
}

static int check_key(struct scan *s, struct table *keys, size_t start)
{
    size_t n = s->at - start;

    s->keys++;
    if (table_get(keys, s->text + start, n))
        return err_set(s->e, ERR_USAGE, "the key %.*s stands there twice", (int)MIN(n, 64u),
                       s->text + start);
    return table_put(keys, s->text + start, n, (void *)1);
}

/* Digits beyond those of the largest 64-bit number. */
static int check_number(struct scan *s)
{
    static const char max[] = "18446744073709551615";
    size_t start = s->at, n;

    while (s->at < s->size && strchr("+-.eE0123456789", s->text[s->at]))
        s->at++;
    n = s->at - start;
    if (memchr(s->text + start, '.', n) || memchr(s->text + start, 'e', n) ||
        memchr(s->text + start, 'E', n))
        return 0;
    if (n > strlen(max) || (n == strlen(max) && memcmp(s->text + start, max, n) > 0))
        return err_set(s->e, ERR_USAGE, "the number %.*s does not fit 64 bits", (int)MIN(n, 32u),
                       s->text + start);
    return 0;
}

/* One object or array of valid JSON, from its bracket on. Recursion is bounded: json-c has refused
 * what is nested deeper than JSON_DEPTH_MAX. */
static int check_nested(struct scan *s)
{
    _cleanup_(table_freep) struct table *keys = NULL;
    bool object = s->text[s->at++] == '{', key = object;
    int r = table_new(&keys, NULL);

    while (r == 0 && s->at < s->size) {
        char c = s->text[s->at];

        if (c == '}' || c == ']') {
            s->at++;
            return 0;
        }
        if (c == '"') {
            size_t start = s->at;

            skip_string(s);
            if (key)
                r = check_key(s, keys, start);
            key = false;
        } else if (c == '{' || c == '[') {
            r = check_nested(s);
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            r = check_number(s);
        } else if (!strchr(" \t\r\n:,truefalsn", c)) {
            /* NaN, Infinity and single quotes, which json-c takes even when it is strict. */
            r = err_set(s->e, ERR_USAGE, "not JSON: unexpected character '%c'", c);
        } else {
            key |= object && c == ',';
            s->at++;
        }
    }
    return r;
}

/* Keys that json-c kept. */
static size_t count_keys(struct json_object *o)
{
    size_t n = 0;

    if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, value)
        {
            (void)key;
            n += 1 + count_keys(value);
        }
    } else if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(o); i++)
            n += count_keys(json_object_array_get_idx(o, i));
    }
    return n;
}

int json_parse_strict(const char *line, size_t size, struct json_object **ret, struct err *e)
{
    _cleanup_json_ struct json_object *o = NULL;
    struct scan scan = {.text = line, .size = size, .e = e};
    int r;

    r = json_parse_line(line, size, &o, e);
    if (r < 0)
        return r;
    while (scan.at < size && line[scan.at] != '{')
        scan.at++;
    r = check_nested(&scan);
    if (r < 0)
        return r;
    /* "a" and "\u0061" are one key: json-c has fewer then than the text. */
    if (count_keys(o) != scan.keys)
        return err_set(e, ERR_USAGE, "two keys of one object are equal, escapes aside");
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
