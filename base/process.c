/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int process_pin(int proc_fd, pid_t pid)
{
    char name[16];
    int fd;

    snprintf(name, sizeof(name), "%d", pid);
    fd = openat(proc_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

ssize_t process_read(int pid_fd, const char *file, char *text, size_t size)
{
    _cleanup_close_ int fd = openat(pid_fd, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t used = 0;

    if (fd < 0)
        return -errno;
    while (used < size - 1) {
        ssize_t n = read(fd, text + used, size - 1 - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
    return (ssize_t)used;
}

int process_start_time(int pid_fd, uint64_t *ret)
{
    char text[1024], *p;
    unsigned long long start;
    ssize_t n = process_read(pid_fd, "stat", text, sizeof(text));

    if (n < 0)
        return (int)n;
    /* The comm may hold blanks and brackets: fields count from the last ")". */
    p = strrchr(text, ')');
    if (!p || sscanf(p + 1,
                     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                     "%llu",
                     &start) != 1)
        return -EIO;
    *ret = start;
    return 0;
}

int process_namespace(int pid_fd, const char *ns, uint64_t *ret)
{
    char path[32], link[64];
    const char *p;
    unsigned long long inode;
    ssize_t n;

    snprintf(path, sizeof(path), "ns/%s", ns);
    n = readlinkat(pid_fd, path, link, sizeof(link) - 1);
    if (n < 0)
        return -errno;
    link[n] = '\0';
    p = strchr(link, '[');
    if (!p || sscanf(p, "[%llu]", &inode) != 1)
        return -EIO;
    *ret = inode;
    return 0;
}

const char *process_status_line(const char *status, const char *key)
{
    const char *at = strstr(status, key);

    return at ? at + strlen(key) : NULL;
}

int process_last_number(const char *line)
{
    int n = 0, used, one;

    while (*line && *line != '\n' && sscanf(line, "%d%n", &one, &used) == 1) {
        n = one;
        line += used;
    }
    return n;
}
