/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole-attacher: asks JVMs for their perf maps, where the configuration allows it.
 *
 * Starts and ends as nsresolve/helper.h says. The one process of ours that acts on targets: it may
 * become their users, and its children do before they touch a file of theirs.
 */
#include "base/loop.h"
#include "nsresolve/attach.h"
#include "nsresolve/helper.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const int caps[] = {CAP_SETUID, CAP_SETGID, CAP_SYS_PTRACE, JAIL_CAPS_END};

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_NOFILE, 256},
    {RLIMIT_NPROC, 32},
    {RLIMIT_FSIZE, 1u << 20},
};

static const struct jail_rule rules[] = {
    JAIL_RULES_LIFE,
    JAIL_RULES_FORK,
    JAIL_ALLOW("recvmsg sendmsg epoll_create1 epoll_ctl epoll_wait epoll_pwait signalfd4"),
    JAIL_ALLOW_IF("socketpair", 0, ~0ull, AF_UNIX),
    /* What the children do besides, and what makes them do no more. */
    JAIL_ALLOW_IF("openat", 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
    JAIL_ALLOW("openat2 unlinkat fstat newfstatat fcntl connect getsockopt recvfrom sendto poll"),
    JAIL_ALLOW("ppoll setgroups setresgid setresuid capget capset"),
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_UNIX),
    JAIL_ALLOW_IF("pidfd_send_signal", 1, ~0ull, SIGQUIT),
    JAIL_ALLOW_IF("pidfd_send_signal", 1, ~0ull, 0), /* asks whether it lives */
    JAIL_ALLOW_IF("prctl", 0, 0xffffffffu, PR_SET_DUMPABLE),
    JAIL_ALLOW_IF("prctl", 0, 0xffffffffu, PR_CAPBSET_READ),
    JAIL_ALLOW_IF("seccomp", 0, ~0ull, SECCOMP_SET_MODE_FILTER),
    JAIL_END,
};

int main(int argc, char **argv)
{
    struct helper attacher = {
        .name = "porthole-attacher",
        .prepare = attach_setup,
        .jail =
            {
                .who = "the attacher",
                .permitted = caps,
                .effective = caps,
                .limits = limits,
                .limit_count = ARRAY_SIZE(limits),
                .rules = rules,
            },
        .workers =
            {
                .name = "attacher",
                .concurrency = 4,
                .per_container = 4,
                .queue = 32,
                .deadline_ns = ATTACH_TIMEOUT_NS + NS_PER_SEC,
                .stuck_container = 4,
                .stuck_total = 8,
                .handle = attach_handle,
            },
    };

    return helper_main(&attacher, argc, argv);
}
