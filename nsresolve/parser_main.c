/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole-parser: turns bytes that containers wrote into sorted tables, with no right to anything.
 *
 * Starts and ends as nsresolve/helper.h says. The main loop never reads the files; the children
 * that do can reach nothing but them.
 */
#include "base/loop.h"
#include "nsresolve/helper.h"
#include "nsresolve/parse.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const struct jail_limit main_limits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_NOFILE, 256},
    {RLIMIT_NPROC, 32},
    {RLIMIT_FSIZE, 256u << 20},
};

static const struct jail_limit child_limits[] = {
#ifndef __SANITIZE_ADDRESS__ /* whose shadow alone is bigger */
    {RLIMIT_AS, 512u << 20},
#endif
    {RLIMIT_CPU, 5},
    {RLIMIT_NOFILE, 16},
    {RLIMIT_NPROC, 0},
};

static const struct jail_rule main_rules[] = {
    JAIL_RULES_LIFE,
    JAIL_RULES_FORK,
    JAIL_ALLOW("recvmsg sendmsg epoll_create1 epoll_ctl epoll_wait epoll_pwait signalfd4"),
    JAIL_ALLOW_IF("socketpair", 0, ~0ull, AF_UNIX),
    /* What the children do besides, and what makes them do no more. */
    JAIL_ALLOW("pread64 prlimit64 setrlimit"),
    JAIL_ALLOW_IF("seccomp", 0, ~0ull, SECCOMP_SET_MODE_FILTER),
    JAIL_FAIL("open openat openat2 readlink readlinkat access faccessat faccessat2", EACCES),
    JAIL_FAIL("stat lstat fstat newfstatat statx fcntl ioctl getcwd", EACCES),
    {.names = "mmap",
     .error = ENOMEM,
     .when[0] = {.argument = 2, .mask = PROT_EXEC, .value = PROT_EXEC}},
    JAIL_END,
};

/* elfutils looks for files beside the one it is given: it is told no instead of being killed. */
static const struct jail_rule child_rules[] = {
    JAIL_ALLOW("read write pread64 lseek close brk munmap mremap madvise futex"),
    JAIL_ALLOW("clock_gettime getrandom rt_sigreturn exit_group"),
    JAIL_FAIL("open openat openat2 readlink readlinkat access faccessat faccessat2", EACCES),
    JAIL_FAIL("stat lstat fstat newfstatat statx fcntl ioctl getcwd", EACCES),
    {
        .names = "mmap",
        .when = {{.argument = 3, .mask = MAP_ANONYMOUS, .value = MAP_ANONYMOUS},
                 {.argument = 2, .mask = PROT_EXEC, .value = 0}},
    },
    {.names = "mmap", .error = ENOMEM, .when[0] = {.argument = 3, .mask = MAP_ANONYMOUS}},
#ifdef __SANITIZE_ADDRESS__ /* to die with a report */
    JAIL_ALLOW("sigaltstack rt_sigaction rt_sigprocmask getpid gettid sched_yield"),
    JAIL_FAIL("prctl", EPERM),
#endif
    JAIL_END,
};

static struct jail_filter child_filter; /* compiled once: that costs more than a fork */

static int confine(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(child_limits); i++) {
        struct rlimit limit = {child_limits[i].value, child_limits[i].value};

        if (setrlimit(child_limits[i].resource, &limit) < 0)
            return -errno;
    }
    return jail_filter_load(&child_filter);
}

/* fds in: the input, the memfd for the answer, and what an operation wants besides. */
static void handle(const struct work *w, struct work_answer *a)
{
    int error = 0;

    if (w->fd_count < 2) {
        a->head.status = WIRE_FAILED;
        a->head.error = EINVAL;
        return;
    }
    a->head.status = parse_request(w->op, w->payload, w->size,
                                   &(struct parse_files){.in_fd = w->fds[0],
                                                         .out_fd = w->fds[1],
                                                         .more = w->fds + 2,
                                                         .more_count = w->fd_count - 2},
                                   &error);
    a->head.error = error;
}

static int prepare(struct err *e)
{
    return jail_filter_compile(child_rules, &child_filter, e);
}

int main(int argc, char **argv)
{
    struct helper parser = {
        .name = "porthole-parser",
        .prepare = prepare,
        .jail =
            {
                .who = "the parser",
                .isolate = true,
                .limits = main_limits,
                .limit_count = ARRAY_SIZE(main_limits),
                .rules = main_rules,
            },
        .workers =
            {
                .name = "parser",
                .concurrency = 3,
                .per_container = 2,
                .queue = 32,
                .deadline_ns = 10 * NS_PER_SEC,
                .stuck_container = 4,
                .stuck_total = 16,
                .confine = confine,
                .handle = handle,
            },
    };

    return helper_main(&parser, argc, argv);
}
