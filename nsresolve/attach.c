/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/attach.h"

#include "base/jail.h"
#include "base/loop.h"
#include "base/pathat.h"
#include "base/process.h"
#include "nsresolve/arguments.h"
#include "nsresolve/attach_check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#define LOOK_AGAIN_NS (20 * NS_PER_MS)
#define ANSWER_MAX 65536u /* bytes; a perf map's is empty */

/* Version of the protocol, the command, its three arguments. */
static const char command[] = "1\0jcmd\0Compiler.perfmap\0\0";

static struct jail_filter filter; /* of the children, once they are the JVM's user */

/* No file is read here any more, and the one signal is SIGQUIT. */
static const struct jail_rule rules[] = {
    JAIL_ALLOW("openat2 unlinkat fstat newfstatat close read write recvfrom sendto poll ppoll"),
    JAIL_ALLOW(
        "connect getsockopt clock_gettime clock_nanosleep exit_group rt_sigreturn brk munmap"),
    JAIL_ALLOW_IF("socket", 0, ~0ull, AF_UNIX),
    JAIL_ALLOW_IF("pidfd_send_signal", 1, ~0ull, SIGQUIT),
    JAIL_ALLOW_IF("pidfd_send_signal", 1, ~0ull, 0),
#ifdef __SANITIZE_ADDRESS__ /* to die with a report */
    JAIL_ALLOW(
        "mmap sigaltstack rt_sigaction rt_sigprocmask getpid gettid sched_yield madvise futex"),
#endif
    JAIL_END,
};

/* One JVM, asked once. */
struct attach {
    struct wire_attach ask;
    struct wire_attached *answer;
    int proc_fd, root_fd; /* borrowed */
    int tmp_fd;           /* the directory in which HotSpot looks */
    struct attach_target target;
    uint64_t deadline_ns;
    char trigger[32], socket[32]; /* names in that directory */
};

const char *attach_outcome_text(enum attach_outcome outcome)
{
    static const char *const texts[ATTACH_OUTCOME_COUNT] = {
        [ATTACH_DONE] = "done",
        [ATTACH_NOT_HOTSPOT] = "it is no HotSpot JVM",
        [ATTACH_DISABLED] = "it runs with -XX:+DisableAttachMechanism",
        [ATTACH_OPTIONS] = "its options stand in a file, and one of them may forbid it",
        [ATTACH_NO_HANDLER] = "it does not catch SIGQUIT, which would end it",
        [ATTACH_NO_FILE] = "the file in /tmp that asks for its socket cannot be made",
        [ATTACH_NO_SOCKET] = "it opened no socket in time",
        [ATTACH_FOREIGN] = "what stands at its socket's place in /tmp is not its socket",
        [ATTACH_NO_ANSWER] = "it did not answer in time",
        [ATTACH_REFUSED] = "it does not know Compiler.perfmap, which came with JDK 17",
        [ATTACH_TOO_MUCH] = "it answered more than it should",
        [ATTACH_GONE] = "it ended",
        [ATTACH_DENIED] = "the attacher may not",
    };

    return (unsigned)outcome < ATTACH_OUTCOME_COUNT ? texts[outcome] : "unknown outcome";
}

int attach_setup(struct err *e)
{
    return jail_filter_compile(rules, &filter, e);
}

static enum attach_outcome with_error(const struct attach *a, enum attach_outcome outcome, int r)
{
    a->answer->error = -r;
    return outcome;
}

static bool in_time(const struct attach *a)
{
    return now_ns() < a->deadline_ns;
}

static void pause_a_little(void)
{
    const struct timespec t = {.tv_nsec = LOOK_AGAIN_NS};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* ---- becoming the JVM's user ---- */

/* HotSpot wants the file's owner and its peer to be itself, and whoever it is in its namespaces,
 * its uid is the same number to the kernel. The real and saved uids stay ours, so that the attacher
 * can still end this child and nobody in the container can. */
static int become(const struct attach_target *t)
{
    if (setgroups(0, NULL) < 0 || setresgid((gid_t)-1, t->gid, (gid_t)-1) < 0 ||
        setresuid((uid_t)-1, t->uid, (uid_t)-1) < 0)
        return -errno;
    return 0;
}

/* No capability is left, and few system calls. */
static int give_up_rights(void)
{
    cap_t none = cap_init();
    int r;

    if (!none)
        return -ENOMEM;
    r = cap_set_proc(none) < 0 ? -errno : 0;
    cap_free(none);
    /* The change of users undid both. */
    if (r < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return r < 0 ? r : -errno;
    return jail_filter_load(&filter);
}

/* ---- the socket ---- */

/* An O_PATH fd of what stands at the socket's place, when that may be the JVM's: a socket, not a
 * link to one, and its owner's. -EBADF: it is something else. */
static int find_socket(const struct attach *a)
{
    _cleanup_close_ int fd = pathat_open_name(a->tmp_fd, a->socket);
    struct stat st;

    if (fd < 0)
        return fd == -ENOENT ? fd : -EBADF;
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != a->target.uid)
        return -EBADF;
    return TAKE_FD(fd);
}

/* The kernel knows who listens: neither a bind mount nor a socket of somebody else passes here. */
static bool is_target(const struct attach *a, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof(peer) &&
           peer.pid == a->ask.pid && peer.uid == a->target.uid;
}

/* Returns a connected fd, or -EBADF, -ETIMEDOUT. */
static int connect_to(const struct attach *a, int socket_fd)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r;

    if (fd < 0)
        return -EBADF;
    /* Our own fd of a socket: this magic link cannot lead elsewhere. */
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", socket_fd);
    while ((r = connect(fd, (const struct sockaddr *)&address, sizeof(address))) < 0 &&
           errno == EAGAIN && in_time(a))
        pause_a_little(); /* its queue is full */
    if (r < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -EBADF;
    return is_target(a, fd) ? TAKE_FD(fd) : -EBADF;
}

/* ---- the question ---- */

static bool wait_for(const struct attach *a, int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    uint64_t now = now_ns();

    return now < a->deadline_ns && poll(&p, 1, (int)((a->deadline_ns - now) / NS_PER_MS) + 1) == 1;
}

/* The answer begins with a number and a newline, 0 for done, and ends with the connection. */
static enum attach_outcome read_answer(const struct attach *a, int fd)
{
    char text[4096], first[2] = "";
    size_t total = 0;

    while (wait_for(a, fd, POLLIN)) {
        ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return n == 0 && total >= 2 && memcmp(first, "0\n", 2) == 0 ? ATTACH_DONE
                   : total                                              ? ATTACH_REFUSED
                                                                        : ATTACH_NO_ANSWER;
        for (ssize_t i = 0; i < n && total + (size_t)i < sizeof(first); i++)
            first[total + (size_t)i] = text[i];
        total += (size_t)n;
        if (total > ANSWER_MAX)
            return ATTACH_TOO_MUCH;
    }
    return ATTACH_NO_ANSWER;
}

static enum attach_outcome ask_over(const struct attach *a, int socket_fd)
{
    _cleanup_close_ int fd = connect_to(a, socket_fd);

    if (fd < 0)
        return fd == -ETIMEDOUT ? ATTACH_NO_ANSWER : ATTACH_FOREIGN;
    if (!wait_for(a, fd, POLLOUT) ||
        send(fd, command, sizeof(command), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(command))
        return ATTACH_NO_ANSWER;
    return read_answer(a, fd);
}

/* ---- the way to the socket ---- */

static bool is_gone(const struct attach *a)
{
    return syscall(SYS_pidfd_send_signal, a->proc_fd, 0, NULL, 0) < 0 && errno == ESRCH;
}

/* Waits for the socket. Returns its fd or -errno. */
static int await_socket(const struct attach *a)
{
    int fd;

    while ((fd = find_socket(a)) == -ENOENT && in_time(a)) {
        if (is_gone(a))
            return -ESRCH;
        pause_a_little();
    }
    return fd;
}

/* Asks for the socket. Returns its fd, or -errno with *why. */
static int summon(const struct attach *a, enum attach_outcome *why)
{
    int r = pathat_create_name(a->tmp_fd, a->trigger);

    /* Without the file SIGQUIT would be a wish for a dump of all threads. */
    if (r < 0) {
        *why = with_error(a, ATTACH_NO_FILE, r);
        return r;
    }
    if (syscall(SYS_pidfd_send_signal, a->proc_fd, SIGQUIT, NULL, 0) < 0) {
        r = -errno;
        *why = with_error(a, r == -ESRCH ? ATTACH_GONE : ATTACH_DENIED, r);
    } else {
        a->answer->signalled = 1;
        r = await_socket(a);
        *why = r == -EBADF ? ATTACH_FOREIGN : r == -ESRCH ? ATTACH_GONE : ATTACH_NO_SOCKET;
    }
    unlinkat(a->tmp_fd, a->trigger, 0);
    return r;
}

static enum attach_outcome talk(struct attach *a)
{
    _cleanup_close_ int tmp_fd = pathat_open_path(a->root_fd, "/tmp"), fd = -1;
    enum attach_outcome why;

    if (tmp_fd < 0)
        return with_error(a, ATTACH_NO_FILE, tmp_fd);
    a->tmp_fd = tmp_fd;
    snprintf(a->trigger, sizeof(a->trigger), ".attach_pid%d", a->ask.ns_pid);
    snprintf(a->socket, sizeof(a->socket), ".java_pid%d", a->ask.ns_pid);
    fd = find_socket(a);
    if (fd == -EBADF)
        return ATTACH_FOREIGN;
    if (fd < 0)
        fd = summon(a, &why);
    return fd < 0 ? why : ask_over(a, fd);
}

static enum attach_outcome attach(struct attach *a)
{
    enum attach_outcome outcome = attach_check(a->proc_fd, a->ask.ns_pid, &a->target);
    int r;

    if (outcome != ATTACH_DONE)
        return outcome;
    r = become(&a->target);
    if (r == 0)
        outcome = attach_check_options(a->proc_fd); /* its environment is for its user only */
    if (outcome != ATTACH_DONE)
        return outcome;
    if (r == 0)
        r = give_up_rights();
    return r < 0 ? with_error(a, ATTACH_DENIED, r) : talk(a);
}

void attach_handle(const struct work *w, struct work_answer *answer)
{
    struct wire_attached result = {0};
    struct attach a = {.answer = &result, .deadline_ns = now_ns() + ATTACH_TIMEOUT_NS};

    if (w->op != WIRE_ATTACH || w->size != sizeof(a.ask) || w->fd_count != 2) {
        answer->head.status = WIRE_FAILED;
        answer->head.error = EINVAL;
        return;
    }
    memcpy(&a.ask, w->payload, sizeof(a.ask));
    a.proc_fd = w->fds[0];
    a.root_fd = w->fds[1];
    result.outcome = attach(&a);
    memcpy(answer->payload, &result, sizeof(result));
    answer->head.size = sizeof(result);
}
