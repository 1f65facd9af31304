/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole-opener: opens what containers' processes see, on behalf of the agent.
 *
 * Started by the monitor with one end of a record socket as fd 3; ends when the other end closes.
 */
#include "base/jail.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/options.h"
#include "nsresolve/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define SOCKET_FD 3

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

static int start(uint64_t uid, struct err *e)
{
    const struct jail jail = {
        .who = "the opener",
        .uid = (uid_t)uid,
        .gid = JAIL_SAME_ID,
        .permitted = caps,
        .effective = caps,
        .limits = limits,
        .limit_count = ARRAY_SIZE(limits),
        .parent = getppid(),
        .rules = rules,
    };
    int keep[] = {SOCKET_FD}, proc_fd, r;

    jail_close_fds(keep, 1);
    r = jail_null_stdio();
    if (r < 0)
        return err_set(e, ERR_FAILED, "cannot open '/dev/null': %s", strerror(-r));
    proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0)
        return err_set(e, ERR_FAILED, "cannot open '/proc': %s", strerror(errno));
    opener_setup(proc_fd);
    r = jail_enter(&jail, e);
    return r < 0 ? r : proc_fd;
}

int main(int argc, char **argv)
{
    uint64_t uid = 0;
    bool verbose = false;
    const struct option_spec options[] = {
        {.name = "uid",
         .kind = OPTION_NUMBER,
         .into = &uid,
         .arg = "UID",
         .min = 1,
         .max = 1u << 31},
        {.name = "verbose", .kind = OPTION_FLAG, .into = &verbose},
        {0},
    };
    struct err e = {0};
    size_t operands;
    int r = options_parse(options, argc, argv, NULL, 0, &operands, &e), proc_fd;

    prctl(PR_SET_NAME, "porthole-opener");
    log_setup("porthole-opener", verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (r == 0 && !uid)
        r = err_set(&e, ERR_USAGE, "started by portholed only: --uid is missing");
    proc_fd = r < 0 ? r : start(uid, &e);
    if (proc_fd < 0) {
        log_error("%s%s%s", e.message, *e.remedy ? "; " : "", e.remedy);
        return err_exit_status(e.code);
    }
    r = workers_run(
        &(struct workers_spec){
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
        SOCKET_FD);
    if (r < 0)
        log_error("cannot go on: %s", strerror(-r));
    _exit(r < 0 ? 1 : 0);
}
