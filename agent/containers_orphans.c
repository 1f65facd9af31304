/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers that no runtime's file explains: a cgroup all of whose processes have another root
 * directory and mount namespace than the host. Services with PrivateTmp and the like keep the
 * host's root, so they are none; browsers' sandboxes keep the host's mount namespace.
 */
#include "agent/containers_build.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* What a cgroup's path says: where the container's part ends, and what it is called. */
struct parsed {
    size_t size;    /* of the path up to the container */
    const char *id; /* long id in it, or NULL */
    const char *name;
    size_t name_size;
    enum runtime runtime;
};

struct orphan {
    const struct cgroup_line *line; /* NULL: nothing that a container could be told by */
    struct parsed parsed;
    const struct snapshot_process *init;
    size_t top; /* index of the orphan that it belongs to, itself if none is above */
};

static bool begins(const char *s, size_t size, const char *word)
{
    size_t n = strlen(word);

    return size > n && strncmp(s, word, n) == 0;
}

static bool ends(const char *s, size_t size, const char *word)
{
    size_t n = strlen(word);

    return size > n && strncmp(s + size - n, word, n) == 0;
}

/* The runtime by what it puts before the id, or by its parent cgroup. */
static enum runtime runtime_by_path(const char *path, const char *id)
{
    static const struct {
        const char *before;
        enum runtime runtime;
    } known[] = {
        {"docker-", RUNTIME_DOCKER}, {"docker/", RUNTIME_DOCKER}, {"cri-containerd-", RUNTIME_CRI},
        {"crio-", RUNTIME_CRI},      {"libpod-", RUNTIME_PODMAN},
    };
    size_t size = (size_t)(id - path);

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (ends(path, size, known[i].before))
            return known[i].runtime;
    return memmem(path, size, "kubepods", 8) ? RUNTIME_CRI : RUNTIME_UNKNOWN;
}

/* LXC's and systemd-nspawn's way to name a machine in one component. */
static bool parse_machine(const char *component, size_t size, struct parsed *ret)
{
    static const struct {
        const char *begin, *end;
    } machines[] = {
        {"lxc.payload.", ""},
        {"systemd-nspawn@", ".service"},
        {"machine-", ".scope"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
        size_t begin = strlen(machines[i].begin), end = strlen(machines[i].end);

        if (!begins(component, size, machines[i].begin) || size <= begin + end ||
            (end > 0 && !ends(component, size, machines[i].end)))
            continue;
        ret->name = component + begin;
        ret->name_size = size - begin - end;
        return true;
    }
    return false;
}

static void parse_path(const char *path, size_t size, struct parsed *ret)
{
    const char *end = path + size, *p, *slash;

    *ret = (struct parsed){.size = size, .runtime = RUNTIME_UNKNOWN};
    ret->id = cgroup_container_id(path, size);
    if (ret->id) {
        ret->runtime = runtime_by_path(path, ret->id);
        slash = memchr(ret->id, '/', (size_t)(end - ret->id));
        ret->size = (size_t)((slash ? slash : end) - path);
        return;
    }
    for (p = path + 1; p < end; p = slash + 1) {
        slash = memchr(p, '/', (size_t)(end - p));
        if (!slash)
            slash = end;
        if (parse_machine(p, (size_t)(slash - p), ret)) {
            ret->size = (size_t)(slash - path);
            return;
        }
        ret->name = p;
        ret->name_size = (size_t)(slash - p);
    }
}

/* The cgroup by which an orphan is told: the first hierarchy where it has one without hosts. */
static void find_line(const struct builder *b, const struct snapshot_cgroups *c, struct orphan *o)
{
    for (size_t i = 0; i < c->count && !o->line; i++) {
        const struct cgroup_line *l = &c->lines[i];

        if (l->path_size < 2)
            continue;
        parse_path(l->path, l->path_size, &o->parsed);
        if (!builder_hosted(b, l, o->parsed.size))
            o->line = l;
    }
}

/* The init of a container: pid 1 of the outermost namespace, else the one that started first. */
static bool better_init(const struct snapshot_process *a, const struct snapshot_process *b)
{
    const struct census_process *x = a->p, *y;
    bool x_first = x->ns_count > 1 && x->ns_tgids[x->ns_count - 1] == 1, y_first;

    if (!b)
        return true;
    y = b->p;
    y_first = y->ns_count > 1 && y->ns_tgids[y->ns_count - 1] == 1;
    if (x_first != y_first)
        return x_first;
    if (x_first && x->ns_count != y->ns_count)
        return x->ns_count < y->ns_count;
    return x->start_time < y->start_time;
}

static size_t orphan_key(const struct cgroup_line *l, size_t size, char key[PATH_MAX])
{
    int n = snprintf(key, PATH_MAX, "%.*s:%.*s", (int)l->controllers_size, l->controllers,
                     (int)size, l->path);

    return n > 0 && n < PATH_MAX ? (size_t)n : 0;
}

/* One orphan per cgroup text; those in one cgroup or below another's become one. */
static int join(struct orphan *orphans, size_t count)
{
    _cleanup_(table_freep) struct table *tops = NULL;
    char key[PATH_MAX];
    int r = table_new(&tops, NULL);

    for (size_t i = 0; i < count && r == 0; i++) {
        size_t n = orphans[i].init && orphans[i].line
                       ? orphan_key(orphans[i].line, orphans[i].parsed.size, key)
                       : 0;

        orphans[i].top = i;
        if (n > 0 && !table_get(tops, key, n))
            r = table_put(tops, key, n, &orphans[i]);
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        struct orphan *o = &orphans[i];

        for (size_t size = o->init && o->line ? o->parsed.size : 0; size > 1; size--) {
            size_t n;
            struct orphan *above;

            if (size < o->parsed.size && o->line->path[size] != '/')
                continue;
            n = orphan_key(o->line, size, key);
            above = n > 0 ? table_get(tops, key, n) : NULL;
            if (above)
                o->top = (size_t)(above - orphans);
        }
        if (o->top != i && better_init(o->init, orphans[o->top].init))
            orphans[o->top].init = o->init;
    }
    return r;
}

/* Every cgroup of the orphan: at the same path as the one it is told by, or where that hierarchy
 * says, unless host processes are there too. */
static int add_cgroups(struct builder *b, const struct orphan *o)
{
    const struct snapshot_cgroups *c = o->init->cgroups;

    for (size_t i = 0; i < c->count; i++) {
        const struct cgroup_line *l = &c->lines[i];
        struct parsed parsed;
        size_t size;
        int r;

        if (l->path_size < 2)
            continue;
        parse_path(l->path, l->path_size, &parsed);
        size = parsed.size;
        if (l->path_size >= o->parsed.size &&
            strncmp(l->path, o->line->path, o->parsed.size) == 0 &&
            (l->path_size == o->parsed.size || l->path[o->parsed.size] == '/'))
            size = o->parsed.size;
        if (builder_hosted(b, l, size))
            continue;
        r = builder_add_cgroup(b, l, size);
        if (r < 0)
            return r;
    }
    return 0;
}

/* systemd writes "-" in a name as "\x2d". */
static void unescape(char *name)
{
    char *to = name;
    unsigned value;

    for (; *name; name++) {
        if (name[0] == '\\' && name[1] == 'x' && sscanf(name + 2, "%2x", &value) == 1 &&
            value >= ' ' && strlen(name) >= 4) {
            *to++ = (char)value;
            name += 3;
        } else {
            *to++ = *name;
        }
    }
    *to = '\0';
}

static int add_orphan(struct builder *b, const struct orphan *o, const struct table *by_id)
{
    const struct parsed *p = &o->parsed;
    const struct identity *known = p->id ? table_get(by_id, p->id, CGROUP_ID_LENGTH) : NULL;
    struct identity made = {.runtime = p->runtime};
    _cleanup_free_ char *word =
        p->id ? strndup(p->id, CGROUP_ID_LENGTH) : strndup(p->name, p->name_size);
    int r;

    if (!word)
        return -ENOMEM;
    if (!p->id)
        unescape(word);
    r = builder_add(b, known ? known : &made, word, NULL, o->init);
    return r < 0 ? r : add_cgroups(b, o);
}

/* Identities whose processes were not found by pid, by their long ids. */
static int index_identities(const struct builder *b, struct table *by_id)
{
    for (size_t i = 0; i < b->identity_count; i++) {
        struct identity *id = &b->identities[i];
        int r;

        if (id->init || id->merged || !identity_is_long_id(id->id))
            continue;
        r = table_put(by_id, id->id, CGROUP_ID_LENGTH, id);
        if (r < 0)
            return r;
    }
    return 0;
}

int builder_add_orphans(struct builder *b)
{
    const struct snapshot *s = &b->snapshot;
    _cleanup_free_ struct orphan *orphans = calloc(s->cgroup_count + 1, sizeof(*orphans));
    _cleanup_(table_freep) struct table *by_id = NULL;
    int r = orphans ? table_new(&by_id, NULL) : -ENOMEM;

    if (r == 0)
        r = index_identities(b, by_id);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->process_count; i++) {
        const struct snapshot_process *p = &s->processes[i];
        struct orphan *o = &orphans[p->cgroups - s->cgroups];

        if (p->foreign && !p->ours && !p->cgroups->hosts && p->container < 0 &&
            better_init(p, o->init))
            o->init = p;
    }
    for (size_t i = 0; i < s->cgroup_count; i++)
        if (orphans[i].init)
            find_line(b, &s->cgroups[i], &orphans[i]);
    r = join(orphans, s->cgroup_count);
    for (size_t i = 0; i < s->cgroup_count && r == 0; i++)
        if (orphans[i].init && orphans[i].line && orphans[i].top == i)
            r = add_orphan(b, &orphans[i], by_id);
    return r;
}
