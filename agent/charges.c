/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/charges.h"

#include <string.h>

/* The target's path there, or NULL. A cgroup that was asked for by its path has the same one. */
static const char *path_in(const struct target *t, const struct cgroup_mount *m)
{
    const struct container *c = t->container;

    for (size_t i = 0; c && i < c->cgroup_count; i++)
        if (!c->cgroups[i].v2 && strcmp(c->cgroups[i].controllers, m->controllers) == 0)
            return c->cgroups[i].path;
    return c ? NULL : t->cgroup_path;
}

static void find(const struct cgroups *cg, const struct target *t, const char *controller,
                 struct charge *ret)
{
    const struct cgroup_mount *m = cgroups_of_controller(cg, controller);
    const char *path = m ? path_in(t, m) : NULL;
    _cleanup_free_ char *dir = NULL;

    *ret = (struct charge){0};
    if (!m && t->kind == TARGET_CGROUP_V2)
        *ret = (struct charge){.cgroup = t->cgroup_id, .level = t->cgroup_level};
    if (!path || strcmp(path, "/") == 0)
        return;
    dir = cgroup_directory(m, path);
    if (dir && cgroup_id(dir, &ret->cgroup) == 0)
        ret->level = cgroup_level(path);
}

void charges_find(const struct containers *cs, const struct target *t, struct charges *ret)
{
    const struct cgroups *cg = containers_cgroups(cs);

    find(cg, t, "memory", &ret->memory);
    find(cg, t, "blkio", &ret->blkio);
}
