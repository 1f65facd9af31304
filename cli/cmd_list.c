/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole list: the containers that the agent sees, as a table or one JSON object a line.
 */
#include "cli/cmd.h"

#include "cli/talk.h"
#include "cli/columns.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ID_SHOWN 12

static bool as_json;

const struct option_spec cmd_list_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .into = &as_json,
     .help = "one object a line, as the agent sends them"},
    CMD_OPTION_SOCKET,
    {0},
};

static void add_string(struct buf *b, const struct json_object *o, const char *field)
{
    const char *s = json_string(o, field);

    if (s)
        buf_adds(b, s);
}

static void text_name(struct buf *b, const struct json_object *o)
{
    add_string(b, o, "name");
}

static void text_id(struct buf *b, const struct json_object *o)
{
    const char *id = json_string(o, "id");

    if (id)
        buf_add(b, id, strnlen(id, ID_SHOWN));
}

static void text_runtime(struct buf *b, const struct json_object *o)
{
    add_string(b, o, "runtime");
}

static void text_image(struct buf *b, const struct json_object *o)
{
    if (!json_string(o, "pod")) {
        add_string(b, o, "image");
        return;
    }
    if (json_string(o, "namespace")) {
        add_string(b, o, "namespace");
        buf_addc(b, '/');
    }
    add_string(b, o, "pod");
}

static void add_number(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t n;

    if (json_number(o, field, UINT64_MAX, &n))
        buf_addf(b, "%" PRIu64, n);
}

static void text_pid(struct buf *b, const struct json_object *o)
{
    add_number(b, o, "init_pid");
}

static void text_processes(struct buf *b, const struct json_object *o)
{
    add_number(b, o, "processes");
}

static void text_cgroup(struct buf *b, const struct json_object *o)
{
    add_string(b, o, "cgroup");
}

static const struct column columns[] = {
    {"NAME", "what to call it on the command line", text_name, false, 12},
    {"ID", "the first 12 letters of its id", text_id, false, 0},
    {"RUNTIME", "who runs it", text_runtime, false, 0},
    {"IMAGE/POD", "its image, or its namespace and pod", text_image, false, 10},
    {"PID", "its first process, as the host numbers it", text_pid, true, 0},
    {"PROCS", "how many processes it has", text_processes, true, 0},
    {"CGROUP", "its control group", text_cgroup, false, 12},
    {0},
};

static int take_record(void *data, struct json_object *record)
{
    struct json_object *all = data;
    const char *kind = json_string(record, "kind");

    if (!kind || strcmp(kind, "container") != 0)
        return 0;
    if (json_object_array_add(all, json_object_get(record)) == 0)
        return 0;
    json_object_put(record);
    return -ENOMEM;
}

int cmd_list(int argc, char **argv, struct err *e)
{
    _cleanup_json_ struct json_object *all = json_object_new_array();
    size_t count;
    int r;

    if (!all)
        return -ENOMEM;
    r = options_parse(cmd_list_options, argc, argv, NULL, 0, &count, e);
    if (r < 0)
        return r;
    r = talk_records(cmd_socket, "list", take_record, all, e);
    if (r < 0)
        return r;
    if (!as_json)
        return columns_print(columns, all, cmd_width(stdout), stdout);
    for (size_t i = 0; i < json_object_array_length(all); i++)
        puts(json_object_to_json_string_ext(json_object_array_get_idx(all, i),
                                            JSON_C_TO_STRING_PLAIN |
                                                JSON_C_TO_STRING_NOSLASHESCAPE));
    return 0;
}
