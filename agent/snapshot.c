/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/snapshot.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

#define LINES_MAX 64
#define ANCESTORS_MAX 4096

void snapshot_clear(struct snapshot *s)
{
    for (size_t i = 0; i < s->cgroup_count; i++) {
        free(s->cgroups[i].lines);
        free(s->cgroups[i].text);
    }
    free(s->cgroups);
    free(s->processes);
    *s = (struct snapshot){0};
}

static unsigned line_rank(const struct cgroup_line *l)
{
    char controllers[128];

    if (l->v2)
        return 0;
    if (l->controllers_size >= sizeof(controllers))
        return UINT32_MAX;
    memcpy(controllers, l->controllers, l->controllers_size);
    controllers[l->controllers_size] = '\0';
    return 1 + cgroup_preference(controllers);
}

static int compare_lines(const void *a, const void *b)
{
    unsigned x = line_rank(a), y = line_rank(b);

    return (x > y) - (x < y);
}

static int load_cgroups(struct snapshot_cgroups *c, const struct cgroups *cg, const char *text,
                        size_t size)
{
    struct cgroup_line lines[LINES_MAX];
    struct buf absolute = {0};
    size_t at = 0;
    int r = cg ? cgroups_absolute(cg, text, size, &absolute) : 0;

    c->container = -1;
    c->text = absolute.data;
    if (r < 0)
        return r;
    if (c->text) {
        text = c->text;
        size = absolute.size;
    }
    while (c->count < LINES_MAX && cgroup_line_next(text, size, &at, &lines[c->count]))
        c->count++;
    if (c->count == 0)
        return 0;
    qsort(lines, c->count, sizeof(*lines), compare_lines);
    c->lines = malloc(c->count * sizeof(*lines));
    if (!c->lines)
        return -ENOMEM;
    memcpy(c->lines, lines, c->count * sizeof(*lines));
    return 0;
}

/* How many records of each kind there are; checks the whole answer once. */
static int count_records(const struct census_reader *start, size_t counts[CENSUS_KINDS])
{
    struct census_reader r = *start;
    struct census_item item;
    int more;

    while ((more = census_reader_next(&r, &item)) > 0)
        counts[item.kind]++;
    return more;
}

static int compare_processes(const void *a, const void *b)
{
    const struct snapshot_process *x = a, *y = b;

    return (x->p->tgid > y->p->tgid) - (x->p->tgid < y->p->tgid);
}

/* A tgid can come twice when it was used again while /proc was listed: one stays. */
static void drop_twins(struct snapshot *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->process_count; i++) {
        if (kept > 0 && s->processes[kept - 1].p->tgid == s->processes[i].p->tgid)
            kept--;
        s->processes[kept++] = s->processes[i];
    }
    s->process_count = kept;
}

static bool on_host_root(const struct snapshot *s, const struct census_process *p)
{
    return p->root_ino == s->header->host_root_ino && p->root_dev == s->header->host_root_dev;
}

bool snapshot_own_mounts(const struct snapshot *s, const struct snapshot_process *p)
{
    return p->p->mount_ns != 0 && p->p->mount_ns != s->header->host_mount_ns;
}

static int load_records(struct snapshot *s, const struct cgroups *cg, struct census_reader *r)
{
    struct census_item item;
    int error;

    while (census_reader_next(r, &item) > 0) {
        if (item.kind == CENSUS_CGROUP) {
            error = load_cgroups(&s->cgroups[s->cgroup_count++], cg, item.text, item.text_size);
            if (error < 0)
                return error;
        } else if (item.kind == CENSUS_PROCESS) {
            struct snapshot_process *p = &s->processes[s->process_count++];

            p->p = item.process;
            p->container = -1;
            p->cgroups = &s->cgroups[item.process->cgroup];
            p->foreign = item.process->root_ino != 0 && !on_host_root(s, item.process) &&
                         snapshot_own_mounts(s, p);
            if (!p->foreign && item.process->root_ino != 0)
                p->cgroups->hosts = true;
        }
    }
    return 0;
}

struct snapshot_process *snapshot_find(const struct snapshot *s, int32_t tgid)
{
    struct census_process wanted = {.tgid = tgid};
    struct snapshot_process key = {.p = &wanted};

    if (s->process_count == 0)
        return NULL;
    return bsearch(&key, s->processes, s->process_count, sizeof(key), compare_processes);
}

/* Opener and parser have namespaces of their own; they hang below the agent's parent. */
static void mark_ours(struct snapshot *s, int32_t self)
{
    const struct snapshot_process *agent = snapshot_find(s, self), *parent;
    int32_t top = self;

    if (!agent)
        return;
    parent = snapshot_find(s, agent->p->ppid);
    if (parent && strncmp(parent->p->comm, "porthole", 8) == 0)
        top = parent->p->tgid;
    for (size_t i = 0; i < s->process_count; i++) {
        const struct snapshot_process *p = &s->processes[i];

        for (size_t n = 0; p && n < ANCESTORS_MAX; n++) {
            if (p->p->tgid == top) {
                s->processes[i].ours = true;
                break;
            }
            p = p->p->ppid > 0 ? snapshot_find(s, p->p->ppid) : NULL;
        }
    }
}

int snapshot_load(struct snapshot *s, const void *census, size_t size, const struct cgroups *cg,
                  int32_t self)
{
    size_t counts[CENSUS_KINDS] = {0};
    struct census_reader reader;
    int r = census_reader_init(&reader, census, size);

    *s = (struct snapshot){.header = census};
    if (r == 0)
        r = count_records(&reader, counts);
    if (r < 0)
        return r;
    s->cgroups = calloc(counts[CENSUS_CGROUP] + 1, sizeof(*s->cgroups));
    s->processes = calloc(counts[CENSUS_PROCESS] + 1, sizeof(*s->processes));
    r = s->cgroups && s->processes ? load_records(s, cg, &reader) : -ENOMEM;
    if (r < 0) {
        snapshot_clear(s);
        return r;
    }
    /* Of twins either will do: one of them is gone, and start times tell which. */
    qsort(s->processes, s->process_count, sizeof(*s->processes), compare_processes);
    drop_twins(s);
    if (self > 0)
        mark_ours(s, self);
    return 0;
}
