/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/target.h"

#include "agent/target_match.h"
#include "base/options.h"
#include "base/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define WORD_MAX 1024

void target_free(struct target *t)
{
    if (!t)
        return;
    container_free(t->container);
    free(t->cgroup_dir);
    free(t->cgroup_path);
    free(t->processes);
    free(t->word);
    free(t->prefix);
    free(t);
}

static int open_proc(const char *prefix)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/proc", prefix);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int start_time_of(int proc_fd, int32_t tgid, uint64_t *ret)
{
    _cleanup_close_ int pid_fd = process_pin(proc_fd, tgid);

    return pid_fd < 0 ? pid_fd : process_start_time(pid_fd, ret);
}

/* Narrows the target to one process more. */
static int add_process(struct target *t, int32_t tgid, uint64_t start_time)
{
    struct target_process *p =
        realloc(t->processes, (t->process_count + 1) * sizeof(*t->processes));

    if (!p)
        return -ENOMEM;
    t->processes = p;
    t->processes[t->process_count++] =
        (struct target_process){.tgid = tgid, .start_time = start_time};
    return 0;
}

/* Returns 0, -ENOENT when this hierarchy has no such cgroup, or cannot be filtered by. */
static int set_cgroup(struct target *t, const struct cgroup_mount *m, const char *path)
{
    _cleanup_free_ char *dir = NULL, *copy = NULL;
    uint64_t id;
    int r;

    if (!m->v2 && !cgroup_subsystem(m->controllers, t->v1_subsystem))
        return -ENOENT;
    dir = cgroup_directory(m, path);
    copy = strdup(path);
    if (!dir || !copy)
        return dir ? -ENOMEM : -ENOENT;
    r = cgroup_id(dir, &id);
    if (r < 0)
        return -ENOENT;
    t->kind = m->v2 ? TARGET_CGROUP_V2 : TARGET_CGROUP_V1;
    if (m->v2)
        t->v1_subsystem[0] = '\0';
    t->cgroup_id = id;
    t->cgroup_level = cgroup_level(path);
    t->cgroup_dir = TAKE_PTR(dir);
    t->cgroup_path = TAKE_PTR(copy);
    return 0;
}

/* The container's own cgroup, v2 before v1; without any, its processes of this moment. */
static int set_container(struct target *t, const struct containers *cs, const struct container *c)
{
    const struct cgroups *cg = containers_cgroups(cs);
    int r = container_copy(c, &t->container);

    if (r < 0)
        return r;
    for (size_t i = 0; i < c->cgroup_count; i++) {
        const struct cgroup_mount *m = cgroups_find(cg, c->cgroups[i].controllers);

        r = m ? set_cgroup(t, m, c->cgroups[i].path) : -ENOENT;
        if (r != -ENOENT)
            return r;
    }
    t->kind = TARGET_PROCESSES;
    for (size_t i = 0; i < c->process_count; i++) {
        r = add_process(t, c->processes[i].tgid, c->processes[i].start_time);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The container that has this very cgroup, or NULL. */
static const struct container *owner_of(const struct containers *cs, const struct cgroup_mount *m,
                                        const char *path)
{
    size_t count;
    const struct container *all = containers_all(cs, &count);

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].cgroup_count; k++)
            if (cgroups_find(containers_cgroups(cs), all[i].cgroups[k].controllers) == m &&
                strcmp(all[i].cgroups[k].path, path) == 0)
                return &all[i];
    return NULL;
}

/* A path in whichever hierarchy has it, v2 first. -ENOENT: none. */
static int set_path(struct target *t, const struct containers *cs, const char *path)
{
    size_t count;
    const struct cgroup_mount *m = cgroups_mounts(containers_cgroups(cs), &count);

    for (size_t i = 0; i < count; i++) {
        const struct container *c;
        int r = set_cgroup(t, &m[i], path);

        if (r == -ENOENT)
            continue;
        c = r == 0 ? owner_of(cs, &m[i], path) : NULL;
        return c ? container_copy(c, &t->container) : r;
    }
    return -ENOENT;
}

static int usage(struct err *e, const char *word, const char *what, const char *remedy)
{
    _cleanup_buf_ struct buf quoted = {0};
    int r;

    target_quote(&quoted, word);
    r = err_set(e, ERR_USAGE, "target '%s' %s", quoted.data ? quoted.data : "", what);
    err_remedy(e, "%s", remedy);
    return r;
}

static int missing(struct err *e, const char *what, const char *word, const char *remedy)
{
    _cleanup_buf_ struct buf quoted = {0};
    int r;

    target_quote(&quoted, word);
    r = err_set(e, ERR_TARGET_UNKNOWN, "no %s '%s'", what, quoted.data ? quoted.data : "");
    err_remedy(e, "%s", remedy);
    return r;
}

/* "/a/b/" and "//a/b" as "/a/b", in place. */
static void plain_path(char *path)
{
    char *to = path;

    for (char *p = path; *p; p++)
        if (*p != '/' || (p[1] != '/' && (p[1] || p == path)))
            *to++ = *p;
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

static int resolve_cgroup(const struct containers *cs, const char *word, struct target *t,
                          struct err *e)
{
    _cleanup_free_ char *path = strdup(word);
    int r;

    if (!path)
        return -ENOMEM;
    if (path[0] != '/')
        return usage(e, t->word, "needs an absolute path", "write cgroup:/path");
    for (const char *p = path; (p = strstr(p, "..")); p += 2)
        if (p[-1] == '/' && (p[2] == '/' || !p[2]))
            return usage(e, t->word, "may not have '..' in it", "write the path without it");
    plain_path(path);
    r = set_path(t, cs, path);
    return r == -ENOENT ? missing(e, "cgroup", word, "find it below /sys/fs/cgroup") : r;
}

static int add_with_start(void *data, pid_t tgid)
{
    struct target *t = data;
    _cleanup_close_ int proc_fd = open_proc(t->prefix);
    uint64_t start;

    if (proc_fd < 0)
        return proc_fd;
    return start_time_of(proc_fd, tgid, &start) < 0 ? 0 : add_process(t, tgid, start);
}

/* A unit may have a cgroup in systemd's own hierarchy alone: then its processes of this moment. */
static int set_unit_processes(struct target *t, const struct cgroup_mount *m, const char *path)
{
    _cleanup_free_ char *dir = cgroup_directory(m, path);
    int r;

    if (!dir)
        return -ENOMEM;
    t->kind = TARGET_PROCESSES;
    r = cgroup_processes(dir, add_with_start, t);
    if (r < 0)
        return r;
    return t->process_count > 0 ? 0 : -ENOENT;
}

static int resolve_unit(const struct containers *cs, const char *word, struct target *t,
                        struct err *e)
{
    static const char *const remedy = "systemctl list-units shows those that run";
    size_t count;
    const struct cgroup_mount *m = cgroups_mounts(containers_cgroups(cs), &count);
    char name[WORD_MAX + 16];

    if (!*word || strchr(word, '/') || strcmp(word, ".") == 0 || strcmp(word, "..") == 0)
        return usage(e, t->word, "is no unit's name", "write unit:nginx.service");
    snprintf(name, sizeof(name), "%s%s", word, strchr(word, '.') ? "" : ".service");
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *path = cgroup_search(&m[i], name);
        int r;

        if (!path)
            continue;
        r = set_path(t, cs, path);
        if (r == -ENOENT)
            r = set_unit_processes(t, &m[i], path);
        if (r != -ENOENT)
            return r;
    }
    return missing(e, "running unit", name, remedy);
}

static int resolve_pid(const struct containers *cs, const char *word, struct target *t,
                       struct err *e)
{
    _cleanup_close_ int proc_fd = open_proc(t->prefix);
    const struct container *c;
    uint64_t pid, start;
    int r;

    if (parse_number(word, "pid", 1, INT32_MAX, &pid, NULL) < 0)
        return usage(e, t->word, "needs a process's number", "write pid:123");
    if (proc_fd < 0)
        return proc_fd;
    if (start_time_of(proc_fd, (int32_t)pid, &start) < 0)
        return missing(e, "process", word, "ps -e shows the host's processes");
    t->kind = TARGET_PROCESSES;
    r = add_process(t, (int32_t)pid, start);
    c = containers_of_process(cs, (int32_t)pid);
    return r == 0 && c ? container_copy(c, &t->container) : r;
}

static int resolve_container(const struct containers *cs, const char *word, struct target *t,
                             struct err *e, struct candidates *candidates)
{
    const struct container *c = NULL;
    int r = target_match(cs, word, &c, e, candidates);

    return r < 0 ? r : set_container(t, cs, c);
}

static int resolve_word(const struct containers *cs, const char *word, struct target *t,
                        struct err *e, struct candidates *candidates)
{
    if (strcmp(word, "all") == 0) {
        t->kind = TARGET_ALL;
        return 0;
    }
    if (strncmp(word, "cgroup:", 7) == 0)
        return resolve_cgroup(cs, word + 7, t, e);
    if (strncmp(word, "unit:", 5) == 0)
        return resolve_unit(cs, word + 5, t, e);
    if (strncmp(word, "pid:", 4) == 0)
        return resolve_pid(cs, word + 4, t, e);
    return resolve_container(cs, word, t, e, candidates);
}

/* ---- -p ---- */

struct search {
    int32_t wanted;
    bool found;
};

static int is_wanted(void *data, pid_t tgid)
{
    struct search *s = data;

    s->found |= tgid == s->wanted;
    return s->found;
}

/* The host's number of a process that the container, or the host where there is none, calls so;
 * 0: nobody. */
static int32_t find_process(const struct target *t, int32_t ns_pid)
{
    struct search s = {.wanted = ns_pid};

    for (size_t i = 0; t->container && i < t->container->process_count; i++)
        if (t->container->processes[i].ns_tgid == ns_pid)
            return t->container->processes[i].tgid;
    if (t->container || target_processes(t, is_wanted, &s) < 0)
        return 0;
    return s.found ? ns_pid : 0;
}

static int narrow(struct target *t, int64_t ns_pid, struct err *e)
{
    _cleanup_close_ int proc_fd = open_proc(t->prefix);
    _cleanup_buf_ struct buf quoted = {0};
    int32_t tgid = find_process(t, (int32_t)ns_pid);
    uint64_t start;
    int r;

    if (tgid == 0 || proc_fd < 0 || start_time_of(proc_fd, tgid, &start) < 0) {
        target_quote(&quoted, t->word);
        r = err_set(e, ERR_TARGET_UNKNOWN, "no process %lld in '%s'", (long long)ns_pid,
                    quoted.data ? quoted.data : "");
        err_remedy(e, "give the number that ps shows %s", t->container ? "in the container" : "");
        return r;
    }
    t->process_count = 0;
    if (t->kind == TARGET_ALL)
        t->kind = TARGET_PROCESSES;
    return add_process(t, tgid, start);
}

int target_resolve(const struct containers *cs, const char *word, int64_t ns_pid,
                   struct target **ret, struct err *e, struct candidates *candidates)
{
    _cleanup_(target_freep) struct target *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return -ENOMEM;
    t->word = strdup(word);
    t->prefix = strdup(cgroups_prefix(containers_cgroups(cs)));
    if (!t->word || !t->prefix)
        return -ENOMEM;
    if (!*word || strlen(word) > WORD_MAX)
        return usage(e, word, *word ? "is too long" : "is empty",
                     "name a container, or take all, pid:123, unit:NAME, cgroup:/path");
    if (ns_pid < 0 || ns_pid > INT32_MAX || (ns_pid > 0 && strncmp(word, "pid:", 4) == 0))
        return usage(e, word, "cannot be narrowed to that process", "give pid:123 or -p, not both");
    r = resolve_word(cs, word, t, e, candidates);
    if (r == 0 && ns_pid > 0)
        r = narrow(t, ns_pid, e);
    if (r == 0)
        *ret = TAKE_PTR(t);
    return r;
}

/* ---- who is in it now ---- */

static int all_processes(int proc_fd, int (*fn)(void *data, pid_t tgid), void *data)
{
    int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(dir)))
        if (isdigit((unsigned char)entry->d_name[0]))
            r = fn(data, (pid_t)strtol(entry->d_name, NULL, 10));
    return r;
}

int target_processes(const struct target *t, int (*fn)(void *data, pid_t tgid), void *data)
{
    _cleanup_close_ int proc_fd = -1;
    int r = 0;

    if (t->cgroup_dir && t->process_count == 0)
        return cgroup_processes(t->cgroup_dir, fn, data);
    proc_fd = open_proc(t->prefix);
    if (proc_fd < 0)
        return proc_fd;
    if (t->kind == TARGET_ALL)
        return all_processes(proc_fd, fn, data);
    for (size_t i = 0; i < t->process_count && r == 0; i++) {
        uint64_t start;

        if (start_time_of(proc_fd, t->processes[i].tgid, &start) == 0 &&
            start == t->processes[i].start_time)
            r = fn(data, t->processes[i].tgid);
    }
    return r;
}
