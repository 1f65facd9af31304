/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole: finds the command, runs it, says once what went wrong.
 */
#include "cli/cmd.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

const struct cmd commands[] = {
    {.name = "list",
     .operands = "",
     .help = "running containers: name, id, runtime, image or pod, pid, processes, cgroup",
     .examples = "porthole list  # a table\n"
                 "porthole list --json  # one object a line, for scripts\n",
     .options = cmd_list_options,
     .run = cmd_list},
    {.name = "cpu",
     .operands = "TARGET",
     .help = "where CPU time goes",
     .more =
         "TARGET is a container's name, the first 4 or more letters of its id, pod/container or\n"
         "namespace/pod/container, docker:NAME, podman:NAME, cri:ID, runc:ID, cgroup:/path,\n"
         "unit:nginx.service, pid:123 or all. Quality and losses go to stderr.\n",
     .examples = "porthole cpu web1  # ten seconds, a tree on the terminal\n"
                 "porthole cpu web1 -d 30 -o web1.svg  # a flame graph for the browser\n"
                 "porthole cpu shop/cart/app -F 499 -o cart.pb.gz  # for go tool pprof\n"
                 "porthole cpu all -o all.json  # kept, to be drawn later by render\n",
     .options = cmd_capture_options,
     .run = cmd_capture},
    {.name = "render",
     .operands = "FILE",
     .help = "draw a saved capture (.json) or folded lines again; - is stdin",
     .examples = "porthole render web1.json  # a tree on the terminal\n"
                 "porthole render web1.json -o web1.svg --title 'before the fix'\n"
                 "porthole render stacks.folded -o stacks.svg --icicle\n",
     .options = cmd_render_options,
     .run = cmd_render},
    {.name = "doctor",
     .operands = "",
     .help = "what this host can and cannot do, and why; works without the agent",
     .more = "Tries each need for real, with the rights of whoever runs it, and leaves nothing\n"
             "behind. Exit status 6 when cpu cannot work, with the reason on stderr.\n",
     .examples = "porthole doctor  # a line for each need\n"
                 "porthole doctor --json  # for scripts\n",
     .options = cmd_doctor_options,
     .run = cmd_doctor},
    {.name = "status",
     .operands = "",
     .help = "the agent: captures, limits, caches, losses, children, its own cost",
     .examples = "porthole status  # for people\n"
                 "porthole status --json  # for scripts\n",
     .options = cmd_status_options,
     .run = cmd_status},
    {0},
};

static bool want_help, want_version, want_commands;

static const struct option_spec global_options[] = {
    CMD_OPTION_SOCKET,
    {.name = "help",
     .short_name = 'h',
     .kind = OPTION_FLAG,
     .into = &want_help,
     .help = "this text; after a command, that command's"},
    {.name = "version", .kind = OPTION_FLAG, .into = &want_version, .help = "the version"},
    {0},
};

/* For completion and man page checks only, so not in the help. */
static const struct option_spec hidden_options[] = {
    CMD_OPTION_SOCKET,
    {.name = "help", .short_name = 'h', .kind = OPTION_FLAG, .into = &want_help},
    {.name = "version", .kind = OPTION_FLAG, .into = &want_version},
    {.name = "commands", .kind = OPTION_FLAG, .into = &want_commands},
    {0},
};

static const char exit_codes[] =
    "Exit status:\n"
    "  0 done   1 failed   2 wrong usage   3 agent not reachable   4 no such or ambiguous target\n"
    "  5 not permitted   6 this host cannot do that   130 interrupted before anything was seen\n";

static void print_usage(FILE *out)
{
    fputs("Name a container, get a true picture of where its time goes.\n\n"
          "Usage: porthole [--socket PATH] COMMAND [TARGET] [OPTIONS]\n\nCommands:\n",
          out);
    for (const struct cmd *c = commands; c->name; c++)
        fprintf(out, "  %s%s%-*s %s\n", c->name, *c->operands ? " " : "",
                (int)(14 - strlen(c->name) - (*c->operands ? 1 : 0)), c->operands, c->help);
    fputs("\nOptions:\n", out);
    options_help(global_options, out);
    fprintf(out, "\n%s\n'porthole COMMAND --help' explains one, with examples.\n", exit_codes);
}

static void print_examples(const char *examples, FILE *out)
{
    fputs("\nExamples:\n", out);
    for (const char *p = examples; *p; p += strcspn(p, "\n") + 1)
        fprintf(out, "  %.*s\n", (int)strcspn(p, "\n"), p);
}

static void print_command(const struct cmd *c, FILE *out)
{
    fprintf(out, "porthole %s: %s\n\nUsage: porthole %s%s%s [OPTIONS]\n", c->name, c->help, c->name,
            *c->operands ? " " : "", c->operands);
    if (c->more)
        fprintf(out, "\n%s", c->more);
    fputs("\nOptions:\n", out);
    options_help(c->options, out);
    print_examples(c->examples, out);
    fprintf(out, "\n%s", exit_codes);
}

/* One line a command and one an option, fields set apart by tabs. */
static void print_machine(FILE *out)
{
    for (const struct cmd *c = commands; c->name; c++) {
        fprintf(out, "command\t%s\t%s\t%s\n", c->name, c->operands, c->help);
        for (const struct option_spec *s = c->options; s->name; s++)
            fprintf(out, "option\t%s\t--%s\t%s%.1s\t%s\t%s\t%s\n", c->name, s->name,
                    s->short_name ? "-" : "", s->short_name ? &s->short_name : "",
                    s->arg ? s->arg : "", s->choices ? s->choices : "", s->help);
    }
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static const struct cmd *find_command(const char *name, struct err *e)
{
    for (const struct cmd *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    err_set(e, ERR_USAGE, "unknown command '%.64s'", name);
    err_remedy(e, "porthole --help lists them");
    return NULL;
}

/* The place of the command's name in argv; argc when there is none. */
static int find_first(int argc, char **argv)
{
    int i = 1;

    while (i < argc && argv[i][0] == '-')
        i += strcmp(argv[i], "--socket") == 0 ? 2 : 1;
    return MIN(i, argc);
}

static int run(int argc, char **argv, struct err *e)
{
    int first = find_first(argc, argv), r;
    const struct cmd *c;
    size_t count;

    r = options_parse(hidden_options, first, argv, NULL, 0, &count, e);
    if (r < 0)
        return r;
    if (want_version) {
        printf("porthole %s\n", PORTHOLE_VERSION);
        return 0;
    }
    if (want_commands) {
        print_machine(stdout);
        return 0;
    }
    if (want_help || (first < argc && strcmp(argv[first], "help") == 0 && first + 1 == argc)) {
        print_usage(stdout);
        return 0;
    }
    if (first == argc) {
        r = err_set(e, ERR_USAGE, "no command given");
        err_remedy(e, "porthole --help lists them");
        return r;
    }
    c = find_command(argv[first], e);
    if (!c)
        return -EINVAL;
    if (asks_for_help(argc - first, argv + first)) {
        print_command(c, stdout);
        return 0;
    }
    return c->run(argc - first, argv + first, e);
}

/* Exactly one line, whatever names are in it. */
static void print_error(const struct err *e)
{
    _cleanup_buf_ struct buf b = {0};

    text_add_terminal(&b, e->message);
    if (e->remedy[0]) {
        buf_adds(&b, "; ");
        text_add_terminal(&b, e->remedy);
    }
    fprintf(stderr, "porthole: %s\n", b.data ? b.data : "failed");
}

int main(int argc, char **argv)
{
    struct err e = {0};
    int r = run(argc, argv, &e);

    if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        r = err_set(&e, ERR_FAILED, "cannot write to standard output: %s", strerror(errno));
    if (r >= 0)
        return 0;
    if (!e.code)
        err_set(&e, ERR_FAILED, "%s", strerror(-r));
    print_error(&e);
    return err_exit_status(e.code);
}
