/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows F6 and F7 against the real opener and parser: a file system whose server never answers.
 *
 * The server speaks the kernel's FUSE protocol itself. A name that starts with "lookup" is never
 * found nor denied, one with "open" never opens, one with "read" never reads; "fine" works.
 */
#include "tests/hostile/drive.h"

#include <linux/fuse.h>
#include <sys/sysmacros.h>

static char top[256];

/* ---- the server ---- */

enum { NODE_OPEN = 2, NODE_READ, NODE_FINE };

static void fuse_reply(int fd, const struct fuse_in_header *in, int error, const void *data,
                       size_t size)
{
    char out[512];
    struct fuse_out_header head = {
        .len = (uint32_t)(sizeof(head) + size), .error = error, .unique = in->unique};

    memcpy(out, &head, sizeof(head));
    if (size)
        memcpy(out + sizeof(head), data, size);
    if (write(fd, out, head.len) < 0)
        return; /* the one who asked has been killed meanwhile */
}

static void serve_lookup(int fd, const struct fuse_in_header *in, const char *name)
{
    struct fuse_entry_out entry = {.attr = {.mode = S_IFREG | 0644, .nlink = 1, .size = 4096}};

    if (strncmp(name, "lookup", 6) == 0)
        return;
    entry.nodeid = *name == 'o' ? NODE_OPEN : *name == 'r' ? NODE_READ : NODE_FINE;
    entry.attr.ino = entry.nodeid;
    fuse_reply(fd, in, *name == 'x' ? -ENOENT : 0, &entry, *name == 'x' ? 0 : sizeof(entry));
}

static void serve_attributes(int fd, const struct fuse_in_header *in)
{
    struct fuse_attr_out out = {.attr = {.ino = in->nodeid, .nlink = 1, .size = 4096}};

    out.attr.mode = in->nodeid == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    fuse_reply(fd, in, 0, &out, sizeof(out));
}

static void serve(int fd, pid_t parent)
{
    static union {
        struct fuse_in_header in;
        char bytes[256 << 10];
    } request;
    const struct fuse_in_header *in = &request.in;
    const struct fuse_init_out init = {
        .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096, .max_background = 64};
    const struct fuse_open_out open_out = {0};
    const struct fuse_statfs_out statfs_out = {.st = {.namelen = 255, .bsize = 4096}};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    while (read(fd, &request, sizeof(request)) >= (ssize_t)sizeof(*in)) {
        switch (in->opcode) {
        case FUSE_INIT:
            fuse_reply(fd, in, 0, &init, sizeof(init));
            break;
        case FUSE_LOOKUP:
            serve_lookup(fd, in, (const char *)(in + 1));
            break;
        case FUSE_GETATTR:
            serve_attributes(fd, in);
            break;
        case FUSE_STATFS:
            fuse_reply(fd, in, 0, &statfs_out, sizeof(statfs_out));
            break;
        case FUSE_OPEN:
            if (in->nodeid != NODE_OPEN)
                fuse_reply(fd, in, 0, &open_out, sizeof(open_out));
            break;
        case FUSE_READ:
            if (in->nodeid != NODE_READ)
                fuse_reply(fd, in, 0, "fine", 4);
            break;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
            break;
        default:
            fuse_reply(fd, in, -ENOSYS, NULL, 0);
        }
    }
    _exit(0);
}

/* Mounts a server's file system at path; returns the server's pid, or -1. The device is a node of
 * our own, because /dev/fuse is not always for everybody. */
static pid_t fuse_start(const char *path)
{
    char options[128], device[300];
    pid_t pid, parent;
    int fd;

    snprintf(device, sizeof(device), "%s/device", top);
    fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
    if (mount("porthole-test", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        close(fd);
        return -1;
    }
    parent = getpid();
    pid = fork();
    if (pid == 0)
        serve(fd, parent);
    close(fd);
    return pid;
}

/* ---- F6 ---- */

static const struct wire_open_item plain = {.kind = WIRE_OPEN_PATH};

static void post_open(struct session *s, uint64_t container, const struct pinned *p,
                      const char *path)
{
    static char request[8192];
    size_t size = open_request(request, &plain, path, 1, true);

    post(s, WIRE_OPEN, container, request, size, p->fds, 2);
}

/* Slowest of some opens of a sane file, in ms; -1 when one fails. */
static double others(struct session *s, const struct pinned *p, uint64_t container)
{
    double worst = 0, ms;

    for (int i = 0; i < 20; i++) {
        int fd;

        if (open_one(s, container, p, &plain, "/sane", &fd, &ms) != FILE_OK)
            return -1;
        close(fd);
        worst = MAX(worst, ms);
    }
    return worst;
}

/* How many of the next answers have this status. */
static unsigned collect(struct session *s, unsigned count, enum wire_status status)
{
    static struct answer a;
    unsigned n = 0;

    while (count--) {
        await(s, 15000, &a);
        n += a.status == status;
        drop(&a);
    }
    return n;
}

/* Children of a process in this state of /proc/PID/stat. */
static unsigned children_in_state(pid_t parent, char state)
{
    char command[128];
    unsigned n = 0;
    FILE *f;

    snprintf(command, sizeof(command), "ps -o stat= --ppid %d | grep -c '^%c'", parent, state);
    f = popen(command, "re");
    if (!f || fscanf(f, "%u", &n) != 1)
        n = 999;
    if (f)
        pclose(f);
    return n;
}

static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

static bool answers_again(struct session *s, const struct pinned *p)
{
    for (int tries = 0; tries < 100; tries++) {
        if (others(s, p, 88) >= 0)
            return true;
        pause_ms(50);
    }
    return false;
}

static void hanging_opens(pid_t victim, pid_t server)
{
    struct session s = session_start("OPENER", UID_OPENER);
    struct pinned p;
    enum file_reason reason;
    unsigned n;
    double ms;
    char path[64];
    int fd;

    need(pin(&s, victim, 0, &p) == 0, "pin");
    reason = open_one(&s, 77, &p, &plain, "/fuse/fine", &fd, NULL);
    result(reason == FILE_OK, "F6: a file system in user space that answers is fine");
    close(fd);
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof(path), "/fuse/lookup-%d", i);
        post_open(&s, 77, &p, path);
    }
    ms = others(&s, &p, 88);
    result(ms >= 0 && ms < 1000, "F6: while six requests hang, others wait %.1f ms at most", ms);
    n = collect(&s, 6, WIRE_TIMEOUT);
    result(n == 6, "F6: %u of 6 hanging requests end by time-out", n);
    pause_ms(300);
    n = children_in_state(s.pid, 'D');
    result(n == 4, "F6: %u children are stuck, 4 at most", n);
    reason = open_one(&s, 77, &p, &plain, "/fuse/fine", &fd, &ms);
    result(reason == FILE_BREAKER && ms < 1000, "F6: the container's next request is not tried");
    ms = others(&s, &p, 88);
    result(ms >= 0 && ms < 1000, "F6: another container's requests wait %.1f ms at most", ms);

    for (int i = 0; i < 8; i++)
        post_open(&s, 78 + (uint64_t)i / 4, &p, "/fuse/open");
    n = collect(&s, 8, WIRE_TIMEOUT);
    pause_ms(300);
    for (int i = 0; i < 4; i++)
        post_open(&s, 80, &p, "/fuse/open");
    n += collect(&s, 4, WIRE_TIMEOUT);
    pause_ms(300);
    result(n == 12, "F6: %u of 12 hanging requests of three more end by time-out", n);
    reason = open_one(&s, 88, &p, &plain, "/sane", &fd, &ms);
    result(reason == FILE_BREAKER && ms < 1000, "F6: with 16 stuck children nothing is tried");
    n = children_in_state(s.pid, 'Z');
    result(n == 0, "F6: no zombie is left");
    end(server);
    result(answers_again(&s, &p), "F6: when the server ends, everybody is served again");
    n = children_in_state(s.pid, 'D') + children_in_state(s.pid, 'Z');
    result(n == 0, "F6: and no child is left");
    session_end(&s);
}

static void hanging_reads(const char *directory)
{
    const struct wire_parse_elf elf = {0};
    struct session s = session_start("PARSER", UID_PARSER);
    static struct answer a;
    int hanging[2], sane[2];
    char path[512];

    snprintf(path, sizeof(path), "%s/read", directory);
    hanging[0] = open(path, O_RDONLY | O_CLOEXEC);
    hanging[1] = memfd_create("answer", MFD_CLOEXEC);
    sane[0] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    sane[1] = memfd_create("answer", MFD_CLOEXEC);
    need(hanging[0] >= 0 && sane[0] >= 0, "open");
    for (int i = 0; i < 4; i++)
        post(&s, WIRE_PARSE_ELF, 77, &elf, sizeof(elf), hanging, 2);
    ask(&s, WIRE_PARSE_ELF, 88, &elf, sizeof(elf), sane, 2, &a);
    result(a.status == WIRE_OK && a.ms < 2000, "F6: while reads hang, another file takes %.1f ms",
           a.ms);
    result(collect(&s, 4, WIRE_TIMEOUT) == 4, "F6: hanging reads end by time-out");
    result(children_in_state(s.pid, 'Z') == 0, "F6: the parser leaves no zombie");
    session_end(&s);
}

/* ---- F7 ---- */

/* A container in its own user namespace that mounts its own FUSE. Tells when it is ready. */
static void rootless(int ready, int mapped)
{
    char c;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    need(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write(ready, "u", 1) == 1, "unshare");
    need(read(mapped, &c, 1) == 1, "uid_map");
    need(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "root in there");
    need(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0 && mkdir("/mnt/fuse", 0755) == 0, "tmpfs");
    c = fuse_start("/mnt/fuse") > 0 ? 'r' : 'n';
    need(write(ready, &c, 1) == 1, "ready");
    for (;;)
        pause();
}

static void write_map(pid_t pid, const char *which)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, which);
    put_file(path, "0 100000 65536\n");
}

static void fuse_in_user_namespace(void)
{
    int ready[2], mapped[2], fd;
    struct session s;
    struct pinned p;
    enum file_reason reason;
    double ms;
    pid_t pid;
    char c = 0;

    need(pipe2(ready, O_CLOEXEC) == 0 && pipe2(mapped, O_CLOEXEC) == 0, "pipe");
    pid = fork();
    if (pid == 0)
        rootless(ready[1], mapped[0]);
    close(ready[1]);
    if (read(ready[0], &c, 1) == 1) {
        write_map(pid, "gid_map");
        write_map(pid, "uid_map");
        need(write(mapped[1], "m", 1) == 1, "go");
        need(read(ready[0], &c, 1) == 1, "rootless");
    }
    if (c != 'r') {
        printf("skip - F7: FUSE in a user namespace: this kernel refuses it\n");
        end(pid);
        return;
    }
    s = session_start("OPENER", UID_OPENER);
    need(pin(&s, pid, 0, &p) == 0, "pin");
    result(p.about.root_uid == 100000 && p.about.uid == 100000,
           "F7: the users of a user namespace are seen as the host's");
    reason = open_one(&s, 99, &p, &plain, "/mnt/fuse/lookup", &fd, &ms);
    result(reason == FILE_UNREADABLE && ms < 1000, "F7: its FUSE is refused in %.1f ms (%s)", ms,
           file_reason_text(reason));
    end(pid);
    session_end(&s);
}

int main(int argc, char **argv)
{
    char root[300], fuse[320], sane[320];
    pid_t server, victim;

    need(argc == 2 && strlen(argv[1]) < sizeof(top), "usage: opener_fuse EMPTY-DIRECTORY");
    snprintf(top, sizeof(top), "%s", argv[1]);
    snprintf(root, sizeof(root), "%s/root", top);
    snprintf(sane, sizeof(sane), "%s/sane", root);
    own_mounts();
    snprintf(fuse, sizeof(fuse), "%s/device", top);
    need(mknod(fuse, S_IFCHR, makedev(10, 229)) == 0 && chmod(fuse, 0666) == 0, "device");
    snprintf(fuse, sizeof(fuse), "%s/fuse", root);
    need(mkdir(root, 0755) == 0 && mkdir(fuse, 0755) == 0, "directories");
    put_file(sane, "sane");
    server = fuse_start(fuse);
    if (server < 0) {
        printf("skip - F6 and F7: no FUSE here: %s\n", strerror(errno));
        return 0;
    }
    victim = victim_start(root);
    hanging_reads(fuse);
    hanging_opens(victim, server);
    fuse_in_user_namespace();
    end(victim);
    return failures != 0;
}
