/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/opener.h"

#include "base/buf.h"
#include "base/pathat.h"
#include "base/process.h"
#include "nsresolve/arguments.h"
#include "nsresolve/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HOST_DEBUG "/usr/lib/debug/"

static int proc_dir = -1;

void opener_setup(int proc_fd)
{
    proc_dir = proc_fd;
}

static void fail(struct work_answer *a, int error)
{
    a->head.status = WIRE_FAILED;
    a->head.error = error;
}

/* ---- WIRE_PIN ---- */

/* Host uid of uid 0 in the process's user namespace. */
static uint32_t root_uid(int pid_fd)
{
    char map[4096];
    const char *line = map;

    if (process_read(pid_fd, "uid_map", map, sizeof(map)) < 0)
        return UINT32_MAX;
    while (*line) {
        unsigned inside, outside, count;

        if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 && count > 0)
            return outside;
        line = strchrnul(line, '\n');
        line += *line == '\n';
    }
    return UINT32_MAX;
}

static int describe(int pid_fd, struct wire_pinned *ret)
{
    char status[4096];
    const char *line;
    unsigned uid;
    int r;

    r = process_start_time(pid_fd, &ret->start_time);
    if (r < 0)
        return r;
    r = (int)process_read(pid_fd, "status", status, sizeof(status));
    if (r < 0)
        return r;
    line = process_status_line(status, "\nUid:");
    if (!line || sscanf(line, "%*u %u", &uid) != 1)
        return -EIO;
    ret->uid = uid;
    line = process_status_line(status, "\nNSpid:");
    ret->ns_tgid = line ? process_last_number(line) : 0;
    ret->root_uid = root_uid(pid_fd);
    /* A process that is about to leave has no namespaces: 0 says so. */
    process_namespace(pid_fd, "mnt", &ret->mount_ns);
    process_namespace(pid_fd, "pid", &ret->pid_ns);
    process_namespace(pid_fd, "user", &ret->user_ns);
    return 0;
}

static int pin(const struct wire_pin *ask, struct work_answer *a)
{
    _cleanup_close_ int pid_fd = -1, root_fd = -1;
    struct wire_pinned pinned = {0};
    int r;

    if (ask->pid <= 0)
        return -EINVAL;
    pid_fd = process_pin(proc_dir, ask->pid);
    if (pid_fd < 0)
        return pid_fd;
    r = describe(pid_fd, &pinned);
    if (r < 0)
        return r;
    if (ask->start_time && ask->start_time != pinned.start_time)
        return -ESRCH; /* that pid is somebody else's by now */
    /* The kernel's own link, and the only one that is ever followed out of /proc. */
    root_fd = openat(pid_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -errno;
    memcpy(a->payload, &pinned, sizeof(pinned));
    a->head.size = sizeof(pinned);
    a->fds[a->fd_count++] = TAKE_FD(pid_fd);
    a->fds[a->fd_count++] = TAKE_FD(root_fd);
    return 0;
}

static void handle_pin(const struct work *w, struct work_answer *a)
{
    struct wire_pin ask;
    int r = -EINVAL;

    if (w->size == sizeof(ask)) {
        memcpy(&ask, w->payload, sizeof(ask));
        r = pin(&ask, a);
    }
    if (r < 0)
        fail(a, r == -ENOENT ? ESRCH : -r);
}

/* ---- WIRE_MAPS ---- */

/* Copies at most OPENER_MAPS_MAX bytes, in big pieces: each read has a price in a long list. */
static int copy_text(int from, int to)
{
    static char text[65536];
    size_t total = 0;

    for (;;) {
        ssize_t n = read(from, text, sizeof(text));

        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > OPENER_MAPS_MAX)
            return -EFBIG;
        for (ssize_t done = 0, w; done < n; done += w) {
            w = write(to, text + done, (size_t)(n - done));
            if (w < 0)
                return -errno;
        }
    }
}

static int snapshot_maps(int pid_fd, int *ret)
{
    _cleanup_close_ int from = openat(pid_fd, "maps", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int to = -1;
    int r;

    if (from < 0)
        return -errno;
    to = memfd_create("maps", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (to < 0)
        return -errno;
    r = copy_text(from, to);
    if (r < 0)
        return r;
    if (fcntl(to, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE) < 0)
        return -errno;
    *ret = TAKE_FD(to);
    return 0;
}

static void handle_maps(const struct work *w, struct work_answer *a)
{
    int r = w->fd_count == 1 ? snapshot_maps(w->fds[0], &a->fds[0]) : -EINVAL;

    if (r < 0)
        fail(a, r == -ENOENT ? ESRCH : -r);
    else
        a->fd_count = 1;
}

/* ---- WIRE_OPEN ---- */

/* The inode mapped at [start, end): survives unlink, replacement and the process's own mounts. */
static enum file_reason open_mapped_inode(int pid_fd, const struct wire_open_item *item,
                                          int *ret_fd, struct stat *st)
{
    _cleanup_close_ int fd = -1;
    char name[64];

    snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)item->start,
             (unsigned long long)item->end);
    fd = openat(pid_fd, name, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ESRCH ? FILE_GONE : FILE_NOT_FOUND;
    return pathat_reopen(fd, item->dev, item->ino, ret_fd, st);
}

static enum file_reason open_expected(int root_fd, const char *path,
                                      const struct wire_open_item *item, int *ret_fd,
                                      struct stat *st)
{
    _cleanup_close_ int fd = pathat_open_path(root_fd, path);

    return fd < 0 ? pathat_reason(-fd) : pathat_reopen(fd, item->dev, item->ino, ret_fd, st);
}

static enum file_reason open_mapped(int pid_fd, int root_fd, const struct wire_open_item *item,
                                    char *path, int *ret_fd, struct stat *st)
{
    static const char deleted[] = " (deleted)";
    size_t length = strlen(path), tail = sizeof(deleted) - 1;
    enum file_reason reason;

    /* Without an inode number nothing tells whether the right file stands at that path. */
    if (!item->ino)
        return FILE_REPLACED;
    if (pid_fd >= 0) {
        reason = open_mapped_inode(pid_fd, item, ret_fd, st);
        if (reason != FILE_NOT_FOUND && reason != FILE_GONE && reason != FILE_REPLACED)
            return reason;
    }
    reason = open_expected(root_fd, path, item, ret_fd, st);
    if ((reason != FILE_NOT_FOUND && reason != FILE_REPLACED) || length <= tail ||
        strcmp(path + length - tail, deleted) != 0)
        return reason;
    path[length - tail] = '\0';
    return open_expected(root_fd, path, item, ret_fd, st);
}

static enum file_reason open_owned(int root_fd, const struct wire_open_item *item, const char *path,
                                   int *ret_fd, struct stat *st)
{
    _cleanup_close_ int fd = -1;
    enum file_reason reason = pathat_open_read(root_fd, path, &fd, st);

    if (reason != FILE_OK)
        return reason;
    if (st->st_uid != item->uid_a && st->st_uid != item->uid_b)
        return FILE_FOREIGN;
    *ret_fd = TAKE_FD(fd);
    return FILE_OK;
}

/* The host's debug files, by a walk that cannot leave their directory, links included. */
static enum file_reason open_host(const char *path, int *ret_fd, struct stat *st)
{
    _cleanup_close_ int dir = -1, fd = -1;

    if (strncmp(path, HOST_DEBUG, strlen(HOST_DEBUG)) != 0)
        return FILE_UNREADABLE;
    dir = open(HOST_DEBUG, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return pathat_reason(errno);
    fd = pathat_open_beneath(dir, path + strlen(HOST_DEBUG));
    return fd < 0 ? pathat_reason(-fd) : pathat_reopen(fd, 0, 0, ret_fd, st);
}

static enum file_reason open_item(int pid_fd, int root_fd, const struct wire_open_item *item,
                                  char *path, int *ret_fd, struct stat *st)
{
    switch (item->kind) {
    case WIRE_OPEN_MAPPED:
        return open_mapped(pid_fd, root_fd, item, path, ret_fd, st);
    case WIRE_OPEN_PATH:
        return pathat_open_read(root_fd, path, ret_fd, st);
    case WIRE_OPEN_OWNED:
        return open_owned(root_fd, item, path, ret_fd, st);
    case WIRE_OPEN_HOST:
        return open_host(path, ret_fd, st);
    }
    return FILE_UNREADABLE;
}

static uint64_t nanoseconds(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Takes one item with its path off the payload. Returns the bytes taken or -EBADMSG. */
static ssize_t take_item(const uint8_t *at, size_t left, struct wire_open_item *item,
                         char path[WIRE_PATH_MAX])
{
    if (left < sizeof(*item))
        return -EBADMSG;
    memcpy(item, at, sizeof(*item));
    if (item->path_size >= WIRE_PATH_MAX || item->path_size > left - sizeof(*item))
        return -EBADMSG;
    memcpy(path, at + sizeof(*item), item->path_size);
    path[item->path_size] = '\0';
    if (strlen(path) != item->path_size)
        return -EBADMSG;
    return (ssize_t)(sizeof(*item) + item->path_size);
}

static int open_batch(const struct work *w, struct work_answer *a)
{
    const uint8_t *at = w->payload, *end = w->payload + w->size;
    struct wire_opened opened;
    struct wire_open ask;
    int pid_fd = -1, root_fd;

    if (w->size < sizeof(ask))
        return -EBADMSG;
    memcpy(&ask, at, sizeof(ask));
    at += sizeof(ask);
    if (ask.count > WIRE_BATCH_MAX || ask.has_proc > 1 || w->fd_count != 1 + ask.has_proc)
        return -EBADMSG;
    if (ask.has_proc)
        pid_fd = w->fds[0];
    root_fd = w->fds[ask.has_proc];

    opened = (struct wire_opened){.count = ask.count};
    memcpy(a->payload, &opened, sizeof(opened));
    a->head.size = sizeof(opened);
    for (uint32_t i = 0; i < ask.count; i++) {
        struct wire_opened_item done = {0};
        struct wire_open_item item;
        char path[WIRE_PATH_MAX];
        struct stat st;
        ssize_t n = take_item(at, (size_t)(end - at), &item, path);

        if (n < 0)
            return (int)n;
        at += n;
        done.reason = open_item(pid_fd, root_fd, &item, path, &a->fds[a->fd_count], &st);
        if (done.reason == FILE_OK) {
            a->fd_count++;
            done.uid = st.st_uid;
            done.dev = st.st_dev;
            done.ino = st.st_ino;
            done.size = (uint64_t)st.st_size;
            done.mtime_ns = nanoseconds(st.st_mtim);
            done.ctime_ns = nanoseconds(st.st_ctim);
        }
        memcpy(a->payload + a->head.size, &done, sizeof(done));
        a->head.size += sizeof(done);
    }
    return at == end ? 0 : -EBADMSG;
}

static void handle_open(const struct work *w, struct work_answer *a)
{
    int r = open_batch(w, a);

    if (r < 0) {
        a->head.size = 0;
        a->fd_count = 0; /* they close as this child ends */
        fail(a, -r);
    }
}

/* ---- WIRE_CENSUS ---- */

static int census(const struct work *w, int *ret)
{
    _cleanup_close_ int out = -1;
    _cleanup_buf_ struct buf question = {0};
    int r;

    if (w->fd_count != 1)
        return -EINVAL;
    if (lseek(w->fds[0], 0, SEEK_SET) < 0)
        return -errno;
    r = buf_read_all(&question, w->fds[0], CENSUS_QUESTION_MAX);
    if (r < 0)
        return r;
    out = memfd_create("census", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (out < 0)
        return -errno;
    r = census_collect(question.data, question.size, proc_dir, out);
    if (r < 0)
        return r;
    *ret = TAKE_FD(out);
    return 0;
}

static void handle_census(const struct work *w, struct work_answer *a)
{
    int r = census(w, &a->fds[0]);

    if (r < 0)
        fail(a, -r);
    else
        a->fd_count = 1;
}

/* ---- WIRE_ARGUMENTS ---- */

/* Copied as they are: what is in them is the parser's to see. */
static int snapshot_arguments(int pid_fd, int *ret)
{
    static char text[2 * (ARGUMENTS_MAX + 1)];
    _cleanup_close_ int out = -1;
    struct wire_arguments head;
    ssize_t n = process_read(pid_fd, "cmdline", text, ARGUMENTS_MAX + 1), m;

    if (n < 0)
        return (int)n;
    m = process_read(pid_fd, "environ", text + n, ARGUMENTS_MAX + 1);
    if (m < 0)
        return (int)m;
    head = (struct wire_arguments){.cmdline_size = (uint32_t)n, .environment_size = (uint32_t)m};
    out = memfd_create("arguments", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (out < 0)
        return -errno;
    if (write(out, &head, sizeof(head)) != sizeof(head) ||
        write(out, text, (size_t)(n + m)) != n + m)
        return -EIO;
    *ret = TAKE_FD(out);
    return 0;
}

static void handle_arguments(const struct work *w, struct work_answer *a)
{
    int r = w->fd_count == 1 ? snapshot_arguments(w->fds[0], &a->fds[0]) : -EINVAL;

    if (r < 0)
        fail(a, r == -ENOENT ? ESRCH : -r);
    else
        a->fd_count = 1;
}

void opener_handle(const struct work *w, struct work_answer *a)
{
    switch (w->op) {
    case WIRE_PIN:
        handle_pin(w, a);
        return;
    case WIRE_MAPS:
        handle_maps(w, a);
        return;
    case WIRE_OPEN:
        handle_open(w, a);
        return;
    case WIRE_CENSUS:
        handle_census(w, a);
        return;
    case WIRE_ARGUMENTS:
        handle_arguments(w, a);
        return;
    }
    fail(a, EOPNOTSUPP);
}
