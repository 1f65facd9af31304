/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of cgroup.h that walk directories or take paths and texts apart. */
#include "agent/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 64

struct walk {
    int (*fn)(void *data, pid_t tgid);
    void *data;
    size_t dirs, processes;
};

static int read_processes(struct walk *w, int dir_fd)
{
    int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    char line[32];
    int r = 0;

    if (!f) {
        if (fd >= 0)
            close(fd);
        return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : 0;
    }
    /* Reading a cgroup that is threaded (EOPNOTSUPP) or gone (ENODEV) just ends. */
    while (r == 0 && fgets(line, sizeof(line), f)) {
        long pid = strtol(line, NULL, 10);

        if (++w->processes > CGROUP_PROCESSES_MAX)
            return -E2BIG;
        if (pid > 0 && pid <= INT32_MAX)
            r = w->fn(w->data, (pid_t)pid);
    }
    return r;
}

/* A copy of dir_fd that can be listed; NULL with *error set. */
static DIR *list_dir(int dir_fd, int *error)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    *error = dir ? 0 : -errno;
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

static bool is_subdirectory(const struct dirent *entry)
{
    return (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && entry->d_name[0] != '.';
}

static int walk_processes(struct walk *w, int dir_fd, unsigned depth)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int r = read_processes(w, dir_fd);

    if (r != 0 || depth >= DEPTH_MAX)
        return r;
    dir = list_dir(dir_fd, &r);
    if (!dir)
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM ? r : 0;
    while (r == 0 && (entry = readdir(dir))) {
        _cleanup_close_ int fd = -1;

        if (!is_subdirectory(entry))
            continue;
        if (++w->dirs > CGROUP_DIRS_MAX)
            return -E2BIG;
        fd = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            r = walk_processes(w, fd, depth + 1);
        else if (errno == EMFILE || errno == ENFILE)
            r = -errno;
    }
    return r;
}

int cgroup_processes(const char *directory, int (*fn)(void *data, pid_t tgid), void *data)
{
    struct walk w = {.fn = fn, .data = data};
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : walk_processes(&w, fd, 0);
}

/* Appends the subdirectories of path to the queue; 1 when one of them is called name (it is then
 * the last). */
static int search_in(const char *mount, const char *path, const char *name, char **queue,
                     size_t *count)
{
    _cleanup_closedir_ DIR *dir = NULL;
    char full[PATH_MAX];
    struct dirent *entry;

    if ((size_t)snprintf(full, sizeof(full), "%s%s", mount, path) >= sizeof(full))
        return 0;
    dir = opendir(full);
    while (dir && (entry = readdir(dir)) && *count < CGROUP_DIRS_MAX) {
        if (!is_subdirectory(entry))
            continue;
        if (asprintf(&queue[*count], "%s/%s", path, entry->d_name) < 0)
            return -ENOMEM;
        ++*count;
        if (strcmp(entry->d_name, name) == 0)
            return 1;
    }
    return 0;
}

char *cgroup_search(const struct cgroup_mount *m, const char *name)
{
    char **queue = calloc(CGROUP_DIRS_MAX, sizeof(*queue)), *found = NULL;
    size_t count = 0;
    int r;

    if (!queue)
        return NULL;
    r = search_in(m->path, "", name, queue, &count);
    for (size_t i = 0; i < count && r == 0; i++)
        r = search_in(m->path, queue[i], name, queue, &count);
    if (r == 1)
        found = TAKE_PTR(queue[count - 1]);
    for (size_t i = 0; i < count; i++)
        free(queue[i]);
    free(queue);
    return found;
}

/* ---- the cgroup of a process ---- */

struct wanted {
    struct walk walk;
    pid_t tgid;
    char path[PATH_MAX];
};

static int is_wanted(void *data, pid_t tgid)
{
    return tgid == *(pid_t *)data;
}

/* 1 when found, with its path from w->path[used] on; 0 when not; -errno. */
static int find_process(struct wanted *w, int dir_fd, unsigned level, size_t used)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int r;

    if (level == 0)
        return read_processes(&w->walk, dir_fd);
    dir = list_dir(dir_fd, &r);
    while (r == 0 && dir && (entry = readdir(dir))) {
        _cleanup_close_ int fd = -1;
        size_t n = strlen(entry->d_name);

        if (!is_subdirectory(entry) || used + 1 + n >= sizeof(w->path))
            continue;
        if (++w->walk.dirs > CGROUP_DIRS_MAX)
            return -E2BIG;
        fd = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue;
        w->path[used] = '/';
        memcpy(w->path + used + 1, entry->d_name, n + 1);
        r = find_process(w, fd, level - 1, used + 1 + n);
    }
    return r;
}

char *cgroup_search_process(const struct cgroup_mount *m, unsigned level, pid_t tgid)
{
    struct wanted w = {.tgid = tgid, .path = ""};
    _cleanup_close_ int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    w.walk = (struct walk){.fn = is_wanted, .data = &w.tgid};
    if (fd < 0 || level > DEPTH_MAX || find_process(&w, fd, level, 0) != 1)
        return NULL;
    return strdup(level == 0 ? "/" : w.path);
}

const char *cgroup_container_id(const char *path, size_t size)
{
    size_t run = 0;

    for (size_t i = size; i-- > 0;) {
        if (isxdigit((unsigned char)path[i]) && !isupper((unsigned char)path[i]))
            run++;
        else
            run = 0;
        if (run < CGROUP_ID_LENGTH)
            continue;
        if (i > 0 && isxdigit((unsigned char)path[i - 1])) {
            /* Longer than an id: skip the rest of the run. */
            while (i > 0 && isxdigit((unsigned char)path[i - 1]))
                i--;
            run = 0;
            continue;
        }
        if (i >= 7 && strncmp(path + i - 7, "conmon-", 7) == 0)
            return NULL;
        return path + i;
    }
    return NULL;
}

bool cgroup_line_next(const char *text, size_t size, size_t *at, struct cgroup_line *ret)
{
    while (*at < size) {
        const char *line = text + *at, *end = memchr(line, '\n', size - *at), *first, *second;

        if (!end)
            end = text + size;
        *at = (size_t)(end - text) + 1;
        first = memchr(line, ':', (size_t)(end - line));
        second = first ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;
        if (!second || second + 1 >= end || second[1] != '/')
            continue;
        *ret = (struct cgroup_line){
            .v2 = second == first + 1,
            .controllers = first + 1,
            .controllers_size = (size_t)(second - first - 1),
            .path = second + 1,
            .path_size = (size_t)(end - second - 1),
        };
        return true;
    }
    return false;
}
