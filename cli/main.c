/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole: finds the command, runs it, says once what went wrong.
 */
#include "cli/cmd.h"

#include "base/text.h"
#include "base/version.h"
#include "cli/man.h"
#include "cli/tables.h"

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
    {.name = "offcpu",
     .operands = "TARGET",
     .help = "where threads wait, and for how long",
     .more =
         "Blocked time by stack, summed in the kernel; folded lines and JSON have microseconds.\n"
         "Time adds up over threads: ten that sleep have ten seconds a second, so look for the\n"
         "threads that matter and for stacks with functions of yours. Waiting in epoll, poll or\n"
         "select is waiting for work, and seldom what makes a service slow.\n\n"
         "Threads that were preempted are not blocked: see runq. Waits that began before the\n"
         "capture or outlast it count for their part within it. Not sure what to look for? Begin\n"
         "with states. A lock? offwake shows who let go of it.\n",
     .examples =
         "porthole offcpu web1 -o waits.svg  # a flame graph of waiting\n"
         "porthole offcpu db1 --state uninterruptible  # mostly the disk\n"
         "porthole offcpu db1 --min-us 1000 --per-thread  # waits of a millisecond and more\n"
         "porthole offcpu web1 --thread worker  # only threads whose name begins so\n",
     .options = cmd_waits_options,
     .run = cmd_capture},
    {.name = "wakeup",
     .operands = "TARGET",
     .help = "who ends the waits of the target's threads",
     .more =
         "Blocked time by the stack of whoever ended it, below the thread that waited. A waker\n"
         "outside of the target shows with its container, as host: or as kernel:. What an\n"
         "interrupt woke is [timer interrupt], [network interrupt] or [block interrupt], since\n"
         "whoever ran just then had no part in it. Without a waker: nobody ended the wait.\n",
     .examples = "porthole wakeup web1  # a tree of wakers\n"
                 "porthole wakeup web1 --thread worker -o wakers.svg  # of these threads only\n",
     .options = cmd_waits_options,
     .run = cmd_capture},
    {.name = "offwake",
     .operands = "TARGET",
     .help = "where threads wait, with who ended the wait on top",
     .more =
         "Read it upwards: the stack that waits, the separator \"--\", then the waker's stack\n"
         "upside down, paler, with the waker's name at the very top. For locks this is whoever\n"
         "let go of it; see wakeup --help for what wakers are called.\n",
     .examples = "porthole offwake db1 -o offwake.svg  # both stacks in one flame graph\n"
                 "porthole offwake db1 --thread worker --min-us 1000  # long waits of workers\n",
     .options = cmd_waits_options,
     .run = cmd_capture},
    {.name = "chain",
     .operands = "TARGET",
     .help = "like offwake, following each waker to who had woken it",
     .more =
         "The waker may have waited itself: its own waker stands above the next \"--\", and so\n"
         "on. Follow a stack to its top to find what all of them were waiting for in the end:\n"
         "the disk, a timer, the network, another container.\n",
     .examples =
         "porthole chain web1 --depth 6 -o chain.svg  # up to six wakers\n"
         "porthole chain web1 --thread worker --min-percent 5  # a tree of the main chains\n",
     .options = cmd_waits_options,
     .run = cmd_capture},
    {.name = "hotcold",
     .operands = "TARGET",
     .help = "CPU and waiting time in one picture; each thread adds up to the capture's time",
     .more =
         "Below each thread: on-CPU (warm colours), runnable, throttled and blocked (blue).\n"
         "On-CPU stacks are sampled, 99 times a second; the sums are exact. Use --per-thread to\n"
         "see what a single thread did all the time.\n",
     .examples =
         "porthole hotcold web1 --per-thread -o web1.svg  # what each thread did all the time\n"
         "porthole hotcold web1 --per-thread --thread main  # one of them, as a tree\n",
     .options = cmd_waits_options,
     .run = cmd_capture},
    {.name = "switches",
     .operands = "TARGET",
     .help = "context switches by stack, voluntary and involuntary apart",
     .more =
         "Voluntary: the thread gave the CPU away, because it had to wait. Involuntary: the CPU\n"
         "was taken from it, because another thread was to run or the time was up. Counts, not\n"
         "time: many short waits show here and hardly in offcpu.\n",
     .examples = "porthole switches web1  # who gives the CPU away, and who loses it\n"
                 "porthole switches web1 -d 2 -o switches.svg  # as a flame graph\n",
     .options = cmd_waits_options,
     .run = cmd_capture},
    {.name = "runq",
     .operands = "TARGET",
     .help = "how long threads that are ready wait for a CPU, and for their CPU quota",
     .more =
         "Two answers that look alike from outside. Waiting for a CPU: others have it; more CPUs,\n"
         "fewer threads or other weights help. Throttled: the cgroup has used its quota up; a\n"
         "larger quota helps, or less work at once. As .svg it is a heat map: time from left to\n"
         "right, how long was waited upwards, how often as colour, throttled time apart.\n",
     .examples = "porthole runq web1 -d 30  # histogram, percentiles, threads\n"
                 "porthole runq web1 -d 60 -o latency.svg  # over time: are there bursts?\n"
                 "porthole runq web1 --json  # rows and histograms for scripts\n",
     .options = cmd_waits_options,
     .records = {"runq"},
     .run = cmd_capture},
    {.name = "states",
     .operands = "TARGET",
     .help = "how threads spend their time: CPU, ready, throttled, blocked on what",
     .more = "Begin here when something is slow. CPU% high: porthole cpu. READY% or THROT%: runq.\n"
             "DISK%, NET%, LOCK% or another: offcpu shows the stacks, offwake who ends the waits.\n"
             "POLL% is mostly waiting for work. A row is for all threads of a name, unless\n"
             "--per-process or --per-thread says otherwise; the last row is the total.\n",
     .examples = "porthole states web1  # a row for each name of threads\n"
                 "porthole states web1 --per-thread  # one row a thread, in percent of its life\n"
                 "porthole states web1 | cut -f 1,6-9  # plain rows for scripts, in microseconds\n",
     .options = cmd_waits_options,
     .records = {"states"},
     .run = cmd_capture},
    {.name = "block",
     .operands = "TARGET",
     .help = "block I/O: latency, bytes, who issued it, whose data it is",
     .more =
         "Requests of block devices, charged to the container whose data they move: writeback\n"
         "that the kernel does later belongs to whoever dirtied the pages. NAME issued it, OWNER\n"
         "is whose it is; metadata and journal are the kernel's, with the process that waits for\n"
         "them where it is known. The queue is the time before the device had it. A long queue:\n"
         "too much at once, or a limit of the cgroup's. A slow device: the disk, or others who\n"
         "use it.\n\n"
         "What the page cache serves causes no requests: for waits of threads, see offcpu and\n"
         "states. Merged and split requests count once, when they end.\n",
     .examples =
         "porthole block db1  # histograms, and a row for each issuer, owner and device\n"
         "porthole block db1 -d 60 -o disk.svg  # latency over time: are there bursts?\n"
         "porthole block db1 --events -d 0  # each request as it ends, until interrupted\n"
         "porthole block db1 --stacks --weight bytes -o io.svg  # the code that causes it\n",
     .options = cmd_io_options,
     .records = {"block", "block-event"},
     .run = cmd_capture},
    {.name = "tcp",
     .operands = "TARGET",
     .help = "TCP connections: bytes, life, connect latency, round trips, retransmits",
     .more =
         "A row when a connection ends, and at the end one for each that is still open; those\n"
         "that were open before the capture are marked in LIFE. A slow CONNECT: the network, or a\n"
         "server that does not accept. RETR: segments were lost. Many short lives with one peer:\n"
         "connections are not reused. STATE says why a connect failed: refused (nobody listens),\n"
         "timed-out, unreachable, no-port (local ones are used up), reset, abandoned (who\n"
         "connected gave up). PEER is the other end's container on the same host.\n",
     .examples =
         "porthole tcp web1  # rows as they come; histograms and peers at the end\n"
         "porthole tcp web1 --events -d 0  # connects, accepts, closes, resets as they happen\n"
         "porthole tcp web1 --json -d 0 | jq -c 'select(.state == \"failed\")'  # only failures\n"
         "porthole tcp web1 --stacks --weight bytes -o tcp.svg  # the code that sends\n",
     .options = cmd_io_options,
     .records = {"tcp", "tcp-event", "tcp-peer"},
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
static const char *want_man;

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

/* For completion and the making of man pages only, so not in the help. */
static const struct option_spec hidden_options[] = {
    CMD_OPTION_SOCKET,
    {.name = "help", .short_name = 'h', .kind = OPTION_FLAG, .into = &want_help},
    {.name = "version", .kind = OPTION_FLAG, .into = &want_version},
    {.name = "commands", .kind = OPTION_FLAG, .into = &want_commands},
    {.name = "man", .kind = OPTION_STRING, .into = &want_man, .arg = "COMMAND"},
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

/* What stands in the rows of each kind. */
static void print_columns(const struct cmd *c, FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(c->records) && c->records[i]; i++) {
        const struct table_spec *spec = table_spec_find(c->records[i]);

        fprintf(out, "\nColumns%s%s (in tables; in plain rows and JSON):\n",
                spec->heading ? " of " : "", spec->heading ? spec->heading : "");
        table_help(spec, out);
    }
}

static void print_command(const struct cmd *c, FILE *out)
{
    fprintf(out, "porthole %s: %s\n\nUsage: porthole %s%s%s [OPTIONS]\n", c->name, c->help, c->name,
            *c->operands ? " " : "", c->operands);
    if (c->more)
        fprintf(out, "\n%s", c->more);
    fputs("\nOptions:\n", out);
    options_help(c->options, out);
    print_columns(c, out);
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

const struct cmd *cmd_find(const char *name)
{
    for (const struct cmd *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static const struct cmd *find_command(const char *name, struct err *e)
{
    const struct cmd *c = cmd_find(name);

    if (c)
        return c;
    err_set(e, ERR_USAGE, "unknown command '%.64s'", name);
    err_remedy(e, "porthole --help lists them");
    return NULL;
}

/* The page of a command, or the list of commands. */
static int print_man(const char *name, struct err *e)
{
    const struct cmd *c;

    if (strcmp(name, "all") == 0) {
        man_print_list(stdout);
        return 0;
    }
    c = find_command(name, e);
    if (!c)
        return -EINVAL;
    man_print_command(c, stdout);
    return 0;
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
        printf("porthole %s\n", porthole_version);
        return 0;
    }
    if (want_commands) {
        print_machine(stdout);
        return 0;
    }
    if (want_man)
        return print_man(want_man, e);
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
