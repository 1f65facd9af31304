/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define DIRS_MAX 1024u
#define DEPTH_MAX 16u

/* The first bytes of a file of a cgroup; false when there is no such file. */
static bool read_start(int dir_fd, const char *name, char text[32])
{
    _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 31);

    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool has_own(int dir_fd)
{
    char text[32];

    if (read_start(dir_fd, "cpu.cfs_quota_us", text))
        return text[0] != '-';
    return read_start(dir_fd, "cpu.max", text) && strncmp(text, "max", 3) != 0;
}

/* At or below an open directory, which is closed. */
static bool is_set_below(int dir_fd, unsigned depth, unsigned *dirs)
{
    _cleanup_closedir_ DIR *dir = fdopendir(dir_fd);
    struct dirent *entry;

    if (!dir) {
        close(dir_fd);
        return true;
    }
    if (has_own(dir_fd) || depth >= DEPTH_MAX)
        return true;
    while ((entry = readdir(dir))) {
        int fd;

        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        if (++*dirs > DIRS_MAX)
            return true;
        fd = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 ? is_set_below(fd, depth + 1, dirs) : errno != ENOENT)
            return true;
    }
    return false;
}

bool quota_is_set(const char *mount, const char *directory)
{
    size_t least = strlen(mount);
    unsigned dirs = 0;
    char path[PATH_MAX];
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || is_set_below(fd, 0, &dirs) || strlen(directory) >= sizeof(path))
        return true;
    strcpy(path, directory);
    for (char *slash = strrchr(path, '/'); slash && slash >= path + least;
         slash = strrchr(path, '/')) {
        _cleanup_close_ int above = -1;

        *slash = '\0';
        above = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (above < 0 || has_own(above))
            return true;
    }
    return false;
}

/* The hierarchy that hands CPU time out: v1's where there is one, for then v2 has no part in it. */
static const struct cgroup_mount *mount_of_cpu(const struct cgroups *cg)
{
    size_t count;
    const struct cgroup_mount *all = cgroups_mounts(cg, &count), *v2 = NULL;
    char name[16];

    for (size_t i = 0; i < count; i++) {
        if (all[i].v2)
            v2 = &all[i];
        else if (strcmp(all[i].controllers, "cpu") == 0 ||
                 (cgroup_subsystem(all[i].controllers, name) && strcmp(name, "cpu") == 0))
            return &all[i];
    }
    return v2;
}

bool quota_may_throttle(const struct containers *cs, const struct target *t)
{
    const struct cgroup_mount *m = mount_of_cpu(containers_cgroups(cs));

    if (!m || !t->container)
        return !m || t->kind != TARGET_CGROUP_V2 || !m->v2 || quota_is_set(m->path, t->cgroup_dir);
    for (size_t i = 0; i < t->container->cgroup_count; i++) {
        const struct container_cgroup *own = &t->container->cgroups[i];
        _cleanup_free_ char *dir = NULL;

        if (own->v2 != m->v2 || (!m->v2 && strcmp(own->controllers, m->controllers) != 0))
            continue;
        dir = cgroup_directory(m, own->path);
        return !dir || quota_is_set(m->path, dir);
    }
    /* In the hierarchy's root, where there is none. */
    return false;
}
