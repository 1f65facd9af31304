/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Row P1 against the real opener: a process is gone, or its pid belongs to another one by now. Runs
 * in a pid namespace of its own, where it may choose the next pid.
 */
#include "tests/hostile/drive.h"

static struct session opener;

static void choose_next_pid(pid_t pid)
{
    char text[16];
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

    snprintf(text, sizeof(text), "%d", pid - 1);
    need(fd >= 0 && write(fd, text, strlen(text)) > 0, "ns_last_pid");
    close(fd);
}

static pid_t sleeper(void)
{
    pid_t pid = fork();

    need(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return pid;
}

/* Start times count in ticks of 10 ms: a later process must have a later one. */
static void next_tick(void)
{
    uint64_t until = now_ns() + 30 * NS_PER_MS;

    while (now_ns() < until)
        poll(NULL, 0, 10);
}

static int run(void)
{
    const struct wire_open_item item = {
        .kind = WIRE_OPEN_MAPPED, .start = 0x1000, .end = 0x2000, .dev = 1, .ino = 1};
    static struct answer a;
    struct pinned first, second;
    enum file_reason reason;
    pid_t pid, again;
    int fd, r;

    need(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount proc");
    opener = session_start("OPENER", UID_OPENER);
    pid = sleeper();
    need(pin(&opener, pid, 0, &first) == 0, "pin");
    result(first.about.ns_tgid == pid && first.about.uid == 0 && first.about.root_uid == 0 &&
               first.about.mount_ns && first.about.pid_ns && first.about.user_ns,
           "P1: a pinned process is described");
    r = pin(&opener, pid, first.about.start_time, &second);
    result(r == 0, "P1: its pid with its start time pins it again");
    close(second.fds[0]);
    close(second.fds[1]);
    end(pid);
    r = pin(&opener, pid, 0, &second);
    result(r == ESRCH, "P1: a process that has gone cannot be pinned");

    next_tick();
    choose_next_pid(pid);
    again = sleeper();
    need(again == pid, "the same pid once more");
    r = pin(&opener, pid, first.about.start_time, &second);
    result(r == ESRCH, "P1: another process under that pid is not taken for the first");
    ask(&opener, WIRE_MAPS, 1, NULL, 0, first.fds, 1, &a);
    result(a.status == WIRE_FAILED && a.error == ESRCH, "P1: the first one's pin shows no maps");
    drop(&a);
    reason = open_one(&opener, 1, &first, &item, "/none", &fd, NULL);
    result(reason != FILE_OK, "P1: the first one's pin opens no mapping (%s)",
           file_reason_text(reason));
    r = pin(&opener, again, 0, &second);
    ask(&opener, WIRE_MAPS, 1, NULL, 0, second.fds, 1, &a);
    result(r == 0 && a.status == WIRE_OK && a.fd_count == 1 &&
               second.about.start_time != first.about.start_time,
           "P1: the second one is a process of its own");
    result(a.fd_count == 1 && fcntl(a.fds[0], F_GET_SEALS) & F_SEAL_WRITE,
           "a snapshot of maps cannot be changed any more");
    drop(&a);
    end(again);
    r = pin(&opener, -1, 0, &second);
    result(r == EINVAL, "P1: a negative pid is refused");
    session_end(&opener);
    return failures != 0;
}

int main(void)
{
    int status;
    pid_t pid;

    own_mounts();
    need(unshare(CLONE_NEWPID) == 0, "unshare");
    pid = fork();
    need(pid >= 0, "fork");
    if (pid == 0)
        exit(run());
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
