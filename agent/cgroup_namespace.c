/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of cgroup.h for an agent in a cgroup namespace of its own, as in a pod on a host with
 * cgroup v2: its own cgroup is "/" there, and "/../../x" is what the host calls "/pods/x".
 */
#include "agent/cgroup.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

/* Takes "/.." from the beginning; returns how often. *path is then "" or begins with a slash. */
static unsigned skip_ups(const char **path, size_t *size)
{
    unsigned ups = 0;

    while (*size >= 3 && memcmp(*path, "/..", 3) == 0 && (*size == 3 || (*path)[3] == '/')) {
        *path += 3;
        *size -= 3;
        ups++;
    }
    return ups;
}

/* Size of path without its last n components; SIZE_MAX when it has not so many. */
static size_t without(const char *path, size_t size, unsigned n)
{
    for (; n > 0; n--) {
        if (size == 0)
            return SIZE_MAX;
        while (size > 0 && path[--size] != '/')
            ;
    }
    return size;
}

char *cgroup_absolute(const struct cgroup_mount *m, const char *path, size_t size)
{
    size_t kept;
    char *absolute;

    if (!m->own)
        return strndup(path, size);
    kept = without(m->own, strlen(m->own), skip_ups(&path, &size));
    if (kept == SIZE_MAX)
        return NULL;
    if (size == 1 && kept > 0)
        size = 0; /* the slash that stands for the namespace's root */
    if (kept + size == 0)
        return strdup("/");
    return asprintf(&absolute, "%.*s%.*s", (int)kept, m->own, (int)size, path) < 0 ? NULL
                                                                                   : absolute;
}

static bool any_own(const struct cgroups *cg)
{
    size_t count;
    const struct cgroup_mount *m = cgroups_mounts(cg, &count);

    for (size_t i = 0; i < count; i++)
        if (m[i].own)
            return true;
    return false;
}

int cgroups_absolute(const struct cgroups *cg, const char *text, size_t size, struct buf *ret)
{
    struct cgroup_line l;
    size_t at = 0;

    if (!any_own(cg))
        return 0;
    while (cgroup_line_next(text, size, &at, &l)) {
        _cleanup_free_ char *controllers = strndup(l.controllers, l.controllers_size);
        const struct cgroup_mount *m = controllers ? cgroups_find(cg, controllers) : NULL;
        _cleanup_free_ char *path = m ? cgroup_absolute(m, l.path, l.path_size) : NULL;

        if (!controllers)
            return -ENOMEM;
        /* What cannot be told stays as the kernel wrote it, and fits no container. */
        buf_addf(ret, "0:%s:", controllers);
        if (path)
            buf_adds(ret, path);
        else
            buf_add(ret, l.path, l.path_size);
        buf_addc(ret, '\n');
    }
    return buf_error(ret);
}

int cgroup_find_own(struct cgroup_mount *m, const char *path, size_t size, pid_t self)
{
    _cleanup_free_ char *found = NULL, *root = NULL, *copy = strndup(path, size);
    const char *rest = m->root;
    size_t rest_size = strlen(rest), n;
    unsigned ups = skip_ups(&rest, &rest_size);

    if (!copy)
        return -ENOMEM;
    if (ups == 0 || rest_size > 0 || skip_ups(&path, &size) > 0)
        return 0;
    found = cgroup_search_process(m, ups + cgroup_level(copy), self);
    if (!found)
        return 0;
    n = strcmp(copy, "/") == 0 ? 0 : strlen(copy);
    if (strlen(found) < n || strncmp(found + strlen(found) - n, copy, n) != 0)
        return 0;
    root = strdup("/");
    if (!root)
        return -ENOMEM;
    found[strlen(found) - n] = '\0';
    free(m->root);
    m->root = TAKE_PTR(root);
    m->own = TAKE_PTR(found);
    return 0;
}
