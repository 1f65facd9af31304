/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows F1 to F5, F11 and F13 against the real opener: links, exchanged directories, things that are
 * no files, pseudo file systems, leases, foreign owners, mapped files that were replaced.
 */
#include "tests/hostile/drive.h"

#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static struct session opener;
static struct pinned victim;
static char top[256]; /* holds root/ and what lies outside of it */

static const char *in(const char *path)
{
    static char full[8][512];
    static unsigned turn;
    char *to = full[turn++ % ARRAY_SIZE(full)];

    snprintf(to, sizeof(full[0]), "%s/%s", top, path);
    return to;
}

static bool same_file(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static enum file_reason open_path(const char *path, int *fd, double *ms)
{
    return open_one(&opener, 1, &victim, &(struct wire_open_item){.kind = WIRE_OPEN_PATH}, path, fd,
                    ms);
}

/* ---- F1 ---- */

static void links(void)
{
    static const struct {
        const char *name, *target, *inside; /* inside: what it must lead to; NULL: nothing */
    } cases[] = {
        {"root/l-absolute", "/etc/shadow", "root/etc/shadow"},
        {"root/l-up", "../../../../../../../../etc/shadow", "root/etc/shadow"},
        {"root/l-outside", "../outside/file", NULL},
        {"root/l-host", "/etc/hostname-of-the-host", NULL},
        {"root/l-loop", "l-loop", NULL},
        {"root/l-magic", "/proc/1/root/etc/passwd", NULL},
        {"root/l-fd", "/proc/self/fd/2", NULL},
    };

    enum file_reason reason;
    int fd;

    need(symlink(in("outside/file"), in("root/l-both")) == 0, "l-both");
    reason = open_path("l-both", &fd, NULL);
    result(reason == FILE_NOT_FOUND,
           "F1: an absolute link to a file of the host alone finds nothing");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        need(symlink(cases[i].target, in(cases[i].name)) == 0, cases[i].name);
        reason = open_path(cases[i].name + 5, &fd, NULL);
        if (cases[i].inside)
            result(reason == FILE_OK && same_file(fd, in(cases[i].inside)),
                   "F1: a link to %s stays inside the container", cases[i].target);
        else
            result(reason != FILE_OK && fd < 0, "F1: a link to %s is refused (%s)", cases[i].target,
                   file_reason_text(reason));
        if (fd >= 0)
            close(fd);
    }
}

/* ---- F2 ---- */

#define BATCHES 12800 /* of 16 attempts */

static void exchange_for_ever(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        syscall(SYS_renameat2, AT_FDCWD, in("root/x"), AT_FDCWD, in("root/y"), RENAME_EXCHANGE);
}

static void exchanged_directories(void)
{
    static char request[RECORD_MAX / 2];
    static struct answer a;
    unsigned inside = 0, escapes = 0, refused = 0, failed = 0;
    size_t size;
    pid_t racer;

    need(mkdir(in("root/x"), 0755) == 0 && symlink(in("outside"), in("root/y")) == 0, "race");
    put_file(in("root/x/file"), "inside");
    racer = fork();
    if (racer == 0)
        exchange_for_ever();
    size = open_request(request, &(struct wire_open_item){.kind = WIRE_OPEN_PATH}, "x/file",
                        WIRE_BATCH_MAX, true);
    for (unsigned i = 0; i < BATCHES; i++) {
        ask(&opener, WIRE_OPEN, 1, request, size, victim.fds, 2, &a);
        failed += a.status != WIRE_OK;
        refused += WIRE_BATCH_MAX - (unsigned)a.fd_count;
        for (size_t k = 0; k < a.fd_count; k++) {
            if (same_file(a.fds[k], in("outside/file")))
                escapes++;
            else
                inside++;
        }
        drop(&a);
    }
    end(racer);
    result(escapes == 0 && failed == 0 && inside > 0 && refused > 0,
           "F2: %u attempts against exchanged directories: %u inside, %u refused, %u escaped",
           BATCHES * WIRE_BATCH_MAX, inside, refused, escapes);
}

/* ---- F3, F4, F5 ---- */

static void not_files(void)
{
    static const char *const names[] = {"fifo", "socket", "directory", "null", "zero"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", in("root/socket"));
    need(mkfifo(in("root/fifo"), 0666) == 0 && mkdir(in("root/directory"), 0755) == 0 &&
             bind(s, (struct sockaddr *)&address, sizeof(address)) == 0 &&
             mknod(in("root/null"), S_IFCHR | 0666, makedev(1, 3)) == 0 &&
             mknod(in("root/zero"), S_IFCHR | 0666, makedev(1, 5)) == 0,
         "things that are no files");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        enum file_reason reason;
        double ms;
        int fd;

        reason = open_path(names[i], &fd, &ms);
        result(reason == FILE_NOT_REGULAR && ms < 1000, "F3: a %s is refused in %.1f ms (%s)",
               names[i], ms, file_reason_text(reason));
    }
    close(s);
}

static void pseudo_files(void)
{
    static const char *const targets[] = {"/proc/kmsg", "/proc/1/mem", "/proc/self/mem",
                                          "/proc/sys/kernel/ns_last_pid", "/proc/kcore"};

    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        char name[32], path[64];
        enum file_reason reason;
        struct stat st;
        double ms;
        int fd;

        snprintf(name, sizeof(name), "pseudo-%zu", i);
        snprintf(path, sizeof(path), "root/%s", name);
        need(symlink(targets[i], in(path)) == 0, path);
        if (stat(targets[i], &st) < 0)
            continue;
        reason = open_path(name, &fd, &ms);
        result(reason == FILE_PSEUDO && ms < 1000, "F4: a link to %s is refused in %.1f ms (%s)",
               targets[i], ms, file_reason_text(reason));
    }
}

static void leases(void)
{
    int held, fd, ready[2];
    enum file_reason reason;
    double ms;
    pid_t pid;
    char c;

    put_file(in("root/leased"), "leased");
    need(pipe2(ready, O_CLOEXEC) == 0, "pipe");
    pid = fork();
    if (pid == 0) {
        signal(SIGIO, SIG_IGN); /* it never gives the lease back */
        held = open(in("root/leased"), O_RDWR | O_CLOEXEC);
        need(held >= 0 && fcntl(held, F_SETLEASE, F_WRLCK) == 0, "lease");
        need(write(ready[1], "r", 1) == 1, "ready");
        for (;;)
            pause();
    }
    need(read(ready[0], &c, 1) == 1, "lease holder");
    reason = open_path("/leased", &fd, &ms);
    result(reason == FILE_LEASED && ms < 1000, "F5: a leased file is refused in %.1f ms (%s)", ms,
           file_reason_text(reason));
    end(pid);
}

/* ---- F11 ---- */

static void owners(void)
{
    struct wire_open_item item = {.kind = WIRE_OPEN_OWNED, .uid_a = 1234, .uid_b = 0};
    enum file_reason reason;
    char planted[64];
    int fd;

    put_file(in("root/tmp/perf-1.map"), "1000 10 f\n");
    need(chown(in("root/tmp/perf-1.map"), 4321, 4321) == 0, "chown");
    reason = open_one(&opener, 1, &victim, &item, "/tmp/perf-1.map", &fd, NULL);
    result(reason == FILE_FOREIGN && fd < 0, "F11: a perf map of a third user is refused (%s)",
           file_reason_text(reason));
    need(chown(in("root/tmp/perf-1.map"), 1234, 4321) == 0, "chown");
    reason = open_one(&opener, 1, &victim, &item, "/tmp/perf-1.map", &fd, NULL);
    result(reason == FILE_OK, "F11: one of the process's own user is taken");
    close(fd);

    snprintf(planted, sizeof(planted), "/tmp/perf-%d.map", victim.about.ns_tgid);
    put_file(planted, "1000 10 planted\n");
    item.uid_a = 0;
    reason = open_one(&opener, 1, &victim, &item, planted, &fd, NULL);
    result(reason == FILE_NOT_FOUND, "F11: the host's map under that pid is not looked at (%s)",
           file_reason_text(reason));
    unlink(planted);
}

/* ---- F13 ---- */

/* A process in the victim's root that maps the file, which is then replaced. */
static pid_t map_and_wait(const char *path, uint64_t address[2], struct stat *st)
{
    int to[2];
    pid_t pid;

    need(pipe2(to, O_CLOEXEC) == 0, "pipe");
    pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        uint64_t range[2] = {(uint64_t)(uintptr_t)at, (uint64_t)(uintptr_t)at + 4096};

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        need(fd >= 0 && at != MAP_FAILED && fstat(fd, st) == 0, "map");
        need(write(to[1], range, 16) == 16 && write(to[1], st, sizeof(*st)) == sizeof(*st), "tell");
        for (;;)
            pause();
    }
    need(read(to[0], address, 16) == 16 && read(to[0], st, sizeof(*st)) == sizeof(*st), "mapper");
    close(to[0]);
    close(to[1]);
    return pid;
}

static void mapped(void)
{
    struct wire_open_item item = {.kind = WIRE_OPEN_MAPPED};
    enum file_reason reason;
    uint64_t range[2];
    struct pinned mapper;
    struct stat st, got;
    pid_t pid;
    int fd;

    put_file(in("root/lib"), "the mapped one");
    pid = map_and_wait(in("root/lib"), range, &st);
    need(pin(&opener, pid, 0, &mapper) == 0, "pin");
    put_file(in("root/lib.new"), "the new one");
    need(rename(in("root/lib.new"), in("root/lib")) == 0, "replace");
    item.start = range[0];
    item.end = range[1];
    item.dev = st.st_dev;
    item.ino = st.st_ino;
    reason = open_one(&opener, 1, &mapper, &item, in("root/lib"), &fd, NULL);
    result(reason == FILE_OK && fstat(fd, &got) == 0 && got.st_ino == st.st_ino,
           "F13: a replaced file comes from its mapping (%s)", file_reason_text(reason));
    close(fd);

    item.end = range[1] + 4096; /* no such mapping: the path is all there is */
    reason = open_one(&opener, 1, &mapper, &item, in("root/lib"), &fd, NULL);
    result(reason == FILE_REPLACED, "F13: by its path the new file is refused (%s)",
           file_reason_text(reason));

    put_file(in("root/odd (deleted)"), "odd");
    need(stat(in("root/odd (deleted)"), &st) == 0, "odd");
    item.dev = st.st_dev;
    item.ino = st.st_ino;
    reason = open_one(&opener, 1, &mapper, &item, in("root/odd (deleted)"), &fd, NULL);
    result(reason == FILE_OK, "F13: a file whose name ends in (deleted) is found");
    close(fd);
    put_file(in("root/line\nbreak"), "odd");
    need(stat(in("root/line\nbreak"), &st) == 0, "odd");
    item.ino = st.st_ino;
    reason = open_one(&opener, 1, &mapper, &item, in("root/line\nbreak (deleted)"), &fd, NULL);
    result(reason == FILE_OK, "F13: a newline and a mark of deletion do not hide a file");
    close(fd);
    end(pid);
    close(mapper.fds[0]);
    close(mapper.fds[1]);
}

/* ---- the wire itself ---- */

static void nonsense(void)
{
    static char request[RECORD_MAX / 2];
    static struct answer a;
    struct wire_open_item item = {.kind = WIRE_OPEN_HOST};
    size_t size = open_request(request, &item, "/usr/lib/debug/../../../etc/shadow", 1, true);
    const struct wire_opened_item *done =
        (const void *)((const char *)a.payload + sizeof(struct wire_opened));

    ask(&opener, WIRE_OPEN, 1, request, size, victim.fds, 2, &a);
    result(a.status == WIRE_OK && done->reason != FILE_OK && a.fd_count == 0,
           "a debug file outside /usr/lib/debug is refused");
    ask(&opener, WIRE_OPEN, 1, request, size - 1, victim.fds, 2, &a);
    result(a.status == WIRE_FAILED && a.fd_count == 0, "a cut request is refused");
    ask(&opener, WIRE_OPEN, 1, request, size, victim.fds, 1, &a);
    result(a.status == WIRE_FAILED && a.fd_count == 0, "a request without its fds is refused");
    ask(&opener, 4711, 1, request, size, victim.fds, 2, &a);
    result(a.status == WIRE_FAILED && a.error == EOPNOTSUPP, "an unknown operation is refused");
    ask(&opener, WIRE_PIN, 0, request, 3, NULL, 0, &a);
    result(a.status == WIRE_FAILED, "a pin of a wrong size is refused");
    ask(&opener, WIRE_PING, 0, NULL, 0, NULL, 0, &a);
    result(a.status == WIRE_OK, "the opener still answers");
}

int main(int argc, char **argv)
{
    pid_t pid;

    need(argc == 2 && strlen(argv[1]) < sizeof(top), "usage: opener_files EMPTY-DIRECTORY");
    snprintf(top, sizeof(top), "%s", argv[1]);
    own_mounts();
    need(mkdir(in("root"), 0755) == 0 && mkdir(in("root/etc"), 0755) == 0 &&
             mkdir(in("root/tmp"), 01777) == 0 && mkdir(in("outside"), 0755) == 0,
         "directories");
    put_file(in("root/etc/shadow"), "the container's");
    put_file(in("outside/file"), "outside");
    pid = victim_start(in("root"));
    opener = session_start("OPENER", UID_OPENER);
    need(pin(&opener, pid, 0, &victim) == 0, "pin");

    links();
    exchanged_directories();
    not_files();
    pseudo_files();
    leases();
    owners();
    mapped();
    nonsense();

    end(pid);
    result(session_end(&opener) == 0, "the opener ends when nobody can ask it any more");
    return failures != 0;
}
