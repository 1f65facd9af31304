/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole status: the agent's own account of itself. Its record is printed as it is nested, so
 * that a new field of the agent shows without a change here.
 */
#include "cli/cmd.h"

#include "base/text.h"
#include "cli/talk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define INDENT 2
#define KEY_WIDTH 20

static bool as_json;

const struct option_spec cmd_status_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .into = &as_json,
     .help = "the agent's record as it is, on one line"},
    CMD_OPTION_SOCKET,
    {0},
};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

/* A number in the unit that its name ends with, as a person reads it. */
static void add_number(struct buf *b, const char *key, int64_t n)
{
    if (ends_with(key, "_ms"))
        buf_addf(b, "%.3g s", (double)n / 1e3);
    else if (ends_with(key, "_us"))
        buf_addf(b, "%.3f s", (double)n / 1e6);
    else if (ends_with(key, "_kb"))
        buf_addf(b, "%.1f MiB", (double)n / 1024);
    else if (ends_with(key, "_mb"))
        buf_addf(b, "%" PRId64 " MiB", n);
    else if (ends_with(key, "bytes"))
        buf_addf(b, "%.1f MiB", (double)n / (1024 * 1024));
    else
        buf_addf(b, "%" PRId64, n);
}

/* The key without its unit, underscores as blanks. */
static void add_key(struct buf *b, const char *key)
{
    static const char *const units[] = {"_ms", "_us", "_kb", "_mb"};
    _cleanup_free_ char *copy = strdup(key);

    if (!copy)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (ends_with(copy, units[i]))
            copy[strlen(copy) - strlen(units[i])] = '\0';
    for (char *p = strchr(copy, '_'); p; p = strchr(p, '_'))
        *p = ' ';
    text_add_terminal(b, copy);
}

static bool is_nested(struct json_object *v)
{
    return json_object_is_type(v, json_type_object) || json_object_is_type(v, json_type_array);
}

static void print_object(struct json_object *o, unsigned depth, FILE *out);

/* Elements of an array: plain ones on lines of their own, objects set apart by a dash. */
static void print_array(struct json_object *a, unsigned depth, FILE *out)
{
    for (size_t i = 0; i < json_object_array_length(a); i++) {
        struct json_object *v = json_object_array_get_idx(a, i);
        _cleanup_buf_ struct buf b = {0};

        if (json_object_is_type(v, json_type_object)) {
            fprintf(out, "%*s-\n", (int)(depth * INDENT), "");
            print_object(v, depth + 1, out);
        } else {
            const char *s = json_object_get_string(v);

            text_add_terminal(&b, s ? s : "-");
            fprintf(out, "%*s%s\n", (int)(depth * INDENT), "", b.data ? b.data : "");
        }
    }
}

static void print_member(const char *key, struct json_object *v, unsigned depth, FILE *out)
{
    _cleanup_buf_ struct buf b = {0};
    size_t used;

    buf_addf(&b, "%*s", (int)(depth * INDENT), "");
    add_key(&b, key);
    used = b.size;
    if (is_nested(v)) {
        bool array = json_object_is_type(v, json_type_array);
        bool empty =
            (array ? json_object_array_length(v) : (size_t)json_object_object_length(v)) == 0;

        fprintf(out, "%s%s\n", b.data ? b.data : "", empty ? ": none" : ":");
        if (array)
            print_array(v, depth + 1, out);
        else
            print_object(v, depth + 1, out);
        return;
    }
    buf_addf(&b, "%*s ", used < KEY_WIDTH ? (int)(KEY_WIDTH - used) : 0, "");
    if (json_object_is_type(v, json_type_int)) {
        add_number(&b, key, json_object_get_int64(v));
    } else {
        const char *s = json_object_get_string(v);

        text_add_terminal(&b, s ? s : "-");
    }
    if (!buf_error(&b))
        fprintf(out, "%s\n", b.data);
}

/* The parser bounds the depth, so recursion is bounded too. */
static void print_object(struct json_object *o, unsigned depth, FILE *out)
{
    json_object_object_foreach(o, key, v)
    {
        if (depth == 0 && (strcmp(key, "type") == 0 || strcmp(key, "kind") == 0))
            continue;
        print_member(key, v, depth, out);
    }
}

static int take_record(void *data _unused_, struct json_object *record)
{
    if (as_json)
        puts(json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN |
                                                        JSON_C_TO_STRING_NOSLASHESCAPE));
    else
        print_object(record, 0, stdout);
    return 0;
}

int cmd_status(int argc, char **argv, struct err *e)
{
    size_t count;
    int r;

    r = options_parse(cmd_status_options, argc, argv, NULL, 0, &count, e);
    if (r < 0)
        return r;
    return talk_records(cmd_socket, "status", take_record, NULL, e);
}
