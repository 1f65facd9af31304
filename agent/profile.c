/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/profile.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

#define PLUMBING_MAX 8u

/* Addresses of one stack, kept from its first row on: the kernel may forget it, rows may wait. */
struct addresses {
    uint32_t depth, flags; /* enum event_stack_flags */
    uint64_t ip[];
};

/* A row and how much of its count has been located. */
struct row {
    struct event_key key;
    uint64_t first_ns, last_ns; /* of the counts not located yet */
    uint64_t count, located;    /* since the kernel's last forgetting */
    uint64_t pending;           /* counts from before it */
    uint64_t located_last_ns;
};

/* Who a stack belongs to, as far as the client wants to know; followed by location ids, innermost
 * first: the user's part last. A key of the table of located stacks. */
struct owner {
    uint32_t tgid, tid, ns_tgid, ns_tid;
    uint32_t user_depth, kernel_depth;
    uint64_t flags; /* of the user's part */
    const char *container;
    char comm[EVENT_COMM_SIZE];
};

struct profile {
    struct profile_setup setup;
    struct table *rows;      /* event_key -> row */
    struct table *addresses; /* hash -> addresses */
    struct table *located;   /* owner + locations -> count */
    struct table *stacks;    /* the result */
    struct buf scratch;
    uint64_t shown, lost[PROFILE_LOST_COUNT];
    size_t bytes;
};

int profile_new(const struct profile_setup *setup, struct profile **ret)
{
    _cleanup_(profile_freep) struct profile *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->setup = *setup;
    if (table_new(&p->rows, free) < 0 || table_new(&p->addresses, free) < 0 ||
        table_new(&p->located, free) < 0 || table_new(&p->stacks, free) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(p);
    return 0;
}

void profile_free(struct profile *p)
{
    if (!p)
        return;
    table_free(p->rows);
    table_free(p->addresses);
    table_free(p->located);
    table_free(p->stacks);
    buf_free(&p->scratch);
    free(p);
}

static bool over_budget(const struct profile *p, size_t more)
{
    return p->bytes + more > p->setup.memory_max;
}

/* ---- rows in ---- */

static int keep_addresses(struct profile *p, struct probe *probe, uint64_t hash)
{
    struct event_stack stack;
    struct addresses *a;
    size_t size;

    if (hash == 0 || table_get(p->addresses, &hash, sizeof(hash)))
        return 0;
    if (over_budget(p, sizeof(stack)))
        return -ENOSPC;
    if (!probe_stack(probe, hash, &stack))
        return -ENOENT;
    size = sizeof(*a) + stack.depth * sizeof(a->ip[0]);
    a = malloc(size);
    if (!a)
        return -ENOSPC;
    a->depth = stack.depth;
    a->flags = stack.flags;
    memcpy(a->ip, stack.ip, stack.depth * sizeof(a->ip[0]));
    if (table_put(p->addresses, &hash, sizeof(hash), a) < 0) {
        free(a);
        return -ENOSPC;
    }
    p->bytes += size;
    return 0;
}

static struct row *obtain_row(struct profile *p, const struct event_key *key)
{
    struct row *row = table_get(p->rows, key, sizeof(*key));

    if (row || over_budget(p, sizeof(*row)))
        return row;
    row = calloc(1, sizeof(*row));
    if (!row)
        return NULL;
    row->key = *key;
    if (table_put(p->rows, key, sizeof(*key), row) < 0) {
        free(row);
        return NULL;
    }
    p->bytes += sizeof(*row) + sizeof(*key);
    return row;
}

int profile_row(struct profile *p, struct probe *probe, const struct event_key *key,
                const struct event_value *value)
{
    struct row *row = obtain_row(p, key);

    if (!row)
        return 0; /* what is missing at the end is counted there, as memory */
    keep_addresses(p, probe, key->user_stack);
    keep_addresses(p, probe, key->kernel_stack);
    if (row->count == row->located && row->pending == 0)
        row->first_ns = row->located_last_ns ? row->located_last_ns : value->first_ns;
    if (value->count > row->count)
        row->count = value->count;
    row->last_ns = MAX(value->last_ns, row->first_ns);
    return 0;
}

/* Stacks that no waiting row needs come anew from the kernel when they are sampled again. */
static void forget_addresses(struct profile *p)
{
    const struct addresses *a;
    struct table *fresh;
    size_t cursor = 0;

    if (table_count(p->rows) || table_new(&fresh, free) < 0)
        return;
    while ((a = table_next(p->addresses, &cursor, NULL, NULL)))
        p->bytes -= sizeof(*a) + a->depth * sizeof(a->ip[0]);
    table_free(p->addresses);
    p->addresses = fresh;
}

void profile_rows_forgotten(struct profile *p)
{
    const void *key;
    struct row *row;
    size_t cursor = 0, key_size;

    while ((row = table_next(p->rows, &cursor, &key, &key_size))) {
        row->pending += row->count - row->located;
        row->count = row->located = 0;
        if (row->pending)
            continue;
        p->bytes -= sizeof(*row) + sizeof(row->key);
        table_remove(p->rows, key, key_size);
    }
    forget_addresses(p);
}

/* ---- locating ---- */

static int add_locations(struct profile *p, const struct row *row, uint64_t hash, bool user,
                         uint32_t *depth)
{
    const struct addresses *a = hash ? table_get(p->addresses, &hash, sizeof(hash)) : NULL;
    struct scene_where where = {.in_kernel = row->key.kernel_stack != 0,
                                .tgid = row->key.tgid,
                                .ns_tgid = row->key.ns_tgid,
                                .first_ns = row->first_ns,
                                .last_ns = row->last_ns};

    *depth = 0;
    if (!hash)
        return 0;
    if (!a)
        return over_budget(p, sizeof(struct event_stack)) ? -ENOSPC : -ENOENT;
    for (uint32_t i = 0; i < a->depth; i++) {
        uint32_t location;
        bool leaf = i == 0;
        int r = user ? scene_locate_user(p->setup.scene, &where, a->ip[i], leaf, &location)
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
    struct owner o = {0};

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
    sum = over_budget(p, p->scratch.size) ? NULL : malloc(sizeof(*sum));
    if (!sum || table_put(p->located, p->scratch.data, p->scratch.size, sum) < 0) {
        free(sum);
        p->lost[PROFILE_LOST_MEMORY] += count;
        return;
    }
    *sum = count;
    p->bytes += p->scratch.size + sizeof(*sum);
}

static void locate_row(struct profile *p, struct row *row)
{
    uint64_t count = row->pending + row->count - row->located;
    struct owner owner = owner_of(p, &row->key);
    int r;

    p->scratch.size = 0;
    p->scratch.failed = false;
    buf_add(&p->scratch, &owner, sizeof(owner));
    r = add_locations(p, row, row->key.kernel_stack, false, &owner.kernel_depth);
    if (r == 0)
        r = add_locations(p, row, row->key.user_stack, true, &owner.user_depth);
    if (r == 0)
        r = buf_error(&p->scratch);
    owner.flags = flags_of(p, row->key.user_stack);
    if (r == 0) {
        memcpy(p->scratch.data, &owner, sizeof(owner));
        add_located(p, count);
    } else {
        p->lost[r == -ENOENT ? PROFILE_LOST_STACK : PROFILE_LOST_MEMORY] += count;
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
        if (row->count == row->located && !row->pending)
            continue;
        if (row->key.user_stack &&
            scene_process(p->setup.scene, row->key.tgid, row->key.start_boottime_ns,
                          row->last_ns) == SCENE_PENDING &&
            !last)
            continue;
        locate_row(p, row);
    }
}

/* ---- the result ---- */

static enum profile_shape shape_of(const struct owner *o, const struct frame *outermost)
{
    /* A walk by frame pointers can step over callers: where tables are to be had, only they tell.
     */
    if ((o->flags & EVENT_STACK_WHOLE) ||
        (!(o->flags & EVENT_STACK_NO_TABLE) && outermost && outermost->starts_thread))
        return SHAPE_WHOLE;
    if (o->user_depth >= EVENT_STACK_MAX || o->kernel_depth >= EVENT_STACK_MAX)
        return SHAPE_TRUNCATED;
    return SHAPE_BROKEN;
}

/* How many frames of the stack are real. libc is mostly built without frame pointers, so that a
 * walk goes on past its start routine into whatever that left in the register. */
static uint32_t real_depth(const struct profile *p, const struct owner *o,
                           const uint32_t *locations)
{
    uint32_t depth = o->user_depth + o->kernel_depth;
    bool started = false;

    if (o->flags & EVENT_STACK_TABLES)
        return depth;

    for (uint32_t i = o->kernel_depth; i < depth; i++) {
        const struct frame *f = scene_frame(p->setup.scene, locations[i]);

        if (started && !(f && f->starts_thread))
            return i;
        started = f && f->starts_thread;
    }
    return depth;
}

/* How many of the innermost frames are the kernel's tracing. */
static uint32_t plumbing_depth(const struct profile *p, const struct owner *o,
                               const uint32_t *locations)
{
    uint32_t depth = 0;

    for (uint32_t i = 0; i < MIN(o->kernel_depth, PLUMBING_MAX); i++) {
        const struct frame *f = scene_frame(p->setup.scene, locations[i]);

        if (f && f->plumbing)
            depth = i + 1;
    }
    return depth;
}

/* One located stack as frames, outermost first, in scratch: a struct profile_stack. */
static int to_frames(struct profile *p, const struct owner *o, const uint32_t *locations)
{
    uint32_t depth = real_depth(p, o, locations), skip = plumbing_depth(p, o, locations);
    struct profile_stack head = {
        .comm = NULL,
        .container = o->container,
        .tgid = o->tgid,
        .tid = o->tid,
        .ns_tgid = o->ns_tgid,
        .ns_tid = o->ns_tid,
        .by_tables = !!(o->flags & EVENT_STACK_TABLES),
        .frame_count = depth - skip,
    };

    p->scratch.size = 0;
    head.shape = shape_of(o, depth ? scene_frame(p->setup.scene, locations[depth - 1]) : NULL);
    buf_add(&p->scratch, &head, sizeof(head));
    for (uint32_t i = depth; i > skip; i--) {
        const struct frame *f = scene_frame(p->setup.scene, locations[i - 1]);
        uint32_t id = f ? f->id : UINT32_MAX;

        if (!f)
            return -ENOMEM;
        buf_add(&p->scratch, &id, sizeof(id));
    }
    /* The comm is part of the key, and the stack points to it behind its frames. */
    buf_add(&p->scratch, o->comm, sizeof(o->comm));
    return buf_error(&p->scratch);
}

static void add_stack(struct profile *p, uint64_t count)
{
    struct profile_stack *s = table_get(p->stacks, p->scratch.data, p->scratch.size);

    if (!s) {
        s = malloc(p->scratch.size);
        if (!s || table_put(p->stacks, p->scratch.data, p->scratch.size, s) < 0) {
            free(s);
            p->lost[PROFILE_LOST_MEMORY] += count;
            return;
        }
        memcpy(s, p->scratch.data, p->scratch.size);
        s->comm = (const char *)&s->frames[s->frame_count];
    }
    s->value += count;
    p->shown += count;
}

int profile_finish(struct profile *p)
{
    const void *key;
    const uint64_t *count;
    size_t cursor = 0;

    while ((count = table_next(p->located, &cursor, &key, NULL))) {
        struct owner o;
        const uint32_t *locations = (const void *)((const char *)key + sizeof(o));

        memcpy(&o, key, sizeof(o));
        if (to_frames(p, &o, locations) < 0) {
            p->lost[PROFILE_LOST_MEMORY] += *count;
            p->scratch.failed = false;
            continue;
        }
        add_stack(p, *count);
    }
    return 0;
}

const struct profile_stack *profile_next(const struct profile *p, size_t *cursor)
{
    return table_next(p->stacks, cursor, NULL, NULL);
}

uint64_t profile_shown(const struct profile *p)
{
    return p->shown;
}

uint64_t profile_lost(const struct profile *p, enum profile_lost cause)
{
    return p->lost[cause];
}

size_t profile_bytes(const struct profile *p)
{
    return p->bytes;
}
