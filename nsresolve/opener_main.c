/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole-opener: opens what containers' processes see, on behalf of the agent.
 *
 * Starts and ends as nsresolve/helper.h says.
 */
#include "base/loop.h"
#include "nsresolve/helper.h"
#include "nsresolve/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const int caps[] = {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE,
                           JAIL_CAPS_END};

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_NOFILE, 1024},
    {RLIMIT_NPROC, 64},
    {RLIMIT_FSIZE, 256u << 20},
};

static const struct jail_rule rules[] = {
    JAIL_RULES_LIFE,
    JAIL_RULES_FORK,
    JAIL_ALLOW("recvmsg sendmsg epoll_create1 epoll_ctl epoll_wait epoll_pwait signalfd4"),
    JAIL_ALLOW_IF("socketpair", 0, ~0ull, AF_UNIX),
    /* Files are only ever opened for reading; openat2 has its flags in memory, see pathat.c. */
    JAIL_ALLOW_IF("openat", 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
    JAIL_ALLOW("openat2 fstat newfstatat statx fstatfs statfs readlinkat readlink getdents64"),
    JAIL_ALLOW("faccessat faccessat2 pread64 pwrite64 writev ftruncate memfd_create fcntl dup"),
    JAIL_ALLOW("getuid geteuid"),
    JAIL_END,
};

static int proc_fd = -1;

static int prepare(struct err *e)
{
    proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0)
        return err_set(e, ERR_FAILED, "cannot open '/proc': %s", strerror(errno));
    opener_setup(proc_fd);
    return 0;
}

/* What was taken from portholed is missing here, too: it has said so. */
int main(int argc, char **argv)
{
    int held[ARRAY_SIZE(caps)];
    struct helper opener = {
        .name = "porthole-opener",
        .prepare = prepare,
        .jail =
            {
                .who = "the opener",
                .permitted = jail_held_caps(caps, held),
                .effective = held,
                .limits = limits,
                .limit_count = ARRAY_SIZE(limits),
                .rules = rules,
            },
        .workers =
            {
                .name = "opener",
                .concurrency = 8,
                .per_container = 4,
                .queue = 32,
                .deadline_ns = 2 * NS_PER_SEC,
                .stuck_container = 4,
                .stuck_total = 16,
                .answers_fds = true,
                .keep_fds = &proc_fd,
                .keep_count = 1,
                .handle = opener_handle,
            },
    };

    return helper_main(&opener, argc, argv);
}
