/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rights.h"

#include "agent/perf_event.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* To change users and limit children, to end them, and what opener and agent keep. */
#define MONITOR_CAPS CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL
#define OPENER_CAPS CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE
#define AGENT_CAPS CAP_BPF, CAP_PERFMON

const int rights_needed[] = {MONITOR_CAPS, JAIL_CAPS_END};
const int rights_wanted[] = {OPENER_CAPS, AGENT_CAPS, JAIL_CAPS_END};

/* ---- the agent ---- */

static const int agent_caps[] = {AGENT_CAPS, JAIL_CAPS_END};

static const struct jail_limit agent_limits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_FSIZE, 1u << 30}, /* memfds; it can write to no file */
    {RLIMIT_NPROC, 0},
    {RLIMIT_NOFILE, 16384},
};

/* ioctls whose type is '$': perf's. */
#define PERF_IOCTL_MASK 0xff00u
#define PERF_IOCTL_TYPE 0x2400u

static const struct jail_rule agent_rules[] = {
    JAIL_RULES_LIFE,
    JAIL_ALLOW("bpf perf_event_open"),
    JAIL_ALLOW_IF("ioctl", 1, PERF_IOCTL_MASK, PERF_IOCTL_TYPE),
    JAIL_ALLOW_IF("ioctl", 1, 0xffffffffu, TCGETS), /* stdio asks whether it talks to a terminal */
    JAIL_ALLOW("epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 signalfd4"),
    JAIL_ALLOW("poll ppoll eventfd2 timerfd_create timerfd_settime pipe2"),
    JAIL_ALLOW("inotify_init1 inotify_add_watch inotify_rm_watch"),
    JAIL_ALLOW("accept accept4 recvmsg recvfrom sendmsg sendto shutdown"),
    JAIL_ALLOW("getsockopt setsockopt getsockname getpeername"),
    /* Reading only: whatever happens in here, no file is ever written. */
    JAIL_ALLOW_IF("openat", 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
    JAIL_ALLOW("pread64 preadv readv writev pwrite64 getdents64 readlink readlinkat"),
    JAIL_ALLOW("stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2"),
    JAIL_ALLOW("fcntl dup dup2 dup3 close_range memfd_create ftruncate fadvise64 umask"),
    JAIL_ALLOW("capget capset sysinfo uname getrusage times nanosleep time clock_getres"),
    JAIL_ALLOW("getuid geteuid getgid getegid sched_getaffinity getcpu membarrier"),
    JAIL_ALLOW_IF("prctl", 0, 0xffffffffu, PR_CAPBSET_READ),
    JAIL_ALLOW_IF("prctl", 0, 0xffffffffu, PR_SET_NAME),
    JAIL_ALLOW_IF("prctl", 0, 0xffffffffu, PR_SET_VMA),
    JAIL_ALLOW_IF("prlimit64", 0, 0xffffffffu, 0), /* of itself */
    JAIL_ALLOW("getrlimit setrlimit"),
    JAIL_END,
};

static bool have(int capability)
{
    const int list[] = {capability, JAIL_CAPS_END};
    char names[64];

    return jail_missing_caps(list, names, sizeof(names)) == 0;
}

/* Those that it may raise for a moment: IPC_LOCK while perf's rings beyond perf_event_mlock_kb are
 * mapped, SYS_ADMIN while events are opened, and that only where the kernel insists. */
static void fill_permitted(int permitted[5])
{
    int n = 0;

    if (have(CAP_BPF))
        permitted[n++] = CAP_BPF;
    if (have(CAP_PERFMON))
        permitted[n++] = CAP_PERFMON;
    if (have(CAP_IPC_LOCK))
        permitted[n++] = CAP_IPC_LOCK;
    if (perf_event_wants_admin() && have(CAP_SYS_ADMIN))
        permitted[n++] = CAP_SYS_ADMIN;
    permitted[n] = JAIL_CAPS_END;
}

int rights_enter_agent(uid_t uid, gid_t gid, pid_t parent, struct err *e)
{
    int permitted[5], effective[ARRAY_SIZE(agent_caps)];
    const struct jail jail = {
        .who = "the agent",
        .uid = uid,
        .gid = gid,
        .permitted = permitted,
        .effective = jail_held_caps(agent_caps, effective),
        .limits = agent_limits,
        .limit_count = ARRAY_SIZE(agent_limits),
        .parent = parent,
        .rules = agent_rules,
    };

    fill_permitted(permitted);
    return jail_enter(&jail, e);
}

/* ---- the monitor ---- */

static const int monitor_permitted[] = {MONITOR_CAPS, OPENER_CAPS, JAIL_CAPS_END};
static const int monitor_effective[] = {MONITOR_CAPS, JAIL_CAPS_END};

static const struct jail_limit monitor_limits[] = {
    {RLIMIT_CORE, 0},
};

/* Its children inherit this, so it holds what opener and parser need to start and to work, too. */
static const struct jail_rule monitor_rules[] = {
    JAIL_RULES_LIFE,
    JAIL_ALLOW("recvmsg sendmsg epoll_create1 epoll_ctl epoll_wait epoll_pwait signalfd4"),
    JAIL_ALLOW("clone wait4 waitid kill execveat execve close_range dup dup2 dup3 fcntl"),
    JAIL_ALLOW_IF("socketpair", 0, ~0ull, AF_UNIX),
    JAIL_ALLOW("poll ppoll unlink unlinkat getuid geteuid getgid getegid setpgid"),
    /* the dynamic linker */
    JAIL_ALLOW("mmap mprotect open openat access faccessat faccessat2 arch_prctl set_tid_address"),
    JAIL_ALLOW("prlimit64 getrlimit setrlimit readlink readlinkat getcwd uname sysinfo"),
    JAIL_ALLOW("stat lstat fstat newfstatat statx fstatfs statfs getdents64 ioctl pread64"),
    /* jail_enter() of opener and parser */
    JAIL_ALLOW("capget capset prctl setresuid setresgid setgroups seccomp memfd_create pwrite64"),
    JAIL_ALLOW("unshare mount umount2 pivot_root chroot chdir"),
    /* their work */
    JAIL_ALLOW("openat2 writev ftruncate"),
    JAIL_END,
};

/* What the attacher's work needs, of which the monitor does nothing. */
static const struct jail_rule attacher_rules[] = {
    JAIL_ALLOW("connect getsockopt recvfrom sendto"),
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_UNIX),
    JAIL_ALLOW_IF("pidfd_send_signal", 1, ~0ull, SIGQUIT),
    JAIL_ALLOW_IF("pidfd_send_signal", 1, ~0ull, 0),
    JAIL_END,
};

/* Likewise the fetcher's. */
static const struct jail_rule fetcher_rules[] = {
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_INET),
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_INET6),
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_NETLINK),
    JAIL_ALLOW("connect bind sendto sendmmsg recvfrom getsockopt setsockopt getsockname"),
    JAIL_ALLOW("getpeername pipe pipe2 eventfd2 readv getrusage times sched_getaffinity"),
    JAIL_FAIL("clone3", ENOSYS),
    JAIL_END,
};

/* It is to be told no where it tries; with an attacher it is its own rules that do that. */
static const struct jail_rule no_unix_rules[] = {
    {.names = "socket",
     .error = EAFNOSUPPORT,
     .when[0] = {.argument = 0, .mask = ~0ull, .value = AF_UNIX}},
    JAIL_END,
};

/* Appends a list to a list that has room for it. */
static void add_rules(struct jail_rule *to, const struct jail_rule *from)
{
    while (to->names)
        to++;
    while (from->names)
        *to++ = *from++;
}

int rights_enter_monitor(const struct config *config, struct err *e)
{
    int permitted[ARRAY_SIZE(monitor_permitted)];
    struct jail_rule rules[ARRAY_SIZE(monitor_rules) + ARRAY_SIZE(attacher_rules) +
                           ARRAY_SIZE(fetcher_rules) + ARRAY_SIZE(no_unix_rules)] = {{0}};
    const struct jail jail = {
        .who = "the monitor",
        .uid = JAIL_SAME_ID,
        .permitted = jail_held_caps(monitor_permitted, permitted),
        .effective = monitor_effective,
        .children_exec = true,
        .limits = monitor_limits,
        .limit_count = ARRAY_SIZE(monitor_limits),
        .rules = rules,
    };

    add_rules(rules, monitor_rules);
    if (config->java)
        add_rules(rules, attacher_rules);
    if (config->debuginfod_urls)
        add_rules(rules, fetcher_rules);
    if (config->debuginfod_urls && !config->java)
        add_rules(rules, no_unix_rules);
    return jail_enter(&jail, e);
}
