/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/containers_build.h"

#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#define SHORT_ID 12
#define SHARED ((void *)UINTPTR_MAX)

/* "controllers:path" in key; its size, or 0 when it does not fit. */
static size_t cgroup_key(const char *controllers, size_t controllers_size, const char *path,
                         size_t path_size, char key[PATH_MAX])
{
    if (controllers_size + 1 + path_size > PATH_MAX)
        return 0;
    memcpy(key, controllers, controllers_size);
    key[controllers_size] = ':';
    memcpy(key + controllers_size + 1, path, path_size);
    return controllers_size + 1 + path_size;
}

/* Size of the path without its last component; 0 for the root. */
static size_t parent_size(const char *path, size_t size)
{
    while (size > 0 && path[size - 1] != '/')
        size--;
    return size > 0 ? size - 1 : 0;
}

bool builder_hosted(const struct builder *b, const struct cgroup_line *line, size_t path_size)
{
    char key[PATH_MAX];
    size_t n = cgroup_key(line->controllers, line->controllers_size, line->path, path_size, key);

    return n == 0 || table_get(b->hosted, key, n);
}

/* Marks the cgroups of host processes and all above them. */
static int mark_hosted(struct builder *b)
{
    char key[PATH_MAX];

    for (size_t i = 0; i < b->snapshot.cgroup_count; i++) {
        const struct snapshot_cgroups *c = &b->snapshot.cgroups[i];

        for (size_t k = 0; c->hosts && k < c->count; k++) {
            const struct cgroup_line *l = &c->lines[k];

            for (size_t size = l->path_size; size > 1; size = parent_size(l->path, size)) {
                size_t n = cgroup_key(l->controllers, l->controllers_size, l->path, size, key);
                int r = n && !table_get(b->hosted, key, n) ? table_put(b->hosted, key, n, b) : 0;

                if (r < 0)
                    return r;
            }
        }
    }
    return 0;
}

static int copy_text(char **to, const char *from)
{
    if (!from)
        return 0;
    *to = strdup(from);
    return *to ? 0 : -ENOMEM;
}

static int64_t started_ns(uint64_t ticks)
{
    static long per_second;
    struct timespec real, boot;

    if (per_second == 0)
        per_second = sysconf(_SC_CLK_TCK);
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (real.tv_sec - boot.tv_sec) * (int64_t)NS_PER_SEC + (real.tv_nsec - boot.tv_nsec) +
           (int64_t)(ticks * (NS_PER_SEC / (uint64_t)per_second));
}

static struct container *last(struct builder *b)
{
    return &b->cs->items[b->cs->count - 1];
}

static int make_room(struct containers *cs)
{
    size_t room = cs->room ? cs->room * 2 : 16;
    struct container *items;

    if (cs->count < cs->room)
        return 0;
    items = realloc(cs->items, room * sizeof(*items));
    if (!items)
        return -ENOMEM;
    cs->items = items;
    cs->room = room;
    return 0;
}

int builder_add(struct builder *b, const struct identity *identity, const char *id,
                const char *name, const struct snapshot_process *init)
{
    struct container *c;
    int r = make_room(b->cs);

    if (r < 0)
        return r;
    b->cs->count++;
    c = last(b);
    *c = (struct container){
        .runtime = identity->runtime,
        .sandbox = identity->sandbox,
        .init_pid = init->p->tgid,
        .init_start_time = init->p->start_time,
        .mount_ns = init->p->mount_ns,
        .root_uid = init->p->root_uid,
        .started_ns = started_ns(init->p->start_time),
    };
    id = id ? id : identity->id;
    name = name ? name : identity->name;
    r = copy_text(&c->id, id);
    if (r == 0 && !name && identity_is_long_id(id))
        r = (c->name = strndup(id, SHORT_ID)) ? 0 : -ENOMEM;
    else if (r == 0)
        r = copy_text(&c->name, name ? name : id);
    if (r == 0)
        r = copy_text(&c->image, identity->image);
    if (r == 0)
        r = copy_text(&c->pod, identity->pod);
    if (r == 0)
        r = copy_text(&c->namespace, identity->namespace);
    if (r == 0)
        r = copy_text(&c->pod_uid, identity->pod_uid);
    return r;
}

int builder_add_cgroup(struct builder *b, const struct cgroup_line *line, size_t path_size)
{
    struct container *c = last(b);
    struct container_cgroup *cgroups, *added;
    char key[PATH_MAX];
    size_t n = cgroup_key(line->controllers, line->controllers_size, line->path, path_size, key);

    if (n == 0)
        return 0;
    cgroups = realloc(c->cgroups, (c->cgroup_count + 1) * sizeof(*cgroups));
    if (!cgroups)
        return -ENOMEM;
    c->cgroups = cgroups;
    added = &cgroups[c->cgroup_count++];
    *added = (struct container_cgroup){
        .v2 = line->v2,
        .controllers = strndup(line->controllers, line->controllers_size),
        .path = strndup(line->path, path_size),
    };
    if (!added->controllers || !added->path)
        return -ENOMEM;
    return table_put(b->owners, key, n,
                     table_get(b->owners, key, n) ? SHARED : (void *)(uintptr_t)b->cs->count);
}

/* Claimed containers and the cgroups that are theirs alone. */
static int add_claimed(struct builder *b)
{
    for (size_t i = 0; i < b->identity_count; i++) {
        const struct identity *id = &b->identities[i];
        int r;

        if (!id->init || id->merged)
            continue;
        r = builder_add(b, id, NULL, NULL, id->init);
        for (size_t k = 0; r == 0 && k < id->init->cgroups->count; k++) {
            const struct cgroup_line *l = &id->init->cgroups->lines[k];

            if (l->path_size > 1 &&
                (identity_in_path(l, id->id, id->cgroup) || !builder_hosted(b, l, l->path_size)))
                r = builder_add_cgroup(b, l, l->path_size);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* Two containers in one cgroup: it is neither's, as a filter would mix them. */
static void drop_shared(struct builder *b)
{
    char key[PATH_MAX];

    for (size_t i = 0; i < b->cs->count; i++) {
        struct container *c = &b->cs->items[i];
        size_t kept = 0;

        for (size_t k = 0; k < c->cgroup_count; k++) {
            struct container_cgroup *g = &c->cgroups[k];
            size_t n =
                cgroup_key(g->controllers, strlen(g->controllers), g->path, strlen(g->path), key);

            if (table_get(b->owners, key, n) != SHARED) {
                c->cgroups[kept++] = *g;
                continue;
            }
            free(g->controllers);
            free(g->path);
        }
        c->cgroup_count = kept;
    }
}

/* The innermost container whose cgroup is this or above it; -1: none. */
static int owner_of(const struct builder *b, const struct snapshot_cgroups *c)
{
    char key[PATH_MAX];

    for (size_t i = 0; i < c->count; i++) {
        const struct cgroup_line *l = &c->lines[i];

        for (size_t size = l->path_size; size > 1; size = parent_size(l->path, size)) {
            size_t n = cgroup_key(l->controllers, l->controllers_size, l->path, size, key);
            void *owner = n ? table_get(b->owners, key, n) : NULL;

            if (owner && owner != SHARED)
                return (int)((uintptr_t)owner - 1);
        }
    }
    return -1;
}

/* Which container every process is in, so far: by its cgroup, else by its mount namespace. */
static int assign(struct builder *b)
{
    _cleanup_(table_freep) struct table *mounts = NULL;
    int r = table_new(&mounts, NULL);

    drop_shared(b);
    for (size_t i = 0; i < b->snapshot.cgroup_count; i++)
        b->snapshot.cgroups[i].container = owner_of(b, &b->snapshot.cgroups[i]);
    for (size_t i = 0; r == 0 && i < b->cs->count; i++) {
        const struct container *c = &b->cs->items[i];

        if (c->mount_ns != 0 && c->mount_ns != b->snapshot.header->host_mount_ns &&
            !table_get(mounts, &c->mount_ns, sizeof(c->mount_ns)))
            r = table_put(mounts, &c->mount_ns, sizeof(c->mount_ns), (void *)(uintptr_t)(i + 1));
    }
    for (size_t i = 0; r == 0 && i < b->snapshot.process_count; i++) {
        struct snapshot_process *p = &b->snapshot.processes[i];
        void *owner = table_get(mounts, &p->p->mount_ns, sizeof(p->p->mount_ns));

        p->container = p->cgroups->container;
        if (p->container < 0 && owner)
            p->container = (int)((uintptr_t)owner - 1);
    }
    return r;
}

/* As the container's init numbers it. */
static int32_t ns_tgid(const struct census_process *p, uint32_t levels)
{
    if (levels <= 1)
        return p->tgid;
    return p->ns_count >= levels ? p->ns_tgids[levels - 1] : 0;
}

static int fill_processes(struct builder *b)
{
    for (size_t i = 0; i < b->snapshot.process_count; i++)
        if (b->snapshot.processes[i].container >= 0)
            b->cs->items[b->snapshot.processes[i].container].process_count++;
    for (size_t i = 0; i < b->cs->count; i++) {
        struct container *c = &b->cs->items[i];

        c->processes = calloc(c->process_count + 1, sizeof(*c->processes));
        if (!c->processes)
            return -ENOMEM;
        c->process_count = 0;
    }
    for (size_t i = 0; i < b->snapshot.process_count; i++) {
        const struct snapshot_process *p = &b->snapshot.processes[i];
        const struct snapshot_process *init;
        struct container *c;

        if (p->container < 0)
            continue;
        c = &b->cs->items[p->container];
        init = snapshot_find(&b->snapshot, c->init_pid);
        c->processes[c->process_count++] = (struct container_process){
            .tgid = p->p->tgid,
            .ns_tgid = ns_tgid(p->p, init ? init->p->ns_count : 0),
            .start_time = p->p->start_time,
        };
    }
    return 0;
}

static int compare_containers(const void *a, const void *b)
{
    const struct container *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    if (r == 0)
        r = strcmp(x->id, y->id);
    return r ? r : x->init_pid - y->init_pid;
}

static int build(struct builder *b)
{
    int r = mark_hosted(b);

    if (r == 0)
        r = add_claimed(b);
    if (r < 0)
        return r;
    r = assign(b);
    if (r == 0)
        r = builder_add_orphans(b);
    if (r == 0)
        r = assign(b);
    if (r == 0)
        r = fill_processes(b);
    for (size_t i = 0; r == 0 && i < b->cs->count; i++)
        if (b->cs->items[i].cgroup_count > 0)
            r = copy_text(&b->cs->items[i].cgroup, b->cs->items[i].cgroups[0].path);
    if (r == 0 && b->cs->count > 1)
        qsort(b->cs->items, b->cs->count, sizeof(*b->cs->items), compare_containers);
    return r;
}

static void builder_clear(struct builder *b)
{
    snapshot_clear(&b->snapshot);
    free(b->identities);
    table_free(b->hosted);
    table_free(b->owners);
    containers_free(b->cs);
}

int containers_new(const void *census, size_t size, const struct containers_source *sources,
                   size_t source_count, const struct cgroups *cg, int32_t self,
                   struct containers **ret)
{
    _cleanup_(builder_clear) struct builder b = {.cs = calloc(1, sizeof(struct containers))};
    int r;

    if (!b.cs)
        return -ENOMEM;
    b.cs->cg = cg;
    r = snapshot_load(&b.snapshot, census, size, cg, self);
    if (r == 0)
        r = table_new(&b.hosted, NULL);
    if (r == 0)
        r = table_new(&b.owners, NULL);
    if (r == 0)
        r = identities_merge(&b.snapshot, sources, source_count, &b.identities, &b.identity_count);
    if (r == 0)
        r = build(&b);
    if (r == 0)
        *ret = TAKE_PTR(b.cs);
    return r;
}
