/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the drivers in this folder: starts opener or parser the way the monitor does, asks it, and
 * makes victims that live on a root of their own. Prints the result lines that tests/run.sh counts.
 *
 * OPENER and PARSER in the environment name the programs. All mounts are private to the driver.
 */
#pragma once

#include "base/loop.h"
#include "base/pathat.h"
#include "base/record.h"
#include "nsresolve/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define UID_OPENER "--uid=65521"
#define UID_PARSER "--uid=65522"

static int failures;

_unused_ _printf_(2, 3) static void result(bool good, const char *fmt, ...)
{
    va_list ap;

    printf(good ? "ok - " : "not ok - ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf(good ? "\n" : ": see the call in the driver\n");
    fflush(stdout);
    failures += !good;
}

_unused_ static void need(bool good, const char *what)
{
    if (good)
        return;
    printf("not ok - set-up: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- a process of ours ---- */

struct session {
    int fd;
    pid_t pid;
    uint32_t last_id;
};

struct answer {
    enum wire_status status;
    int error;
    uint32_t id;
    size_t size;
    uint64_t payload[RECORD_MAX / 8];
    int fds[RECORD_FDS];
    size_t fd_count;
    double ms; /* since it was asked for, by ask() */
};

_unused_ static struct session session_start(const char *variable, const char *uid)
{
    const char *program = getenv(variable);
    struct session s = {0};
    int pair[2];

    need(program && access(program, X_OK) == 0, variable);
    need(record_pair(pair) == 0, "socketpair");
    s.pid = fork();
    need(s.pid >= 0, "fork");
    if (s.pid == 0) {
        dup2(pair[1], 3);
        if (pair[1] == 3)
            fcntl(3, F_SETFD, 0);
        execl(program, program, uid, NULL);
        _exit(127);
    }
    close(pair[1]);
    s.fd = pair[0];
    return s;
}

/* Ends it the gentle way; its exit status. */
_unused_ static int session_end(struct session *s)
{
    int status;

    close(s->fd);
    waitpid(s->pid, &status, 0);
    return status;
}

_unused_ static uint32_t post(struct session *s, uint32_t op, uint64_t container,
                              const void *payload, size_t size, const int *fds, size_t fd_count)
{
    static char record[RECORD_MAX];
    struct wire_request head = {.op = op, .id = ++s->last_id, .container = container};

    head.size = (uint32_t)size;
    memcpy(record, &head, sizeof(head));
    if (size)
        memcpy(record + sizeof(head), payload, size);
    need(record_send(s->fd, record, sizeof(head) + size, fds, fd_count, 0) == 0, "send");
    return head.id;
}

/* The next answer, or status WIRE_LOST when none comes in time. */
_unused_ static void await(struct session *s, int timeout_ms, struct answer *a)
{
    static union {
        struct wire_reply head;
        uint64_t words[RECORD_MAX / 8];
    } record;
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    ssize_t n = -1;

    a->status = WIRE_LOST;
    a->fd_count = RECORD_FDS;
    if (poll(&p, 1, timeout_ms) == 1)
        n = record_receive(s->fd, &record, sizeof(record), a->fds, &a->fd_count, 0);
    if (n < (ssize_t)sizeof(record.head)) {
        a->fd_count = 0;
        return;
    }
    a->status = record.head.status;
    a->error = record.head.error;
    a->id = record.head.id;
    a->size = record.head.size;
    memcpy(a->payload, &record.head + 1, a->size);
}

_unused_ static void ask(struct session *s, uint32_t op, uint64_t container, const void *payload,
                         size_t size, const int *fds, size_t fd_count, struct answer *a)
{
    uint64_t begin = now_ns();

    post(s, op, container, payload, size, fds, fd_count);
    await(s, 20000, a);
    a->ms = (double)(now_ns() - begin) / 1e6;
}

_unused_ static void drop(struct answer *a)
{
    for (size_t i = 0; i < a->fd_count; i++)
        close(a->fds[i]);
    a->fd_count = 0;
}

/* ---- WIRE_PIN and WIRE_OPEN ---- */

struct pinned {
    int fds[2]; /* /proc/PID and its root */
    struct wire_pinned about;
};

/* 0 or the errno that came back. */
_unused_ static int pin(struct session *s, pid_t pid, uint64_t start_time, struct pinned *ret)
{
    const struct wire_pin ask_pin = {.pid = pid, .start_time = start_time};
    static struct answer a;

    ask(s, WIRE_PIN, 0, &ask_pin, sizeof(ask_pin), NULL, 0, &a);
    if (a.status != WIRE_OK || a.fd_count != 2 || a.size != sizeof(ret->about)) {
        drop(&a);
        return a.error ? a.error : EIO;
    }
    memcpy(ret->fds, a.fds, sizeof(ret->fds));
    memcpy(&ret->about, a.payload, sizeof(ret->about));
    return 0;
}

/* A request for the same item, count times. Returns its size. */
_unused_ static size_t open_request(char *to, const struct wire_open_item *item, const char *path,
                                    unsigned times, bool has_proc)
{
    struct wire_open head = {.count = times, .has_proc = has_proc};
    struct wire_open_item one = *item;
    size_t n = sizeof(head);

    one.path_size = (uint32_t)strlen(path);
    memcpy(to, &head, n);
    for (unsigned i = 0; i < times; i++) {
        memcpy(to + n, &one, sizeof(one));
        memcpy(to + n + sizeof(one), path, one.path_size);
        n += sizeof(one) + one.path_size;
    }
    return n;
}

/* Opens one item; the reason, and on FILE_OK the fd (else -1). */
_unused_ static enum file_reason open_one(struct session *s, uint64_t container,
                                          const struct pinned *p, const struct wire_open_item *item,
                                          const char *path, int *fd, double *ms)
{
    static char request[RECORD_MAX / 2];
    static struct answer a;
    const struct wire_opened_item *done =
        (const void *)((const char *)a.payload + sizeof(struct wire_opened));
    size_t size = open_request(request, item, path, 1, true);

    ask(s, WIRE_OPEN, container, request, size, p->fds, 2, &a);
    if (ms)
        *ms = a.ms;
    *fd = -1;
    if (a.status != WIRE_OK) {
        drop(&a);
        return a.status == WIRE_BREAKER ? FILE_BREAKER : FILE_TIMEOUT;
    }
    if (done->reason == FILE_OK)
        *fd = a.fds[0];
    return done->reason;
}

/* ---- victims ---- */

/* The driver's own mounts go when it does. */
_unused_ static void own_mounts(void)
{
    need(unshare(CLONE_NEWNS) == 0, "unshare (needs root)");
    need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
}

_unused_ static void put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    close(fd);
}

/* A process whose root is this directory (mounts below it go along), with the host's /proc. */
_unused_ static pid_t victim_start(const char *root)
{
    int ready[2];
    char c;
    pid_t pid;

    need(pipe2(ready, O_CLOEXEC) == 0, "pipe");
    pid = fork();
    need(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        need(unshare(CLONE_NEWNS) == 0, "unshare");
        need(mount(root, root, NULL, MS_BIND | MS_REC, NULL) == 0 && chdir(root) == 0, "bind");
        mkdir("proc", 0755);
        need(mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) == 0, "bind proc");
        need(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0, "pivot");
        need(chdir("/") == 0 && write(ready[1], "r", 1) == 1, "ready");
        for (;;)
            pause();
    }
    close(ready[1]);
    need(read(ready[0], &c, 1) == 1, "victim");
    close(ready[0]);
    return pid;
}

_unused_ static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
