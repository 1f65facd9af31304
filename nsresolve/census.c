/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/census.h"

#include "base/process.h"
#include "base/table.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FLUSH_SIZE ((size_t)256 << 10)
#define PADDED(n) (((size_t)(n) + 7) & ~(size_t)7)
#define KERNEL_THREAD 0x00200000u /* PF_KTHREAD in the flags of stat */

/* Commands whose arguments tell where state is kept; a process's comm has 15 characters. */
static const char *const commands[] = {
    "dockerd",
    "containerd",
    "containerd-shim",
    "docker-containe",
    "conmon",
    "conmonrs",
    "crio",
    "podman",
    "runc",
    "crun",
    "k3s-server",
    "k3s-agent",
    "k3s",
    "rke2",
};

struct census_writer {
    int fd;
    struct buf pending;
    struct census_header header;
};

void census_cut(struct census_writer *w, enum census_flags flag)
{
    w->header.flags |= flag;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int flush(struct census_writer *w)
{
    int r = buf_error(&w->pending);

    if (r == 0 && w->pending.size > 0)
        r = write_all(w->fd, w->pending.data, w->pending.size);
    buf_consume(&w->pending, w->pending.size);
    return r;
}

int census_write(struct census_writer *w, enum census_kind kind, const struct census_part *parts,
                 size_t count)
{
    static const char zeros[8];
    struct census_record record = {.kind = kind};
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    if (size > CENSUS_ANSWER_MAX ||
        w->header.size + sizeof(record) + PADDED(size) > CENSUS_ANSWER_MAX)
        return -EFBIG;
    record.size = (uint32_t)PADDED(size);
    buf_add(&w->pending, &record, sizeof(record));
    for (size_t i = 0; i < count; i++)
        if (parts[i].size > 0)
            buf_add(&w->pending, parts[i].data, parts[i].size);
    buf_add(&w->pending, zeros, PADDED(size) - size);
    w->header.size += sizeof(record) + PADDED(size);
    w->header.record_count++;
    return w->pending.size >= FLUSH_SIZE ? flush(w) : 0;
}

/* ---- processes ---- */

struct scan {
    struct census_writer *writer;
    int proc_fd;
    struct table *cgroups; /* text -> its number + 1, as a pointer */
    size_t processes;
    char text[CENSUS_CGROUP_MAX];
};

/* The root directory without asking its file system, which may be a container's FUSE server. */
static void read_root(int pid_fd, uint64_t *dev, uint64_t *ino)
{
    struct statx st;

    if (statx(pid_fd, "root", AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &st) < 0)
        return;
    *dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    *ino = st.stx_ino;
}

/* Fields of stat; 1 for what the census leaves out: kernel threads, and zombies without threads. */
static int read_stat(int pid_fd, struct census_process *p)
{
    char text[1024], state, *begin, *end;
    unsigned flags;
    unsigned long long start;
    long threads;
    ssize_t n = process_read(pid_fd, "stat", text, sizeof(text));

    if (n < 0)
        return (int)n;
    begin = strchr(text, '(');
    end = strrchr(text, ')');
    if (!begin || !end || end < begin ||
        sscanf(end + 1,
               " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
               &state, &p->ppid, &flags, &threads, &start) != 5)
        return -EIO;
    if ((flags & KERNEL_THREAD) || ((state == 'Z' || state == 'X') && threads <= 1))
        return 1;
    p->start_time = start;
    *end = '\0';
    snprintf(p->comm, sizeof(p->comm), "%s", begin + 1);
    return 0;
}

/* Host uid of uid 0 in the process's user namespace. */
static uint32_t read_root_uid(int pid_fd, uint64_t host_user_ns)
{
    char text[4096], *line, *rest = text;
    uint64_t user_ns = 0;
    unsigned inside, outside, count;

    if (process_namespace(pid_fd, "user", &user_ns) == 0 && user_ns == host_user_ns)
        return 0;
    if (process_read(pid_fd, "uid_map", text, sizeof(text)) < 0)
        return UINT32_MAX;
    while ((line = strsep(&rest, "\n")))
        if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 && count > 0)
            return outside;
    return UINT32_MAX;
}

static void read_ns_tgids(const char *list, struct census_process *p)
{
    char *end;

    while (p->ns_count < CENSUS_NS_LEVELS) {
        long v = strtol(list, &end, 10);

        if (end == list || v <= 0 || v > INT32_MAX)
            break;
        p->ns_tgids[p->ns_count++] = (int32_t)v;
        list = end;
        if (*list != '\t')
            break;
    }
}

/* Uids and pids of status; real_uid may be NULL. */
static int read_status(int pid_fd, struct census_process *p, uint32_t *real_uid)
{
    char text[4096];
    const char *uid, *ns;
    unsigned real = UINT32_MAX, effective = UINT32_MAX;
    ssize_t n = process_read(pid_fd, "status", text, sizeof(text));

    if (n < 0)
        return (int)n;
    uid = strstr(text, "\nUid:");
    if (!uid || sscanf(uid + 5, "%u %u", &real, &effective) != 2)
        return -EIO;
    p->uid = effective;
    if (real_uid)
        *real_uid = real;
    ns = strstr(text, "\nNSpid:");
    if (ns)
        read_ns_tgids(ns + 7, p);
    return 0;
}

/* The number of this process's cgroup text, which is written when it is new. */
static int read_cgroup(struct scan *s, int pid_fd, uint32_t *ret)
{
    ssize_t n = process_read(pid_fd, "cgroup", s->text, sizeof(s->text));
    struct census_cgroup c = {.size = n > 0 ? (uint32_t)n : 0};
    struct census_part parts[] = {{&c, sizeof(c)}, {s->text, c.size}};
    uintptr_t number;
    int r;

    if (n < 0)
        return (int)n;
    number = (uintptr_t)table_get(s->cgroups, s->text, c.size);
    if (number == 0) {
        number = table_count(s->cgroups) + 1;
        r = table_put(s->cgroups, s->text, c.size, (void *)number);
        if (r < 0)
            return r;
        r = census_write(s->writer, CENSUS_CGROUP, parts, ARRAY_SIZE(parts));
        if (r < 0) {
            table_remove(s->cgroups, s->text, c.size);
            return r;
        }
    }
    *ret = (uint32_t)(number - 1);
    return 0;
}

static bool is_command(const char *comm)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(comm, commands[i]) == 0)
            return true;
    return false;
}

static int write_command(struct scan *s, int pid_fd, const struct census_process *p)
{
    struct census_process ignored = {0};
    struct census_command c = {.tgid = p->tgid};
    char cwd[PATH_MAX];
    ssize_t cwd_size = readlinkat(pid_fd, "cwd", cwd, sizeof(cwd));
    ssize_t args_size = process_read(pid_fd, "cmdline", s->text, sizeof(s->text));

    if (args_size <= 0 || read_status(pid_fd, &ignored, &c.uid) < 0)
        return 0;
    memcpy(c.comm, p->comm, sizeof(c.comm));
    c.cwd_size = cwd_size > 0 && cwd_size < (ssize_t)sizeof(cwd) ? (uint32_t)cwd_size : 0;
    c.args_size = (uint32_t)args_size;
    struct census_part parts[] = {{&c, sizeof(c)}, {cwd, c.cwd_size}, {s->text, c.args_size}};
    return census_write(s->writer, CENSUS_COMMAND, parts, ARRAY_SIZE(parts));
}

/* A process that ends meanwhile is none. */
static int collect_process(struct scan *s, pid_t pid)
{
    const struct census_header *host = &s->writer->header;
    _cleanup_close_ int pid_fd = process_pin(s->proc_fd, pid);
    struct census_process p = {.tgid = pid, .root_uid = UINT32_MAX};
    struct census_part part = {&p, sizeof(p)};
    bool on_host_root;
    int r;

    if (pid_fd < 0)
        return pid_fd == -EMFILE || pid_fd == -ENFILE ? pid_fd : 0;
    if (read_stat(pid_fd, &p) != 0)
        return 0;
    process_namespace(pid_fd, "mnt", &p.mount_ns);
    read_root(pid_fd, &p.root_dev, &p.root_ino);
    on_host_root = p.root_ino == host->host_root_ino && p.root_dev == host->host_root_dev;
    if (!on_host_root || p.mount_ns != host->host_mount_ns) {
        p.root_uid = read_root_uid(pid_fd, host->host_user_ns);
        if (read_status(pid_fd, &p, NULL) < 0)
            return 0;
    }
    r = read_cgroup(s, pid_fd, &p.cgroup);
    if (r < 0)
        return r == -ENOMEM || r == -EFBIG || r == -ENOSPC ? r : 0;
    r = census_write(s->writer, CENSUS_PROCESS, &part, 1);
    if (r == 0 && on_host_root && is_command(p.comm))
        r = write_command(s, pid_fd, &p);
    return r;
}

static int collect_processes(struct census_writer *w, int proc_fd)
{
    _cleanup_(table_freep) struct table *cgroups = NULL;
    _cleanup_free_ struct scan *s = calloc(1, sizeof(*s));
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd, r;

    if (!s)
        return -ENOMEM;
    r = table_new(&cgroups, NULL);
    if (r < 0)
        return r;
    fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    s->writer = w;
    s->proc_fd = proc_fd;
    s->cgroups = cgroups;
    while (r == 0 && (entry = readdir(dir))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (++s->processes > CENSUS_PROCESSES_MAX)
            r = -EFBIG;
        else
            r = collect_process(s, (pid_t)strtol(entry->d_name, NULL, 10));
    }
    if (r == -EFBIG) {
        census_cut(w, CENSUS_CUT_PROCESSES);
        r = 0;
    }
    return r;
}

/* ---- the question ---- */

struct question {
    struct census_root roots[CENSUS_ROOTS_MAX]; /* paths owned */
    size_t root_count;
    struct census_stamp *stamps;
    size_t stamp_count;
    uint64_t seed;
};

static void question_free(struct question *q)
{
    for (size_t i = 0; i < q->root_count; i++)
        free((char *)q->roots[i].path);
    free(q->stamps);
    free(q);
}
DEFINE_FREEP(struct question, question_free)

/* One root at *at, which moves behind it. */
static int parse_root(struct question *q, const uint8_t *data, size_t size, size_t *at)
{
    struct census_question_root root;
    char *path;

    if (size - *at < sizeof(root))
        return -EBADMSG;
    memcpy(&root, data + *at, sizeof(root));
    *at += sizeof(root);
    if (root.kind >= CENSUS_ROOT_KINDS || root.path_size == 0 || root.path_size >= PATH_MAX ||
        PADDED(root.path_size) > size - *at || data[*at] != '/' ||
        memchr(data + *at, '\0', root.path_size))
        return -EBADMSG;
    path = strndup((const char *)data + *at, root.path_size);
    if (!path)
        return -ENOMEM;
    q->roots[q->root_count++] = (struct census_root){.kind = root.kind, .path = path};
    *at += PADDED(root.path_size);
    return 0;
}

static int parse_question(const void *data, size_t size, struct question **ret)
{
    _cleanup_(question_freep) struct question *q = calloc(1, sizeof(*q));
    struct census_question head;
    size_t at = sizeof(head);
    int r;

    if (!q)
        return -ENOMEM;
    if (size < sizeof(head) || size > CENSUS_QUESTION_MAX)
        return -EBADMSG;
    memcpy(&head, data, sizeof(head));
    if (head.magic != CENSUS_QUESTION_MAGIC || head.version != CENSUS_VERSION ||
        head.root_count > CENSUS_ROOTS_MAX || head.stamp_count > CENSUS_STAMPS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < head.root_count; i++) {
        r = parse_root(q, data, size, &at);
        if (r < 0)
            return r;
    }
    if (size - at != head.stamp_count * sizeof(struct census_stamp))
        return -EBADMSG;
    q->seed = head.seed;
    q->stamp_count = head.stamp_count;
    if (q->stamp_count > 0) {
        q->stamps = malloc(size - at);
        if (!q->stamps)
            return -ENOMEM;
        memcpy(q->stamps, (const uint8_t *)data + at, size - at);
    }
    *ret = TAKE_PTR(q);
    return 0;
}

static int identity_of(int proc_fd, const char *process, struct census_header *h)
{
    _cleanup_close_ int fd = openat(proc_fd, process, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (fd < 0)
        return -errno;
    r = process_namespace(fd, "mnt", &h->host_mount_ns);
    if (r == 0)
        r = process_namespace(fd, "user", &h->host_user_ns);
    if (r < 0)
        return r;
    read_root(fd, &h->host_root_dev, &h->host_root_ino);
    return h->host_root_ino ? 0 : -EACCES;
}

/* kthreadd, which is there in the host's pid namespace alone. */
static bool is_kernel_thread(int proc_fd, const char *process)
{
    _cleanup_close_ int fd = openat(proc_fd, process, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct census_process p = {0};

    return fd >= 0 && read_stat(fd, &p) == 1 && p.ppid == 0;
}

/* The host is where init is: we may be in a container ourselves, or in a service's own mounts. Some
 * hosts let nobody look at init; the first kernel thread is at home there, too. */
static int host_identity(int proc_fd, struct census_header *h)
{
    if (identity_of(proc_fd, "1", h) == 0)
        return 0;
    if (is_kernel_thread(proc_fd, "2") && identity_of(proc_fd, "2", h) == 0)
        return 0;
    return identity_of(proc_fd, "self", h);
}

int census_collect(const void *question, size_t size, int proc_fd, int out_fd)
{
    _cleanup_(question_freep) struct question *q = NULL;
    _cleanup_close_ int opened = -1;
    struct census_writer w = {
        .fd = out_fd,
        .header = {.magic = CENSUS_ANSWER_MAGIC,
                   .version = CENSUS_VERSION,
                   .size = sizeof(struct census_header)},
    };
    int r = parse_question(question, size, &q);

    if (r < 0)
        return r;
    if (proc_fd < 0) {
        proc_fd = opened = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (proc_fd < 0)
            return -errno;
    }
    r = host_identity(proc_fd, &w.header);
    if (r < 0)
        return r;
    /* The header's place; it is complete only at the end. */
    buf_add(&w.pending, &w.header, sizeof(w.header));
    /* Files first: a process that a file names is then still there, or was seen to be gone. */
    r = census_collect_files(&w, q->roots, q->root_count, q->stamps, q->stamp_count, q->seed);
    if (r == 0)
        r = collect_processes(&w, proc_fd);
    if (r == 0)
        r = flush(&w);
    if (r == 0 && pwrite(out_fd, &w.header, sizeof(w.header), 0) != (ssize_t)sizeof(w.header))
        r = -EIO;
    buf_free(&w.pending);
    return r;
}
