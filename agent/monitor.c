/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/monitor.h"

#include "base/jail.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/record.h"
#include "nsresolve/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHILD_SOCKET 3 /* as in opener_main.c and parser_main.c */
#define START_TIMEOUT_MS 5000
#define STOP_TIMEOUT_NS (3 * NS_PER_SEC)

/* Restarts: this many at once, then one every so often. */
#define BUDGET 10
#define BUDGET_REFILL_NS (6 * NS_PER_SEC)

static const char *const names[CLIENT_PEER_COUNT] = {"opener", "parser", "attacher", "fetcher"};
static const char *const programs[CLIENT_PEER_COUNT] = {"porthole-opener", "porthole-parser",
                                                        "porthole-attacher", "porthole-fetch"};

struct helper {
    struct monitor *monitor;
    enum client_peer which;
    pid_t pid; /* 0: not running */
    unsigned tokens;
    uint64_t refilled_ns;
    struct source *timer;
};

struct monitor {
    const struct monitor_setup *setup;
    struct loop *loop;
    struct helper helpers[CLIENT_PEER_COUNT];
    struct source *agent_source, *stop_timer;
    pid_t agent_pid; /* 0: gone */
    bool stopping;
};

int monitor_say_ready(int monitor_fd)
{
    uint8_t byte = MONITOR_READY;

    return record_send(monitor_fd, &byte, sizeof(byte), NULL, 0, MSG_DONTWAIT);
}

/* ---- programs ---- */

static int open_program(const char *directory, const char *middle, const char *name)
{
    char path[PATH_MAX];
    int fd, high;

    if (snprintf(path, sizeof(path), "%s/%s%s", directory, middle, name) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* Out of the way of the child's fd 3. */
    high = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return high < 0 ? -errno : high;
}

static bool is_wanted(const struct config *config, enum client_peer which)
{
    return which == CLIENT_ATTACHER  ? config->java
           : which == CLIENT_FETCHER ? config->debuginfod_urls != NULL
                                     : true;
}

int monitor_find_programs(const struct config *config, int program_fds[CLIENT_PEER_COUNT],
                          struct err *e)
{
    char directory[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", directory, sizeof(directory) - 1);

    if (n < 0)
        return err_set(e, ERR_FAILED, "cannot read '/proc/self/exe': %s", strerror(errno));
    directory[n] = '\0';
    *strrchr(directory, '/') = '\0';
    for (size_t i = 0; i < CLIENT_PEER_COUNT; i++) {
        program_fds[i] = -1;
        if (!is_wanted(config, i))
            continue;
        program_fds[i] = open_program(directory, "", programs[i]);
        if (program_fds[i] < 0)
            program_fds[i] = open_program(directory, "../libexec/porthole/", programs[i]);
        if (program_fds[i] < 0) {
            err_set(e, ERR_FAILED, "no '%s' in '%s' or '../libexec/porthole'", programs[i],
                    directory);
            err_remedy(e, "install portholed with 'make install', or build it with 'make'");
            return -ENOENT;
        }
    }
    return 0;
}

/* In the child: nothing but its socket, stderr and a word about it goes along. */
static void run_program(const struct monitor_setup *setup, enum client_peer which, int socket_fd)
{
    const uint64_t uids[CLIENT_PEER_COUNT] = {setup->config->opener_uid, setup->config->parser_uid,
                                              setup->config->attacher_uid,
                                              setup->config->fetcher_uid};
    int program = setup->program_fds[which], keep[] = {CHILD_SOCKET, program};
    static const char *const passed[] = {"JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS"};
    char name[16], uid[32], verbose[] = "--verbose";
    char *environment[ARRAY_SIZE(passed) + 2] = {NULL};
    char *argv[] = {name, uid, setup->verbose ? verbose : NULL, NULL};
    sigset_t none;
    size_t n = 0;

    snprintf(name, sizeof(name), "%s", programs[which]);
    snprintf(uid, sizeof(uid), "--uid=%llu", (unsigned long long)uids[which]);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
        const char *value = getenv(passed[i]);

        if (value && asprintf(&environment[n], "%s=%s", passed[i], value) > 0)
            n++;
    }
    if (which == CLIENT_FETCHER &&
        asprintf(&environment[n], "DEBUGINFOD_URLS=%s", setup->config->debuginfod_urls) < 0)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (socket_fd == CHILD_SOCKET ? fcntl(socket_fd, F_SETFD, 0) < 0
                                  : dup2(socket_fd, CHILD_SOCKET) < 0)
        _exit(1);
    jail_close_fds(keep, ARRAY_SIZE(keep));
    syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
    log_error("cannot start the %s: %s", names[which], strerror(errno));
    _exit(1);
}

/* Starts one and returns the agent's end of its socket, or -errno. */
static int start_helper(struct helper *h)
{
    int pair[2], r;

    r = record_pair(pair);
    if (r < 0)
        return r;
    h->pid = fork();
    if (h->pid == 0)
        run_program(h->monitor->setup, h->which, pair[1]);
    r = -errno;
    close(pair[1]);
    if (h->pid < 0) {
        h->pid = 0;
        close(pair[0]);
        return r;
    }
    return pair[0];
}

/* Waits until it answers, once, before there is anybody else to wait for. */
static int greet(struct helper *h, int fd, struct err *e)
{
    const struct wire_request ping = {.op = WIRE_PING, .id = 1};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct wire_reply reply;
    int r = record_send(fd, &ping, sizeof(ping), NULL, 0, 0);

    if (r == 0 && poll(&p, 1, START_TIMEOUT_MS) == 1 &&
        record_receive(fd, &reply, sizeof(reply), NULL, NULL, MSG_DONTWAIT) == sizeof(reply))
        return 0;
    return err_set(e, ERR_FAILED, "the %s did not start", names[h->which]);
}

/* ---- restarts ---- */

/* Takes a token. Otherwise the time at which there will be one. */
static uint64_t take_token(struct helper *h, uint64_t now)
{
    uint64_t more = (now - h->refilled_ns) / BUDGET_REFILL_NS;

    h->tokens = (unsigned)MIN(h->tokens + more, (uint64_t)BUDGET);
    h->refilled_ns += more * BUDGET_REFILL_NS;
    if (h->tokens == 0)
        return h->refilled_ns + BUDGET_REFILL_NS;
    if (h->tokens-- == BUDGET)
        h->refilled_ns = now;
    return 0;
}

static void restart(struct helper *h)
{
    struct wire_replacement record = {.which = h->which};
    uint64_t now = now_ns(), later = take_token(h, now);
    int fd;

    if (later) {
        log_warning("the %s dies too often: the next start waits %llu s", names[h->which],
                    (unsigned long long)((later - now) / NS_PER_SEC + 1));
        source_arm(h->timer, later);
        return;
    }
    fd = start_helper(h);
    if (fd < 0) {
        log_error("cannot start the %s: %s", names[h->which], strerror(-fd));
        source_arm(h->timer, now + BUDGET_REFILL_NS);
        return;
    }
    record.pid = h->pid;
    if (record_send(h->monitor->setup->agent_fd, &record, sizeof(record), &fd, 1, MSG_DONTWAIT) < 0)
        log_warning("the agent does not take the new %s", names[h->which]);
    close(fd);
}

static void on_restart_timer(void *data)
{
    restart(data);
}

/* ---- deaths ---- */

static void say_how(const char *who, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_error("the %s was ended by its seccomp filter; the kernel's audit log has the call",
                  who);
    else if (WIFSIGNALED(status))
        log_warning("the %s was ended by signal %d (%s)", who, WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
    else
        log_warning("the %s left with status %d", who, WEXITSTATUS(status));
}

static void agent_gone(struct monitor *m, int status)
{
    m->agent_pid = 0;
    if (!m->stopping)
        say_how("agent", status);
    loop_quit(m->loop, m->stopping                                ? 0
                       : WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status)
                                                                  : 1);
}

static void reap(struct monitor *m)
{
    int status;
    pid_t pid;

    /* Children of dead helpers come here, too. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == m->agent_pid)
            agent_gone(m, status);
        for (size_t i = 0; i < CLIENT_PEER_COUNT; i++) {
            struct helper *h = &m->helpers[i];

            if (pid != h->pid)
                continue;
            h->pid = 0;
            if (m->stopping || !m->agent_pid)
                continue;
            say_how(names[i], status);
            restart(h);
        }
    }
}

static void on_signal(void *data, int signo)
{
    struct monitor *m = data;

    if (signo == SIGCHLD) {
        reap(m);
    } else if (signo != SIGHUP && m->agent_pid) {
        m->stopping = true;
        kill(m->agent_pid, SIGTERM);
        source_arm(m->stop_timer, now_ns() + STOP_TIMEOUT_NS);
    }
}

static void on_stop_timer(void *data)
{
    struct monitor *m = data;

    if (m->agent_pid)
        kill(m->agent_pid, SIGKILL);
}

static void on_agent(void *data, uint32_t events _unused_)
{
    struct monitor *m = data;
    uint8_t byte;
    ssize_t n = record_receive(m->setup->agent_fd, &byte, sizeof(byte), NULL, NULL, MSG_DONTWAIT);

    if (n == 0 || n == -ECONNRESET) {
        source_free(TAKE_PTR(m->agent_source)); /* its death comes by signal */
        return;
    }
    if (n != 1)
        return;
    if (byte == MONITOR_READY) {
        log_info("serving '%s'", m->setup->config->socket_path);
        notify_ready(m->setup->notify_fd);
    } else if (byte < CLIENT_PEER_COUNT && m->helpers[byte].pid) {
        log_warning("the %s does not answer", names[byte]);
        kill(m->helpers[byte].pid, SIGKILL);
    }
}

/* ---- start and end ---- */

static int set_up(struct monitor *m)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0};
    int r = loop_new(&m->loop);

    if (r == 0)
        r = loop_add_signals(m->loop, signals, on_signal, m);
    if (r == 0)
        r = loop_add_timer(m->loop, on_stop_timer, m, &m->stop_timer);
    if (r == 0)
        r = loop_add_fd(m->loop, m->setup->agent_fd, EPOLLIN, on_agent, m, &m->agent_source);
    for (size_t i = 0; r == 0 && i < CLIENT_PEER_COUNT; i++) {
        m->helpers[i] = (struct helper){
            .monitor = m,
            .which = i,
            .tokens = BUDGET,
            .refilled_ns = now_ns(),
        };
        r = loop_add_timer(m->loop, on_restart_timer, &m->helpers[i], &m->helpers[i].timer);
    }
    return r;
}

/* Starts them and lets the agent go. */
static int start_all(struct monitor *m, struct err *e)
{
    struct monitor_start start = {0};
    int fds[CLIENT_PEER_COUNT], r = 0;
    size_t count = 0, greeted = 0;

    for (size_t i = 0; r == 0 && i < CLIENT_PEER_COUNT; i++) {
        if (!is_wanted(m->setup->config, i))
            continue;
        r = start_helper(&m->helpers[i]);
        if (r < 0)
            err_set(e, ERR_FAILED, "cannot start the %s: %s", names[i], strerror(-r));
        else
            fds[count++] = r;
        r = MIN(r, 0);
        start.pids[i] = m->helpers[i].pid;
    }
    for (size_t i = 0; r == 0 && i < CLIENT_PEER_COUNT; i++)
        if (start.pids[i])
            r = greet(&m->helpers[i], fds[greeted++], e);
    if (r == 0)
        r = record_send(m->setup->agent_fd, &start, sizeof(start), fds, count, 0);
    if (r == -EPIPE)
        r = 0; /* the agent died first: its exit status says more */
    while (count)
        close(fds[--count]);
    return r;
}

static void end_all(struct monitor *m)
{
    pid_t pids[CLIENT_PEER_COUNT + 1] = {m->agent_pid};

    for (size_t i = 0; i < CLIENT_PEER_COUNT; i++)
        pids[i + 1] = m->helpers[i].pid;
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
        if (pids[i] > 0)
            waitpid(pids[i], NULL, 0);
}

int monitor_run(const struct monitor_setup *setup, struct err *e)
{
    struct monitor m = {.setup = setup, .agent_pid = setup->agent_pid};
    int r;

    /* What dead helpers leave behind is reaped here, whoever process 1 is. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    r = set_up(&m);
    if (r < 0)
        err_set(e, ERR_FAILED, "cannot set up the monitor: %s", strerror(-r));
    if (r == 0)
        r = start_all(&m, e);
    if (r == 0)
        r = loop_run(m.loop);
    end_all(&m);
    loop_free(m.loop);
    listen_close(setup->listener);
    return r < 0 ? 1 : r;
}
