/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up rights: uid, capabilities, limits, namespaces, system calls. One description per
 * process of ours, entered once, after which nothing can be won back.
 *
 * Knows nothing of what the processes do. Called by the mains of agent, monitor, opener and parser,
 * and by a parser's child for its second, narrower filter.
 */
#pragma once

#include "base/err.h"

#include <linux/filter.h>
#include <sys/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* A condition on one argument of a system call; unused while mask is 0 and own_pid false. */
struct jail_when {
    unsigned argument;
    uint64_t mask, value; /* (argument & mask) == value */
    bool own_pid;         /* instead: it is our process id, at the time of compiling */
};

/* Calls that no rule allows end the process with SIGSYS. */
struct jail_rule {
    const char *names; /* of system calls, between blanks; NULL ends a list */
    int error;         /* 0: allow; otherwise the call fails with this errno */
    struct jail_when when[2];
};

#define JAIL_ALLOW(words) \
    {                     \
        .names = (words)  \
    }
#define JAIL_ALLOW_IF(word, arg, bits, is)                                              \
    {                                                                                   \
        .names = (word), .when[0] = {.argument = (arg), .mask = (bits), .value = (is) } \
    }
#define JAIL_FAIL(words, errno_value)            \
    {                                            \
        .names = (words), .error = (errno_value) \
    }
#define JAIL_END      \
    {                 \
        .names = NULL \
    }

/* What any program of ours needs to live: memory that is never executable, time, signals. */
#define JAIL_RULES_LIFE                                                                     \
    JAIL_ALLOW("read write close lseek brk munmap mremap madvise futex"),                   \
        JAIL_ALLOW("rt_sigreturn rt_sigprocmask rt_sigaction sigaltstack restart_syscall"), \
        JAIL_ALLOW("clock_gettime gettimeofday clock_nanosleep getrandom sched_yield"),     \
        JAIL_ALLOW("exit exit_group getpid gettid getppid set_robust_list rseq"),           \
        {.names = "tgkill", .when[0] = {.argument = 0, .own_pid = true}},                   \
        JAIL_ALLOW_IF("mmap", 2, PROT_EXEC, 0), JAIL_ALLOW_IF("mprotect", 2, PROT_EXEC, 0)

/* What fork() and a loop over children need, and nothing else that clone() can do. */
#define JAIL_FORK_FLAGS (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)
#define JAIL_RULES_FORK                                                                            \
    JAIL_ALLOW_IF("clone", 0, 0xffffff00u, JAIL_FORK_FLAGS), JAIL_ALLOW("wait4 kill close_range"), \
        JAIL_ALLOW_IF("prctl", 0, 0xffffffffu, PR_SET_PDEATHSIG)

struct jail_limit {
    int resource; /* RLIMIT_* */
    rlim_t value; /* soft and hard */
};

#define JAIL_CAPS_END (-1)
#define JAIL_SAME_ID ((uid_t)-1) /* uid: stay who we are */

struct jail {
    const char *who; /* for messages: "the opener" */
    uid_t uid;       /* or JAIL_SAME_ID; the gid is the same number unless gid says otherwise */
    gid_t gid;
    const int *permitted; /* capabilities kept, ends with JAIL_CAPS_END; NULL: none */
    const int *effective; /* the ones among them that are on */
    bool children_exec;   /* children exec as root: bounding set = permitted, securebits stay */
    bool isolate;         /* namespaces of its own and an empty root, where the host allows it */
    const struct jail_limit *limits;
    size_t limit_count;
    pid_t parent;                  /* die with it; 0: outlive it */
    const struct jail_rule *rules; /* NULL: no filter */
};

/* Gives everything up. Returns 0, 1 when all is done but the host refused namespaces of our own, or
 * -errno with the missing right named in e. After an error the process must not go on. */
int jail_enter(const struct jail *jail, struct err *e);

/* Names the capabilities of the list that this process does not hold, as "CAP_BPF, CAP_PERFMON".
 * Returns how many they are. */
size_t jail_missing_caps(const int *caps, char *names, size_t size);

/* Those of the list that this process holds, ended as it; ret has room for all of it. Returns ret.
 */
const int *jail_held_caps(const int *caps, int *ret);

/* Switches a permitted capability on for a moment, and off again. 0 or -errno. */
int jail_raise(int capability);
int jail_lower(int capability);

/* A compiled filter. */
struct jail_filter {
    struct sock_filter *code; /* owned */
    uint16_t length;
};

void jail_filter_free(struct jail_filter *f); /* the contents */
#define _cleanup_filter_ _cleanup_(jail_filter_free)

int jail_filter_compile(const struct jail_rule *rules, struct jail_filter *ret, struct err *e);

/* From here on it holds, on top of earlier filters. 0 or -errno. */
int jail_filter_load(const struct jail_filter *f);

/* Closes every fd above 2 that is not among keep (which is sorted in place). */
void jail_close_fds(int *keep, size_t count);

/* Makes fds 0 and 1 /dev/null. Returns 0 or -errno. */
int jail_null_stdio(void);
