/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole-attend: runs a command for somebody at the other end of "kubectl exec", which carries
 * standard streams and an exit status, but no signals, no terminal for one stream alone, and no end
 * of the command when the caller goes away.
 *
 *   porthole-attend [-t] [-w STATUS] COMMAND [ARGUMENT]...
 *
 * Each line on the standard input is an interrupt to the command; the end of the input ends it. -t:
 * its standard error is a terminal, so that it shows progress. -w: while it exits with STATUS, it
 * is run again a tenth of a second later, and what it said is thrown away. Exits as the command
 * does, with 128 and the signal's number where a signal ended it, 126 where it cannot be run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define CANNOT_RUN 126
#define AGAIN_MS 100
#define HELD_MAX 65536

struct attended {
    char **command;
    bool terminal; /* for its standard error */
    int again;     /* the exit status upon which it is run again; -1: none */
    pid_t pid;     /* 0: not running */
    int said;      /* its standard error, to be read; -1 at the end */
    int children;  /* signalfd of SIGCHLD */
    bool input;    /* the standard input has not ended */
    unsigned interrupts;
    char held[HELD_MAX]; /* said while it may still be run again */
    size_t held_size;
};

static int fail(const char *what)
{
    fprintf(stderr, "porthole-attend: cannot %s: %s\n", what, strerror(errno));
    return CANNOT_RUN;
}

/* ---- the command's standard error ---- */

static void write_all(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, data, size);

        if (n < 0 && errno != EINTR)
            return;
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

static void release(struct attended *a)
{
    write_all(a->held, a->held_size);
    a->held_size = 0;
}

/* What may be thrown away is held until there is progress, which the first carriage return tells.
 */
static void pass_on(struct attended *a)
{
    char data[4096];
    ssize_t n = read(a->said, data, sizeof(data));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) { /* a terminal ends with EIO */
        close(a->said);
        a->said = -1;
        return;
    }
    if (a->again < 0 || a->held_size + (size_t)n > sizeof(a->held) ||
        memchr(data, '\r', (size_t)n)) {
        release(a);
        write_all(data, (size_t)n);
        return;
    }
    memcpy(a->held + a->held_size, data, (size_t)n);
    a->held_size += (size_t)n;
}

/* A terminal that changes nothing of what is written to it. Returns 0 or -1. */
static int open_terminal(int ends[2])
{
    struct termios raw;

    ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[0] < 0 || grantpt(ends[0]) < 0 || unlockpt(ends[0]) < 0)
        return -1;
    ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[1] < 0 || tcgetattr(ends[1], &raw) < 0)
        return -1;
    cfmakeraw(&raw);
    return tcsetattr(ends[1], TCSANOW, &raw);
}

/* ---- its life ---- */

static _Noreturn void become(const struct attended *a, int said)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    if (null >= 0 && dup2(null, STDIN_FILENO) == 0 && dup2(said, STDERR_FILENO) >= 0)
        execvp(a->command[0], a->command);
    fprintf(stderr, "porthole-attend: cannot run '%s': %s\n", a->command[0], strerror(errno));
    _exit(CANNOT_RUN);
}

static int start(struct attended *a)
{
    int ends[2];

    if (a->terminal ? open_terminal(ends) < 0 : pipe2(ends, O_CLOEXEC) < 0)
        return fail(a->terminal ? "make a terminal" : "make a pipe");
    a->pid = fork();
    if (a->pid < 0)
        return fail("fork");
    if (a->pid == 0)
        become(a, ends[1]);
    close(ends[1]);
    a->said = ends[0];
    return 0;
}

/* A line is an interrupt; without anybody at the other end nothing is worth going on for. */
static void take_input(struct attended *a)
{
    char data[256];
    ssize_t n = read(STDIN_FILENO, data, sizeof(data));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        a->input = false;
        if (a->pid > 0)
            kill(a->pid, SIGTERM);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (data[i] != '\n')
            continue;
        a->interrupts++;
        if (a->pid > 0)
            kill(a->pid, SIGINT);
    }
}

/* The exit status, or -1 while it runs. */
static int reap(struct attended *a)
{
    struct signalfd_siginfo info;
    int status;

    while (read(a->children, &info, sizeof(info)) == sizeof(info))
        ;
    if (waitpid(a->pid, &status, WNOHANG) != a->pid)
        return -1;
    a->pid = 0;
    while (a->said >= 0)
        pass_on(a);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* One run, or with pid 0 the pause before the next. Returns the exit status, -1 after a pause. */
static int attend(struct attended *a)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = a->input ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = a->said, .events = POLLIN},
            {.fd = a->pid > 0 ? a->children : -1, .events = POLLIN},
        };
        int n = poll(fds, 3, a->pid > 0 ? -1 : AGAIN_MS), status;

        if (n < 0 && errno != EINTR)
            return fail("wait");
        if (n <= 0 && a->pid == 0)
            return -1;
        if (fds[0].revents)
            take_input(a);
        if (a->pid == 0 && (!a->input || a->interrupts > 0))
            return -1;
        if (fds[1].revents)
            pass_on(a);
        status = a->pid > 0 ? reap(a) : -1;
        if (status >= 0)
            return status;
    }
}

static int run(struct attended *a)
{
    for (;;) {
        int status = start(a);

        if (status == 0)
            status = attend(a);
        if (a->again < 0 || status != a->again) {
            release(a);
            return status;
        }
        a->held_size = 0;
        attend(a);
        if (!a->input || a->interrupts > 0)
            return 128 + SIGINT;
    }
}

int main(int argc, char **argv)
{
    static struct attended a = {.again = -1, .said = -1, .input = true};
    sigset_t set;
    int option;

    while ((option = getopt(argc, argv, "+tw:")) != -1) {
        if (option == 't')
            a.terminal = true;
        else if (option == 'w' && atoi(optarg) > 0)
            a.again = atoi(optarg);
        else
            return CANNOT_RUN;
    }
    if (optind == argc) {
        fprintf(stderr, "usage: porthole-attend [-t] [-w STATUS] COMMAND [ARGUMENT]...\n");
        return CANNOT_RUN;
    }
    a.command = argv + optind;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* of a terminal: whoever is there says so on the input */
    a.children = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return a.children < 0 ? fail("watch children") : run(&a);
}
