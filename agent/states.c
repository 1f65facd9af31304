/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/states.h"

#include <errno.h>
#include <string.h>

#define ROWS_MAX 65536u
#define KERNEL_FRAMES_MAX 127u

struct states {
    struct profile_setup setup;
    struct table *rows;
    struct event_times total;
    uint64_t unclassed_us;
};

/* Threads go by their numbers and processes by theirs; only what has neither goes by its name. */
struct identity {
    const char *container;
    uint32_t tgid, tid;
    char comm[EVENT_COMM_SIZE];
};

int states_new(const struct profile_setup *setup, struct states **ret)
{
    struct states *s = calloc(1, sizeof(*s));

    if (!s || table_new(&s->rows, free) < 0) {
        free(s);
        return -ENOMEM;
    }
    s->setup = *setup;
    *ret = s;
    return 0;
}

void states_free(struct states *s)
{
    if (!s)
        return;
    table_free(s->rows);
    free(s);
}

/* The row of this thread, process or name; NULL when there is no memory or room. */
static struct states_row *obtain(struct states *s, const struct states_row *who)
{
    struct identity id = {.container = who->container, .tgid = who->tgid, .tid = who->tid};
    struct states_row *row;

    if (!id.tgid)
        memcpy(id.comm, who->comm, sizeof(id.comm));
    row = table_get(s->rows, &id, sizeof(id));
    if (row || table_count(s->rows) >= ROWS_MAX)
        return row;
    row = malloc(sizeof(*row));
    if (!row)
        return NULL;
    *row = *who;
    if (table_put(s->rows, &id, sizeof(id), row) < 0) {
        free(row);
        return NULL;
    }
    return row;
}

static void add(struct event_times *to, const struct event_times *from)
{
    to->wall_ns += from->wall_ns;
    for (int i = 0; i < EVENT_STATE_COUNT; i++)
        to->time_ns[i] += from->time_ns[i];
    to->voluntary += from->voluntary;
    to->involuntary += from->involuntary;
    to->threads += from->threads;
}

int states_add_times(void *data, const struct event_key *key, const struct event_times *times)
{
    struct states *s = data;
    struct states_row who = {0}, *row;

    memcpy(who.comm, key->comm, sizeof(who.comm));
    who.comm[sizeof(who.comm) - 1] = '\0';
    if (s->setup.per_process || s->setup.per_thread) {
        who.tgid = key->tgid;
        who.ns_tgid = key->ns_tgid;
    }
    if (s->setup.per_thread) {
        who.tid = key->tid;
        who.ns_tid = key->ns_tid;
    }
    if (s->setup.container_of)
        who.container = s->setup.container_of(s->setup.data, key->tgid, key->cgroup_id);
    add(&s->total, times);
    row = obtain(s, &who);
    if (row)
        add(&row->times, times);
    return 0;
}

/* The kernel's part of the stack; it stands innermost. */
static enum wait_class class_of(const struct scene *scene, const struct profile_stack *stack)
{
    const char *functions[KERNEL_FRAMES_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < stack->frame_count && count < KERNEL_FRAMES_MAX; i++) {
        const struct frame *f = scene_frame_by_id(scene, stack->frames[i]);

        if (f->source == SOURCE_KALLSYMS)
            functions[count++] = f->name;
    }
    return wait_class_of_stack(functions, count);
}

void states_add_stack(struct states *s, const struct scene *scene,
                      const struct profile_stack *stack)
{
    enum wait_class class = class_of(scene, stack);
    struct states_row who = {.container = stack->container,
                             .tgid = stack->tgid,
                             .tid = stack->tid,
                             .ns_tgid = stack->ns_tgid,
                             .ns_tid = stack->ns_tid},
                      *row;

    memcpy(who.comm, stack->comm, sizeof(who.comm));
    row = obtain(s, &who);
    if (row)
        row->blocked_us[class] += stack->value;
    if (class == WAIT_OTHER)
        s->unclassed_us += stack->value;
}

const struct event_times *states_total(const struct states *s)
{
    return &s->total;
}

uint64_t states_unclassed_us(const struct states *s)
{
    return s->unclassed_us;
}

const struct states_row *states_next(const struct states *s, size_t *cursor)
{
    return table_next(s->rows, cursor, NULL, NULL);
}
