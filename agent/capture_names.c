/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of other containers than the target: whose a thread is when the target spans several,
 * and whose a waker is.
 */
#include "agent/capture_inside.h"

#include <errno.h>
#include <string.h>

#define LOOKS_MAX 64 /* for containers that came later */

/* By process for those that were there when it was looked, by cgroup for later ones. */
const char *capture_container_of(void *data, uint32_t tgid, uint64_t cgroup_id)
{
    const struct capture *c = data;
    const char *name = table_get(c->container_names, &tgid, sizeof(tgid));

    return name ? name : table_get(c->container_names, &cgroup_id, sizeof(cgroup_id));
}

/* Names are borrowed by what was counted: the first one stays. */
static void add_name(struct capture *c, const void *key, size_t size, const char *name)
{
    char *copy = table_get(c->container_names, key, size) ? NULL : strdup(name);

    if (copy && table_put(c->container_names, key, size, copy) < 0)
        free(copy);
}

/* Hierarchies number their cgroups apart. */
struct cgroup_key {
    uint64_t id;
    uint64_t hierarchy; /* enum records_hierarchy */
};

const char *capture_container_by(void *data, uint32_t tgid, enum records_hierarchy h,
                                 uint64_t cgroup_id)
{
    const struct capture *c = data;
    const struct cgroup_key key = {cgroup_id, h};
    const char *name = tgid ? table_get(c->container_names, &tgid, sizeof(tgid)) : NULL;

    if (name || !cgroup_id)
        return name;
    if (h == HIERARCHY_V2)
        return table_get(c->container_names, &cgroup_id, sizeof(cgroup_id));
    return table_get(c->container_names, &key, sizeof(key));
}

/* A container's cgroups in the hierarchies that pages and requests are charged in: v1's where they
 * have one, else v2. */
static void add_hierarchies(struct capture *c, const struct cgroups *cg,
                            const struct container *container)
{
    static const char *const controllers[HIERARCHY_COUNT] = {
        [HIERARCHY_MEMORY] = "memory",
        [HIERARCHY_BLKIO] = "blkio",
    };

    for (size_t i = 0; i < container->cgroup_count; i++) {
        const struct container_cgroup *own = &container->cgroups[i];
        const struct cgroup_mount *m = cgroups_find(cg, own->controllers);
        _cleanup_free_ char *dir = m ? cgroup_directory(m, own->path) : NULL;
        struct cgroup_key key;

        if (!dir || cgroup_id(dir, &key.id) < 0)
            continue;
        for (int h = HIERARCHY_MEMORY; h < HIERARCHY_COUNT; h++) {
            const struct cgroup_mount *v1 = cgroups_of_controller(cg, controllers[h]);

            key.hierarchy = (uint64_t)h;
            if (v1 ? v1 == m : m->v2)
                add_name(c, &key, sizeof(key), container->name);
        }
    }
}

void capture_name_containers(struct capture *c, const struct containers *cs)
{
    size_t count;
    const struct container *all = containers_all(cs, &count);
    const struct cgroup_mount *v2 = cgroups_find(containers_cgroups(cs), "");

    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < all[i].process_count; k++) {
            uint32_t tgid = (uint32_t)all[i].processes[k].tgid;

            add_name(c, &tgid, sizeof(tgid), all[i].name);
        }
        if (c->request.probe->family == FAMILY_IO)
            add_hierarchies(c, containers_cgroups(cs), &all[i]);
        for (size_t k = 0; v2 && k < all[i].cgroup_count && all[i].cgroups[k].v2; k++) {
            _cleanup_free_ char *dir = cgroup_directory(v2, all[i].cgroups[k].path);
            uint64_t id;

            if (dir && cgroup_id(dir, &id) == 0)
                add_name(c, &id, sizeof(id), all[i].name);
        }
    }
}

/* ---- wakers ---- */

static void on_look(void *data, const struct containers *cs, const struct err *e)
{
    struct capture *c = data;

    (void)e; /* they stay the host's */
    c->finding = 0;
    if (cs)
        capture_name_containers(c, cs);
}

/* Whether somebody of this cgroup may be in a container that is not known yet. Each cgroup is
 * looked up once. */
static bool may_be_new(struct capture *c, uint64_t cgroup_id)
{
    char *looked = table_get(c->strangers, &cgroup_id, sizeof(cgroup_id));

    if (c->finding)
        return true;
    if (looked || table_count(c->strangers) >= LOOKS_MAX)
        return false;
    looked = calloc(1, 1);
    if (!looked || table_put(c->strangers, &cgroup_id, sizeof(cgroup_id), looked) < 0) {
        free(looked);
        return false;
    }
    return discovery_refresh(c->ctx->discovery, on_look, c, &c->finding) == 0;
}

int capture_waker_name(void *data, const struct event_waker *w, bool may_wait, struct buf *out)
{
    struct capture *c = data;
    const char *container = capture_container_of(c, w->tgid, w->cgroup_id);

    if (w->flags & EVENT_WAKER_KERNEL)
        buf_adds(out, "kernel: ");
    else if (container)
        buf_addf(out, "%s: ", container);
    else if (may_wait && may_be_new(c, w->cgroup_id))
        return -EAGAIN;
    else
        buf_adds(out, "host: ");
    buf_add(out, w->comm, strnlen(w->comm, sizeof(w->comm)));
    return 0;
}
