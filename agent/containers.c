/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/containers.h"

#include "agent/containers_build.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define NS_PER_SECOND 1000000000

void container_clear(struct container *c)
{
    for (size_t i = 0; i < c->cgroup_count; i++) {
        free(c->cgroups[i].controllers);
        free(c->cgroups[i].path);
    }
    free(c->cgroups);
    free(c->processes);
    free(c->name);
    free(c->id);
    free(c->image);
    free(c->pod);
    free(c->namespace);
    free(c->pod_uid);
    free(c->cgroup);
}

void container_free(struct container *c)
{
    if (!c)
        return;
    container_clear(c);
    free(c);
}

void containers_free(struct containers *cs)
{
    if (!cs)
        return;
    for (size_t i = 0; i < cs->count; i++)
        container_clear(&cs->items[i]);
    free(cs->items);
    free(cs);
}

const struct container *containers_all(const struct containers *cs, size_t *count)
{
    *count = cs->count;
    return cs->items;
}

const struct cgroups *containers_cgroups(const struct containers *cs)
{
    return cs->cg;
}

static int compare_process(const void *a, const void *b)
{
    const struct container_process *x = a, *y = b;

    return (x->tgid > y->tgid) - (x->tgid < y->tgid);
}

const struct container *containers_of_process(const struct containers *cs, int32_t tgid)
{
    struct container_process key = {.tgid = tgid};

    for (size_t i = 0; i < cs->count; i++) {
        const struct container *c = &cs->items[i];

        if (c->process_count > 0 &&
            bsearch(&key, c->processes, c->process_count, sizeof(key), compare_process))
            return c;
    }
    return NULL;
}

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* The name alone would be read as something else. */
static bool misleading(const char *name)
{
    return strcmp(name, "all") == 0 || strpbrk(name, ":/");
}

void containers_add_word(const struct containers *cs, const struct container *c, struct buf *b)
{
    unsigned same_name = misleading(c->name), same_runtime = 0, same_pod = 0;

    for (size_t i = 0; i < cs->count; i++) {
        const struct container *o = &cs->items[i];

        if (o == c || !same(o->name, c->name))
            continue;
        same_name++;
        same_runtime += o->runtime == c->runtime;
        same_pod += same(o->pod, c->pod) && same(o->namespace, c->namespace);
    }
    if (same_name == 0) {
        buf_adds(b, c->name);
    } else if (c->pod && same_pod == 0) {
        if (c->namespace)
            buf_addf(b, "%s/", c->namespace);
        buf_addf(b, "%s/%s", c->pod, c->name);
    } else {
        buf_addf(b, "%s:%s", runtime_name(c->runtime), same_runtime == 0 ? c->name : c->id);
    }
}

static void add_member(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    if (b->size > 0 && b->data[b->size - 1] != '{')
        buf_addc(b, ',');
    buf_addf(b, "\"%s\":", key);
    text_add_json(b, value);
}

void container_add_json(const struct container *c, struct buf *b)
{
    time_t seconds = (time_t)(c->started_ns / NS_PER_SECOND);
    struct tm tm;
    char started[32] = "";

    /* A buffer of its own: what b holds so far says nothing about commas. */
    _cleanup_buf_ struct buf own = {0};

    add_member(&own, "name", c->name);
    add_member(&own, "id", c->id);
    add_member(&own, "runtime", runtime_name(c->runtime));
    add_member(&own, "image", c->image);
    add_member(&own, "pod", c->pod);
    add_member(&own, "namespace", c->namespace);
    buf_addf(&own, ",\"init_pid\":%d", c->init_pid);
    add_member(&own, "cgroup", c->cgroup);
    buf_addf(&own, ",\"processes\":%zu", c->process_count);
    if (gmtime_r(&seconds, &tm) && strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", &tm))
        add_member(&own, "started", started);
    if (buf_error(&own) < 0)
        b->failed = true;
    else
        buf_add(b, own.data, own.size);
}

static int copy_text(char **to, const char *from)
{
    if (!from)
        return 0;
    *to = strdup(from);
    return *to ? 0 : -ENOMEM;
}

static int copy_arrays(const struct container *from, struct container *to)
{
    int r = 0;

    to->processes = malloc((from->process_count + 1) * sizeof(*to->processes));
    to->cgroups = calloc(from->cgroup_count + 1, sizeof(*to->cgroups));
    if (!to->processes || !to->cgroups)
        return -ENOMEM;
    if (from->process_count > 0)
        memcpy(to->processes, from->processes, from->process_count * sizeof(*to->processes));
    to->process_count = from->process_count;
    for (size_t i = 0; i < from->cgroup_count && r == 0; i++) {
        to->cgroup_count++;
        to->cgroups[i].v2 = from->cgroups[i].v2;
        r = copy_text(&to->cgroups[i].controllers, from->cgroups[i].controllers);
        if (r == 0)
            r = copy_text(&to->cgroups[i].path, from->cgroups[i].path);
    }
    return r;
}

int container_copy(const struct container *from, struct container **ret)
{
    _cleanup_(container_freep) struct container *c = malloc(sizeof(*c));
    const struct {
        char **to;
        const char *from;
    } texts[] = {
        {&c->name, from->name},           {&c->id, from->id},
        {&c->image, from->image},         {&c->pod, from->pod},
        {&c->namespace, from->namespace}, {&c->pod_uid, from->pod_uid},
        {&c->cgroup, from->cgroup},
    };
    int r;

    if (!c)
        return -ENOMEM;
    *c = *from;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        *texts[i].to = NULL;
    c->cgroups = NULL;
    c->processes = NULL;
    c->cgroup_count = c->process_count = 0;
    r = copy_arrays(from, c);
    for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
        r = copy_text(texts[i].to, texts[i].from);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}
