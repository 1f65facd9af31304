/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole doctor: what this host can and cannot do, and why. Works without the agent.
 */
#include "cli/cmd.h"

#include "agent/doctor.h"
#include "base/buf.h"
#include "base/text.h"

#include <string.h>

#define NAME_WIDTH 25

struct printer {
    bool json, colour;
    const char *group; /* of the last line */
    size_t counts[DOCTOR_STATUS_COUNT];
};

static void add_field(struct buf *line, const char *name, const char *value)
{
    buf_addf(line, ",\"%s\":", name);
    text_add_json(line, value);
}

static void add_json(struct buf *line, const struct doctor_result *r)
{
    buf_adds(line, "{\"type\":\"record\",\"kind\":\"check\"");
    add_field(line, "group", r->group);
    add_field(line, "name", r->name);
    add_field(line, "status", doctor_status_name(r->status));
    add_field(line, "detail", r->detail);
    add_field(line, "remedy", r->remedy);
    add_field(line, "costs", r->costs);
    buf_adds(line, "}\n");
}

static void add_text(struct buf *line, const struct doctor_result *r, bool colour)
{
    static const char *const colours[DOCTOR_STATUS_COUNT] = {
        [DOCTOR_WORKS] = "\033[32m",
        [DOCTOR_LIMITED] = "\033[33m",
        [DOCTOR_MISSING] = "\033[31m",
        [DOCTOR_INFO] = "\033[2m",
    };

    buf_addf(line, "  %s%-7s%s  %-*s ", colour ? colours[r->status] : "",
             doctor_status_name(r->status), colour ? "\033[0m" : "", NAME_WIDTH, r->name);
    text_add_terminal(line, r->detail);
    if (r->costs[0]) {
        buf_adds(line, "; lost: ");
        text_add_terminal(line, r->costs);
    }
    if (r->remedy[0]) {
        buf_adds(line, "; to get it: ");
        text_add_terminal(line, r->remedy);
    }
    buf_addc(line, '\n');
}

static void print_result(void *data, const struct doctor_result *r)
{
    struct printer *p = data;
    _cleanup_buf_ struct buf line = {0};

    p->counts[r->status]++;
    if (p->json) {
        add_json(&line, r);
    } else {
        if (!p->group || strcmp(p->group, r->group) != 0)
            buf_addf(&line, "%s%s\n", p->group ? "\n" : "", r->title);
        add_text(&line, r, p->colour);
    }
    p->group = r->group;
    fwrite(line.data ? line.data : "", 1, line.size, stdout);
}

static bool wants_colour(void)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
}

static const char *socket_path(void)
{
    const char *path = cmd_socket ? cmd_socket : getenv(PROTO_SOCKET_ENV);

    return path && *path ? path : PROTO_SOCKET;
}

static void print_summary(const struct printer *p, bool able)
{
    printf("\n%s: %zu work, %zu limited, %zu missing\n",
           able ? "cpu works here" : "cpu cannot work here", p->counts[DOCTOR_WORKS],
           p->counts[DOCTOR_LIMITED], p->counts[DOCTOR_MISSING]);
    if (geteuid() != 0)
        printf("tried with the rights of uid %u; run as root to see what an agent can do\n",
               (unsigned)geteuid());
}

static bool want_json;
const struct option_spec cmd_doctor_options[] = {
    {.name = "json", .kind = OPTION_FLAG, .into = &want_json, .help = "one object a line"},
    CMD_OPTION_SOCKET,
    {0},
};

int cmd_doctor(int argc, char **argv, struct err *e)
{
    struct printer p = {0};
    size_t operands;
    int r;

    r = options_parse(cmd_doctor_options, argc, argv, NULL, 0, &operands, e);
    if (r < 0)
        return r;
    p.json = want_json;
    p.colour = !p.json && wants_colour();
    r = doctor_run(socket_path(), print_result, &p, e);
    if (!p.json)
        print_summary(&p, r == 0);
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_set(e, ERR_FAILED, "standard output cannot be written");
    return r;
}
