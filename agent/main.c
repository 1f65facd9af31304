/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portholed: reads its options, takes the socket, splits into monitor and agent, drops its rights.
 */
#include "agent/agent.h"
#include "agent/listen.h"
#include "agent/monitor.h"
#include "agent/proto.h"
#include "agent/rights.h"
#include "base/log.h"
#include "base/options.h"
#include "base/record.h"
#include "base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

struct arguments {
    const char *socket, *config;
    bool verbose, help, version;
};

static int parse(int argc, char **argv, struct arguments *a, struct config *c, struct err *e)
{
    const struct option_spec options[] = {
        {.name = "socket",
         .kind = OPTION_STRING,
         .into = &a->socket,
         .arg = "PATH",
         .help = "serve this Unix socket (" PROTO_SOCKET ", or $" PROTO_SOCKET_ENV ")"},
        {.name = "config",
         .kind = OPTION_STRING,
         .into = &a->config,
         .arg = "FILE",
         .help = "read this file (" CONFIG_FILE " if it exists)"},
        {.name = "verbose",
         .short_name = 'v',
         .kind = OPTION_FLAG,
         .into = &a->verbose,
         .help = "say more on stderr"},
        {.name = "help",
         .short_name = 'h',
         .kind = OPTION_FLAG,
         .into = &a->help,
         .help = "show this"},
        {.name = "version", .kind = OPTION_FLAG, .into = &a->version, .help = "show the version"},
        {0},
    };
    size_t operands;
    int r = options_parse(options, argc, argv, NULL, 0, &operands, e);

    if (r < 0 || !a->help)
        return r;
    printf("portholed: the agent of porthole, a profiler for containers\n\n"
           "usage: portholed [OPTIONS]\n\n");
    options_help(options, stdout);
    printf("\nKeys of the configuration file, with their values if it does not name them:\n");
    config_print(c, stdout);
    return 0;
}

/* Built-in values, then the file, then the environment, then the options. */
static int configure(const struct arguments *a, struct config *c, struct err *e)
{
    const char *file = a->config, *socket = a->socket;
    int r = 0;

    if (!file && access(CONFIG_FILE, F_OK) == 0)
        file = CONFIG_FILE;
    if (file)
        r = config_read(c, file, e);
    if (r == 0)
        r = config_check(c, e);
    if (!socket)
        socket = getenv(PROTO_SOCKET_ENV);
    if (r == 0 && socket && *socket)
        r = config_set_socket(c, socket, e);
    if (r == 0)
        r = config_set_debuginfod(c, getenv("DEBUGINFOD_URLS"));
    if (r == -ENOMEM)
        err_set(e, ERR_FAILED, "out of memory");
    return r;
}

static int check_rights(struct err *e)
{
    char missing[256];

    if (geteuid() != 0) {
        err_set(e, ERR_DENIED, "portholed must be started as root, which it ceases to be at once");
        return -EPERM;
    }
    if (!jail_missing_caps(rights_needed, missing, sizeof(missing)))
        return 0;
    err_set(e, ERR_DENIED, "portholed lacks %s", missing);
    err_remedy(e, "add these capabilities to its container or service");
    return -EPERM;
}

/* What is missing costs what doctor says, and no more. */
static void look_at_rights(struct agent_setup *setup)
{
    if (jail_missing_caps(rights_wanted, setup->lacking, sizeof(setup->lacking)))
        log_error("portholed lacks %s and does without; see porthole doctor for what that costs",
                  setup->lacking);
}

/* In the agent's process: jails itself, waits for the others, serves. */
static int agent_main(struct agent_setup *setup, pid_t parent, struct err *e)
{
    const struct config *c = setup->config;
    struct monitor_start start;
    size_t fd_count = CLIENT_PEER_COUNT, next = 0;
    int fds[CLIENT_PEER_COUNT];
    int keep[] = {setup->listen_fd, setup->kallsyms_fd, setup->modules_fd, setup->monitor_fd}, r;

    jail_close_fds(keep, ARRAY_SIZE(keep));
    r = rights_enter_agent((uid_t)c->agent_uid, (gid_t)c->agent_gid, parent, e);
    if (r < 0)
        return r;
    r = (int)record_receive(setup->monitor_fd, &start, sizeof(start), fds, &fd_count, 0);
    if (r != sizeof(start))
        _exit(1); /* the monitor has said why */
    for (size_t i = 0; i < CLIENT_PEER_COUNT; i++)
        setup->helper_fds[i] = start.pids[i] && next < fd_count ? fds[next++] : -1;
    memcpy(setup->helper_pids, start.pids, sizeof(start.pids));
    setup->monitor_pid = parent;
    return agent_run(setup);
}

/* Opens what only root may open, for the agent. */
static void open_symbols(struct agent_setup *setup)
{
    setup->kallsyms_fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
    setup->modules_fd = open("/proc/modules", O_RDONLY | O_CLOEXEC);
}

static void close_symbols(const struct agent_setup *setup)
{
    if (setup->kallsyms_fd >= 0)
        close(setup->kallsyms_fd);
    if (setup->modules_fd >= 0)
        close(setup->modules_fd);
}

/* Splits. The agent's process never comes back from here. */
static int split(struct agent_setup *agent, struct monitor_setup *monitor, struct err *e)
{
    pid_t us = getpid();
    int pair[2], r;

    r = record_pair(pair);
    if (r < 0)
        return err_set(e, ERR_FAILED, "cannot make a socket pair: %s", strerror(-r));
    monitor->agent_pid = fork();
    if (monitor->agent_pid < 0)
        return err_set(e, ERR_FAILED, "cannot fork: %s", strerror(errno));
    if (monitor->agent_pid == 0) {
        agent->monitor_fd = pair[1];
        r = agent_main(agent, us, e);
        if (r < 0)
            log_error("%s%s%s", e->message, *e->remedy ? "; " : "", e->remedy);
        _exit(r < 0 ? err_exit_status(e->code) : r);
    }
    close(pair[1]);
    monitor->agent_fd = pair[0];
    close_symbols(agent);
    close(TAKE_FD(monitor->listener->fd));
    return 0;
}

static int run(const struct config *c, bool verbose, struct err *e)
{
    struct listener listener = {.fd = -1, .lock_fd = -1};
    struct agent_setup agent = {.config = c, .verbose = verbose};
    struct monitor_setup monitor = {.config = c, .listener = &listener, .verbose = verbose};
    int r = check_rights(e);

    if (r < 0)
        return r;
    /* Whoever started us may have left fds open. */
    closefrom(3 + listen_inherited());
    r = jail_null_stdio();
    if (r < 0)
        return err_set(e, ERR_FAILED, "cannot open '/dev/null': %s", strerror(-r));
    umask(022);
    r = monitor_find_programs(c, monitor.program_fds, e);
    if (r == 0)
        r = listen_open(c, &listener, e);
    if (r < 0)
        return r;
    agent.listen_fd = listener.fd;
    monitor.notify_fd = notify_open();
    open_symbols(&agent);
    look_at_rights(&agent);
    r = split(&agent, &monitor, e);
    if (r == 0)
        r = rights_enter_monitor(c, e);
    if (r < 0) {
        listen_close(&listener);
        return r;
    }
    prctl(PR_SET_NAME, "portholed-mon");
    return monitor_run(&monitor, e);
}

int main(int argc, char **argv)
{
    _cleanup_config_ struct config config;
    struct arguments arguments = {0};
    struct err e = {0};
    int r = config_init(&config);

    if (r < 0)
        err_set(&e, ERR_FAILED, "out of memory");
    if (r == 0)
        r = parse(argc, argv, &arguments, &config, &e);
    if (r == 0 && arguments.help)
        return 0;
    if (r == 0 && arguments.version) {
        printf("portholed %s\n", porthole_version);
        return 0;
    }
    log_setup("portholed", arguments.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (r == 0)
        r = configure(&arguments, &config, &e);
    if (r == 0)
        r = run(&config, arguments.verbose, &e);
    if (r < 0)
        err_set(&e, ERR_FAILED, "cannot start: %s", strerror(-r));
    if (e.code != ERR_NONE)
        log_error("%s%s%s", e.message, *e.remedy ? "; " : "", e.remedy);
    return r < 0 ? err_exit_status(e.code ? e.code : ERR_FAILED) : r;
}
