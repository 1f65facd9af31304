/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pathat.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#ifndef FUSE_CTL_SUPER_MAGIC
#define FUSE_CTL_SUPER_MAGIC 0x65735543
#endif
#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif

#define MQUEUE_MAGIC 0x19800202 /* as in the kernel's ipc/mqueue.c; in no header */
#define NFSD_MAGIC 0x6e667364

static const char *const texts[FILE_REASON_COUNT] = {
    [FILE_OK] = "ok",
    [FILE_NOT_FOUND] = "not found",
    [FILE_UNREADABLE] = "unreadable",
    [FILE_NOT_REGULAR] = "not a regular file",
    [FILE_PSEUDO] = "on a pseudo file system",
    [FILE_LEASED] = "blocked by a lease",
    [FILE_REPLACED] = "replaced since it was mapped",
    [FILE_FOREIGN] = "owned by another user",
    [FILE_TIMEOUT] = "the file system does not answer",
    [FILE_BREAKER] = "not tried: too many stuck requests",
    [FILE_GONE] = "the process is gone",
    [FILE_TOO_BIG] = "too big",
    [FILE_LIMIT] = "out of descriptors or memory",
};

const char *file_reason_text(enum file_reason reason)
{
    return reason < FILE_REASON_COUNT ? texts[reason] : "unknown reason";
}

/* Reading these can hang, act on the kernel, or show the kernel's or another process's memory. */
static bool pseudo_file_system(int fd)
{
    static const unsigned long refused[] = {
        PROC_SUPER_MAGIC,     SYSFS_MAGIC,          TRACEFS_MAGIC,      DEBUGFS_MAGIC,
        SECURITYFS_MAGIC,     SELINUX_MAGIC,        SMACK_MAGIC,        CGROUP_SUPER_MAGIC,
        CGROUP2_SUPER_MAGIC,  PSTOREFS_MAGIC,       EFIVARFS_MAGIC,     BPF_FS_MAGIC,
        FUSE_CTL_SUPER_MAGIC, BINDERFS_SUPER_MAGIC, CONFIGFS_MAGIC,     NSFS_MAGIC,
        SOCKFS_MAGIC,         PIPEFS_MAGIC,         DEVPTS_SUPER_MAGIC, BINFMTFS_MAGIC,
        RDTGROUP_SUPER_MAGIC, MQUEUE_MAGIC,         NFSD_MAGIC,         AUTOFS_SUPER_MAGIC,
        SECRETMEM_MAGIC,
    };
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if ((unsigned long)fs.f_type == refused[i])
            return true;
    return false;
}

enum file_reason pathat_reason(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return FILE_NOT_FOUND;
    case EAGAIN:
        return FILE_LEASED;
    case ESRCH:
        return FILE_GONE;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return FILE_LIMIT;
    default:
        return FILE_UNREADABLE;
    }
}

static int open_how(int dir_fd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
    long fd;

    /* The kernel answers EAGAIN when a rename elsewhere raced with "..": try a few times. */
    for (int tries = 0; tries < 16; tries++) {
        fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    if (fd < 0)
        return errno == EAGAIN ? -ELOOP : -errno;
    return (int)fd;
}

int pathat_open_path(int root_fd, const char *path)
{
    return open_how(root_fd, path, O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int pathat_open_beneath(int dir_fd, const char *path)
{
    return open_how(dir_fd, path, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

#define RESOLVE_NAME (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

int pathat_open_name(int dir_fd, const char *name)
{
    return open_how(dir_fd, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_NAME);
}

int pathat_create_name(int dir_fd, const char *name)
{
    int fd = open_how(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, RESOLVE_NAME);

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* Whether the device number of maps and of stat mean the same. Overlay and btrfs give files another
 * one in stat than their mappings show (overlay before Linux 6.8); the inode number must do there.
 */
static bool same_device(int fd, uint64_t found, uint64_t expected)
{
    struct statfs fs;

    if (found == expected)
        return true;
    return fstatfs(fd, &fs) == 0 &&
           (fs.f_type == OVERLAYFS_SUPER_MAGIC || fs.f_type == BTRFS_SUPER_MAGIC);
}

enum file_reason pathat_reopen(int path_fd, uint64_t expect_dev, uint64_t expect_ino, int *ret_fd,
                               struct stat *st)
{
    struct stat s;
    char self[64];
    int fd;

    if (fstat(path_fd, &s) < 0)
        return pathat_reason(errno);
    if (!S_ISREG(s.st_mode))
        return FILE_NOT_REGULAR;
    if (pseudo_file_system(path_fd))
        return FILE_PSEUDO;
    if (expect_ino && (s.st_ino != expect_ino || !same_device(path_fd, s.st_dev, expect_dev)))
        return FILE_REPLACED;

    /* Our own fd, already known to be a regular file: this magic link cannot lead elsewhere. */
    snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
    fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return pathat_reason(errno);
    *ret_fd = fd;
    *st = s;
    return FILE_OK;
}

enum file_reason pathat_open_read(int root_fd, const char *path, int *ret_fd, struct stat *st)
{
    _cleanup_close_ int path_fd = pathat_open_path(root_fd, path);

    if (path_fd < 0)
        return pathat_reason(-path_fd);
    return pathat_reopen(path_fd, 0, 0, ret_fd, st);
}
