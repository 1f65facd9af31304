/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/profile.h"

#include "agent/profile_inside.h"

#include <errno.h>
#include <string.h>

int profile_new(const struct profile_setup *setup, struct profile **ret)
{
    _cleanup_(profile_freep) struct profile *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->setup = *setup;
    p->stack = malloc(EVENT_STACK_BYTES(setup->stack_max));
    if (!p->stack)
        return -ENOMEM;
    if (table_new(&p->rows, free) < 0 || table_new(&p->addresses, free) < 0 ||
        table_new(&p->located, free) < 0 || table_new(&p->stacks, free) < 0 ||
        table_new(&p->wakers, free) < 0)
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
    table_free(p->wakers);
    buf_free(&p->scratch);
    free(p->stack);
    free(p);
}

bool profile_over_budget(const struct profile *p, size_t more)
{
    return p->bytes + more > p->setup.memory_max;
}

/* ---- rows in ---- */

int profile_keep_addresses(struct profile *p, struct probe *probe, uint64_t hash)
{
    struct event_stack *stack = p->stack;
    struct addresses *a;
    size_t size;

    if (hash == 0 || table_get(p->addresses, &hash, sizeof(hash)))
        return 0;
    if (profile_over_budget(p, EVENT_STACK_BYTES(p->setup.stack_max)))
        return -ENOSPC;
    if (!probe_stack(probe, hash, stack))
        return -ENOENT;
    size = sizeof(*a) + stack->depth * sizeof(a->ip[0]);
    a = malloc(size);
    if (!a)
        return -ENOSPC;
    a->depth = stack->depth;
    a->flags = stack->flags;
    memcpy(a->ip, stack->ip, stack->depth * sizeof(a->ip[0]));
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

    if (row || profile_over_budget(p, sizeof(*row)))
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

void profile_draining(struct profile *p, uint64_t time_ns)
{
    p->drain_ns = time_ns;
}

int profile_row(struct profile *p, struct probe *probe, const struct event_key *key,
                const struct event_value *value)
{
    struct row *row = obtain_row(p, key);

    if (!row)
        return 0; /* what is missing at the end is counted there, as memory */
    profile_keep_addresses(p, probe, key->user_stack);
    profile_keep_addresses(p, probe, key->kernel_stack);
    wakers_keep(p, probe, key->waker);
    if (row->count == row->located && row->pending == 0)
        row->first_ns = MAX(value->first_ns, MAX(row->located_last_ns, row->read_ns));
    row->read_ns = p->drain_ns;
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
        if (row->pending || row->waiting)
            continue;
        p->bytes -= sizeof(*row) + sizeof(row->key);
        table_remove(p->rows, key, key_size);
    }
    forget_addresses(p);
}

const struct profile_setup *profile_get_setup(const struct profile *p)
{
    return &p->setup;
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
