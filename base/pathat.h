/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening files that belong to somebody else: below a root fd, never outside it, never blocking.
 *
 * Every path is walked by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), so absolute links and
 * ".." stay inside the root. A file is looked at through an O_PATH fd first and reopened for
 * reading only when it is a regular file on a real file system.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Why a file was refused; travels to the quality report. */
enum file_reason {
    FILE_OK = 0,
    FILE_NOT_FOUND,   /* no such path in that root */
    FILE_UNREADABLE,  /* EACCES, EPERM, ELOOP, I/O error */
    FILE_NOT_REGULAR, /* FIFO, socket, device, directory */
    FILE_PSEUDO,      /* on procfs, sysfs, tracefs, debugfs and the like */
    FILE_LEASED,      /* its owner holds a lease (EAGAIN) */
    FILE_REPLACED,    /* another inode stands at that path now */
    FILE_FOREIGN,     /* owned by somebody who may not name this process's code */
    FILE_TIMEOUT,     /* the file system did not answer in time */
    FILE_BREAKER,     /* too many stuck requests for this container: not tried */
    FILE_GONE,        /* the process and its root are gone */
    FILE_TOO_BIG,
    FILE_LIMIT, /* out of fds or memory on our side */
    FILE_REASON_COUNT,
};

/* Words for the reason, such as "not a regular file". Never NULL. */
const char *file_reason_text(enum file_reason reason);

/* Opens path below root_fd with O_PATH | O_CLOEXEC. Returns the fd or -errno. */
int pathat_open_path(int root_fd, const char *path);

/* The same for a path that must not even try to leave dir_fd: links and ".." that lead out, and
 * absolute links, fail. For directories of the host. */
int pathat_open_beneath(int dir_fd, const char *path);

/* A name directly in a directory, with O_PATH: neither a link nor a mount is crossed. */
int pathat_open_name(int dir_fd, const char *name);

/* Makes an empty file of mode 0600 under a name directly in a directory, where nothing may be yet.
 * Returns 0 or -errno, -EEXIST among them. */
int pathat_create_name(int dir_fd, const char *name);

/* The reason that an errno of these functions stands for. */
enum file_reason pathat_reason(int error);

/* Opens path below root_fd for reading, as described above. On success *ret_fd is the caller's and
 * *st filled. On refusal the reason, and outputs are untouched. */
enum file_reason pathat_open_read(int root_fd, const char *path, int *ret_fd, struct stat *st);

/* The second half: from an O_PATH fd (borrowed) to a readable one. expect_dev/expect_ino: as in
 * /proc/PID/maps; expect_ino 0 for any file, otherwise FILE_REPLACED when they differ. */
enum file_reason pathat_reopen(int path_fd, uint64_t expect_dev, uint64_t expect_ino, int *ret_fd,
                               struct stat *st);
