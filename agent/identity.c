/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include "base/table.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct entry {
    const struct claim *claim;
    const char *directory;
    size_t order;
};

bool identity_is_long_id(const char *id)
{
    return strlen(id) == CGROUP_ID_LENGTH && cgroup_container_id(id, CGROUP_ID_LENGTH) == id;
}

/* "web1", "docker-web1.scope": the id itself, or behind a dash and before ".scope". */
static bool component_names(const char *component, size_t size, const char *id)
{
    size_t n = strlen(id);

    if (identity_is_long_id(id)) {
        const char *found = cgroup_container_id(component, size);

        return found && strncmp(found, id, n) == 0;
    }
    if (size > 6 && strncmp(component + size - 6, ".scope", 6) == 0)
        size -= 6;
    if (size < n || strncmp(component + size - n, id, n) != 0)
        return false;
    return size == n || component[size - n - 1] == '-';
}

/* As runtimes record it: "/a/b", which may hang below the runtime's own cgroup, or systemd's
 * "slice:prefix:name". */
static bool path_recorded(const char *path, size_t size, const char *recorded)
{
    const char *first = strchr(recorded, ':'), *second = first ? strchr(first + 1, ':') : NULL;
    char scope[PATH_MAX];
    size_t n;

    if (second) {
        n = (size_t)snprintf(scope, sizeof(scope), "/%.*s%s%s.scope", (int)(second - first - 1),
                             first + 1, second > first + 1 ? "-" : "", second + 1);
        recorded = scope;
    } else {
        n = (size_t)snprintf(scope, sizeof(scope), "%s%s", *recorded == '/' ? "" : "/", recorded);
        recorded = scope;
    }
    return n > 1 && n < sizeof(scope) && size >= n && strncmp(path + size - n, recorded, n) == 0;
}

bool identity_in_path(const struct cgroup_line *line, const char *id, const char *recorded)
{
    const char *p = line->path, *end = p + line->path_size;

    if (line->path_size < 2)
        return false;
    if (recorded && path_recorded(line->path, line->path_size, recorded))
        return true;
    while (id && p < end) {
        const char *slash = memchr(p, '/', (size_t)(end - p));

        if (!slash)
            slash = end;
        if (slash > p && component_names(p, (size_t)(slash - p), id))
            return true;
        p = slash + 1;
    }
    return false;
}

/* The claimed process, provided that it is still the one that was meant. */
static const struct snapshot_process *verify(const struct snapshot *s, const struct claim *c)
{
    const struct snapshot_process *p = c->pid > 0 ? snapshot_find(s, c->pid) : NULL;

    if (!p)
        return NULL;
    if (c->start_time != 0)
        return p->p->start_time == c->start_time ? p : NULL;
    if (!snapshot_own_mounts(s, p))
        return NULL;
    for (size_t i = 0; i < p->cgroups->count; i++)
        if (identity_in_path(&p->cgroups->lines[i], c->id, c->cgroup))
            return p;
    return NULL;
}

static void fill(const char **to, const char *from)
{
    if (!*to)
        *to = from;
}

static void add_claim(struct identity *i, const struct claim *c,
                      const struct snapshot_process *init)
{
    i->runtime = MIN(i->runtime, c->runtime);
    i->sandbox |= c->sandbox;
    fill(&i->id, c->id);
    fill(&i->name, c->name);
    fill(&i->image, c->image);
    fill(&i->pod, c->pod);
    fill(&i->namespace, c->namespace);
    fill(&i->pod_uid, c->pod_uid);
    fill(&i->cgroup, c->cgroup);
    if (!i->init)
        i->init = init;
}

static void add_identity(struct identity *i, struct identity *other)
{
    i->runtime = MIN(i->runtime, other->runtime);
    i->sandbox |= other->sandbox;
    fill(&i->name, other->name);
    fill(&i->image, other->image);
    fill(&i->pod, other->pod);
    fill(&i->namespace, other->namespace);
    fill(&i->pod_uid, other->pod_uid);
    fill(&i->cgroup, other->cgroup);
    other->merged = true;
}

/* Best runtime first, so that the first text is the best one. */
static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->claim->runtime != y->claim->runtime)
        return x->claim->runtime < y->claim->runtime ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int gather_entries(const struct containers_source *sources, size_t source_count,
                          struct entry **ret, size_t *ret_count)
{
    struct entry *entries;
    size_t count = 0;

    for (size_t i = 0; i < source_count; i++)
        count += sources[i].claims->count;
    entries = calloc(count + 1, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    count = 0;
    for (size_t i = 0; i < source_count; i++)
        for (size_t k = 0; k < sources[i].claims->count; k++) {
            entries[count] = (struct entry){
                .claim = &sources[i].claims->items[k],
                .directory = sources[i].directory,
                .order = count,
            };
            count++;
        }
    qsort(entries, count, sizeof(*entries), compare_entries);
    *ret = entries;
    *ret_count = count;
    return 0;
}

/* Claims of one long id, wherever they stand, and claims of one directory mean one container. */
static int merge_by_key(const struct snapshot *s, const struct entry *entries, size_t entry_count,
                        struct identity *identities, size_t *count)
{
    _cleanup_(table_freep) struct table *keys = NULL;
    int r = table_new(&keys, NULL);

    if (r < 0)
        return r;
    for (size_t i = 0; i < entry_count; i++) {
        const struct claim *c = entries[i].claim;
        const char *key = identity_is_long_id(c->id) ? c->id : entries[i].directory;
        struct identity *at = table_get(keys, key, strlen(key));

        if (!at) {
            at = &identities[(*count)++];
            at->runtime = RUNTIME_UNKNOWN;
            r = table_put(keys, key, strlen(key), at);
            if (r < 0)
                return r;
        }
        add_claim(at, c, verify(s, c));
    }
    return 0;
}

/* Identities of one process are one container: docker's, containerd's and runc's view of it. */
static int merge_by_process(struct identity *identities, size_t count)
{
    _cleanup_(table_freep) struct table *inits = NULL;
    int r = table_new(&inits, NULL);

    for (size_t i = 0; i < count && r == 0; i++) {
        struct identity *id = &identities[i], *first;

        if (!id->init)
            continue;
        first = table_get(inits, &id->init, sizeof(id->init));
        if (first)
            add_identity(first, id);
        else
            r = table_put(inits, &id->init, sizeof(id->init), id);
    }
    return r;
}

int identities_merge(const struct snapshot *s, const struct containers_source *sources,
                     size_t source_count, struct identity **ret, size_t *ret_count)
{
    _cleanup_free_ struct entry *entries = NULL;
    _cleanup_free_ struct identity *identities = NULL;
    size_t entry_count, count = 0;
    int r = gather_entries(sources, source_count, &entries, &entry_count);

    if (r < 0)
        return r;
    identities = calloc(entry_count + 1, sizeof(*identities));
    if (!identities)
        return -ENOMEM;
    r = merge_by_key(s, entries, entry_count, identities, &count);
    if (r == 0)
        r = merge_by_process(identities, count);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(identities);
    *ret_count = count;
    return 0;
}
