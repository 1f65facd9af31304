/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the addresses of rows to places in files, while the processes are fresh.
 */
#include "agent/profile_inside.h"

#include <errno.h>
#include <string.h>

int profile_add_locations(struct profile *p, const struct scene_where *where, uint64_t hash,
                          bool user, uint32_t *depth)
{
    const struct addresses *a = hash ? table_get(p->addresses, &hash, sizeof(hash)) : NULL;

    *depth = 0;
    if (!hash)
        return 0;
    if (!a)
        return profile_over_budget(p, EVENT_STACK_BYTES(p->setup.stack_max)) ? -ENOSPC : -ENOENT;
    for (uint32_t i = 0; i < a->depth; i++) {
        uint32_t location;
        bool leaf = i == 0;
        int r = user ? scene_locate_user(p->setup.scene, where, a->ip[i], leaf, &location)
                     : scene_locate_kernel(p->setup.scene, a->ip[i], leaf, &location);

        if (r < 0)
            return r;
        buf_add(&p->scratch, &location, sizeof(location));
    }
    *depth = a->depth;
    return 0;
}

static uint32_t flags_of(const struct profile *p, uint64_t hash)
{
    const struct addresses *a = hash ? table_get(p->addresses, &hash, sizeof(hash)) : NULL;

    return a ? a->flags : 0;
}

static struct owner owner_of(const struct profile *p, const struct event_key *key)
{
    struct owner o = {.waits = key->part > EVENT_PART_ON_CPU};

    memcpy(o.comm, key->comm, sizeof(o.comm));
    o.comm[sizeof(o.comm) - 1] = '\0';
    if (p->setup.per_process || p->setup.per_thread) {
        o.tgid = key->tgid;
        o.ns_tgid = key->ns_tgid;
    }
    if (p->setup.per_thread) {
        o.tid = key->tid;
        o.ns_tid = key->ns_tid;
    }
    if (p->setup.container_of)
        o.container = p->setup.container_of(p->setup.data, key->tgid, key->cgroup_id);
    return o;
}

static void add_located(struct profile *p, uint64_t count)
{
    uint64_t *sum = table_get(p->located, p->scratch.data, p->scratch.size);

    if (sum) {
        *sum += count;
        return;
    }
    sum = profile_over_budget(p, p->scratch.size) ? NULL : malloc(sizeof(*sum));
    if (!sum || table_put(p->located, p->scratch.data, p->scratch.size, sum) < 0) {
        free(sum);
        p->lost[PROFILE_LOST_MEMORY] += count;
        return;
    }
    *sum = count;
    p->bytes += p->scratch.size + sizeof(*sum);
}

/* The word above stacks of views that tell several things apart. */
static int label_part(struct profile *p, uint32_t part, uint32_t *ret)
{
    static const char *const words[EVENT_PART_COUNT] = {
        [EVENT_PART_ON_CPU] = "on-CPU",       [EVENT_PART_BLOCKED] = "blocked",
        [EVENT_PART_RUNNABLE] = "runnable",   [EVENT_PART_THROTTLED] = "throttled",
        [EVENT_PART_VOLUNTARY] = "voluntary", [EVENT_PART_INVOLUNTARY] = "involuntary",
        [EVENT_PART_READ] = "read",           [EVENT_PART_WRITE] = "write",
        [EVENT_PART_FLUSH] = "flush",         [EVENT_PART_DISCARD] = "discard",
        [EVENT_PART_OTHER] = "other",         [EVENT_PART_CONNECT] = "connect",
        [EVENT_PART_ACCEPT] = "accept",       [EVENT_PART_SEND] = "send",
        [EVENT_PART_RECEIVE] = "receive",     [EVENT_PART_RETRANSMIT] = "retransmit",
    };

    *ret = NO_LABEL;
    if (!p->setup.labels || part >= EVENT_PART_COUNT || !words[part])
        return 0;
    return scene_locate_label(p->setup.scene, words[part], ret);
}

/* Returns 0, or -EAGAIN when these counts had better wait. */
static int locate_portion(struct profile *p, const struct row *row, const struct portion *portion,
                          bool last)
{
    struct owner owner = owner_of(p, &row->key);
    const struct scene_where where = {.in_kernel = row->key.kernel_stack != 0,
                                      .tgid = row->key.tgid,
                                      .ns_tgid = row->key.ns_tgid,
                                      .may_wait = !last,
                                      .first_ns = portion->first_ns,
                                      .last_ns = portion->last_ns};
    int r;

    p->scratch.size = 0;
    p->scratch.failed = false;
    buf_add(&p->scratch, &owner, sizeof(owner));
    r = label_part(p, row->key.part, &owner.label);
    if (r == 0)
        r = profile_add_locations(p, &where, row->key.kernel_stack, false, &owner.kernel_depth);
    if (r == 0)
        r = profile_add_locations(p, &where, row->key.user_stack, true, &owner.user_depth);
    if (r == 0)
        r = wakers_locate(p, row, portion, !last, &owner.tail);
    if (r == -EAGAIN)
        return r;
    if (r == 0)
        r = buf_error(&p->scratch);
    owner.flags = flags_of(p, row->key.user_stack);
    if (r == 0) {
        memcpy(p->scratch.data, &owner, sizeof(owner));
        add_located(p, portion->count);
    } else {
        p->lost[r == -ENOENT ? PROFILE_LOST_STACK : PROFILE_LOST_MEMORY] += portion->count;
    }
    return 0;
}

static void locate_waiting(struct profile *p, struct row *row, bool last)
{
    const struct portion portion = {row->waiting, row->waiting_first_ns, row->waiting_last_ns};

    if (row->waiting && locate_portion(p, row, &portion, last) == 0)
        row->waiting = 0;
}

/* Counts that must wait are set aside; when others wait already, they stay where they are. */
static void locate_row(struct profile *p, struct row *row, bool last)
{
    const struct portion portion = {row->pending + row->count - row->located, row->first_ns,
                                    row->last_ns};

    if (locate_portion(p, row, &portion, last) == -EAGAIN) {
        if (row->waiting)
            return;
        row->waiting = portion.count;
        row->waiting_first_ns = portion.first_ns;
        row->waiting_last_ns = portion.last_ns;
    }
    row->pending = 0;
    row->located = row->count;
    row->located_last_ns = row->last_ns;
}

void profile_locate(struct profile *p, bool last)
{
    struct row *row;
    size_t cursor = 0;

    while ((row = table_next(p->rows, &cursor, NULL, NULL))) {
        locate_waiting(p, row, last);
        if (row->count == row->located && !row->pending)
            continue;
        if (row->key.user_stack &&
            scene_process(p->setup.scene, row->key.tgid, row->key.start_boottime_ns,
                          row->last_ns) == SCENE_PENDING &&
            !last)
            continue;
        locate_row(p, row, last);
    }
}
