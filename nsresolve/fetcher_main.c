/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porthole-fetch: asks the servers of DEBUGINFOD_URLS for debug files, by build ID.
 *
 * Started by the monitor only where that variable is set. It may use the network and read what
 * every user of the host may read, since names of servers and certificates are looked up there; it
 * gets no file of a container, and writes to the memfd that comes with a request.
 */
#include "base/loop.h"
#include "nsresolve/download.h"
#include "nsresolve/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define DEADLINE_NS (30 * NS_PER_SEC)
#define DOWNLOAD_NS (25 * NS_PER_SEC)

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_NOFILE, 256},
    {RLIMIT_NPROC, 64},
    {RLIMIT_FSIZE, DOWNLOAD_MAX},
};

/* curl looks names up in a thread. */
#define THREAD_FLAGS                                                                    \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const struct jail_rule rules[] = {
    JAIL_RULES_LIFE,
    JAIL_RULES_FORK,
    JAIL_ALLOW_IF("clone", 0, ~0ull, THREAD_FLAGS),
    JAIL_FAIL("clone3", ENOSYS),
    JAIL_ALLOW("recvmsg sendmsg epoll_create1 epoll_ctl epoll_wait epoll_pwait signalfd4"),
    JAIL_ALLOW_IF("socketpair", 0, ~0ull, AF_UNIX),
    /* the network; a socket of this host, such as a name service's, is not there for it */
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_INET),
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_INET6),
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_NETLINK),
    {.names = "socket",
     .error = EAFNOSUPPORT,
     .when[0] = {.argument = 0, .mask = ~0ull, .value = AF_UNIX}},
    JAIL_ALLOW("connect bind sendto sendmmsg recvfrom getsockopt setsockopt getsockname"),
    JAIL_ALLOW("getpeername poll ppoll pipe pipe2 eventfd2 fcntl"),
    JAIL_ALLOW_IF("ioctl", 1, 0xffffffffu, FIONREAD),
    JAIL_ALLOW_IF("ioctl", 1, 0xffffffffu, FIONBIO),
    {.names = "ioctl",
     .error = ENOTTY,
     .when[0] = {.argument = 1, .mask = 0xffffffffu, .value = TCGETS}},
    /* /etc/resolv.conf, /etc/hosts, certificates */
    JAIL_ALLOW_IF("openat", 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
    JAIL_ALLOW("fstat newfstatat statx stat lstat fstatfs readlink readlinkat access faccessat"),
    JAIL_ALLOW("faccessat2 getdents64 pread64 ftruncate readv writev uname sysinfo"),
    JAIL_ALLOW("getuid geteuid getgid getegid sched_getaffinity prlimit64 getrusage times"),
    {.names = "mmap",
     .error = ENOMEM,
     .when[0] = {.argument = 2, .mask = PROT_EXEC, .value = PROT_EXEC}},
    JAIL_END,
};

static void handle(const struct work *w, struct work_answer *a)
{
    const char *urls = getenv("DEBUGINFOD_URLS");
    struct wire_fetch ask;
    int r = -EINVAL;

    if (w->op == WIRE_FETCH && w->size == sizeof(ask) && w->fd_count == 1) {
        memcpy(&ask, w->payload, sizeof(ask));
        if (ask.build_id_size >= WIRE_BUILD_ID_MIN && ask.build_id_size <= sizeof(ask.build_id))
            r = download(urls ? urls : "", ask.build_id, ask.build_id_size, now_ns() + DOWNLOAD_NS,
                         w->fds[0]);
    }
    if (r == 0)
        return;
    a->head.status = r == -EFBIG ? WIRE_TOO_BIG : WIRE_FAILED;
    a->head.error = -r;
}

static int prepare(struct err *e)
{
    int r = download_prepare();

    return r < 0 ? err_set(e, ERR_FAILED, "cannot set up curl") : 0;
}

int main(int argc, char **argv)
{
    struct helper fetcher = {
        .name = "porthole-fetch",
        .prepare = prepare,
        .jail =
            {
                .who = "the fetcher",
                .limits = limits,
                .limit_count = ARRAY_SIZE(limits),
                .rules = rules,
            },
        .workers =
            {
                .name = "fetcher",
                .concurrency = 4,
                .per_container = 4,
                .queue = 32,
                .deadline_ns = DEADLINE_NS,
                .stuck_container = 4,
                .stuck_total = 8,
                .handle = handle,
            },
    };

    return helper_main(&fetcher, argc, argv);
}
