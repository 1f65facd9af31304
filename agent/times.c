/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/times.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#define BATCH 128u

/* Reads a hash by batches. Nothing changes it any more, or it does not matter. */
static int for_each(int fd, size_t key_size, size_t value_size,
                    int (*fn)(void *data, const void *key, const void *value), void *data)
{
    _cleanup_free_ char *keys = calloc(BATCH, key_size), *values = calloc(BATCH, value_size);
    uint32_t in = 0, out = 0;
    bool first = true;
    int r = keys && values ? 0 : -ENOMEM;

    while (r == 0) {
        uint32_t n = BATCH;
        int stop = 0;

        r = bpf_map_lookup_batch(fd, first ? NULL : &in, &out, keys, values, &n, NULL);
        if (r < 0 && r != -ENOENT)
            return r;
        for (uint32_t i = 0; i < n && !stop; i++)
            stop = fn(data, keys + i * key_size, values + i * value_size);
        if (stop)
            return stop;
        in = out;
        first = false;
    }
    return r == -ENOENT ? 0 : r;
}

struct reading {
    const struct times_source *source;
    probe_times_fn fn;
    void *data;
};

static uint64_t within(const struct times_source *s, uint64_t since)
{
    since = MAX(since, s->begin_ns);
    return s->end_ns > since ? s->end_ns - since : 0;
}

/* A thread that was about to be gone when the program looked at all of them: what it did last is
 * added here. */
static void settle(const struct times_source *s, const struct event_thread *t,
                   struct event_times *times)
{
    if (times->threads)
        return;
    times->threads = 1;
    times->wall_ns = within(s, t->born_ns);
    times->time_ns[t->state % EVENT_STATE_COUNT] += within(s, t->since_ns);
}

static int on_thread(void *data, const void *key, const void *value)
{
    const struct reading *r = data;
    const struct event_thread *t = value;
    struct event_times times = t->times;
    struct event_key who = t->key;

    (void)key;
    settle(r->source, t, &times);
    who.user_stack = who.kernel_stack = who.waker = 0;
    who.part = EVENT_PART_ALL;
    return r->fn(r->data, &who, &times);
}

static int on_ended(void *data, const void *key, const void *value)
{
    const struct reading *r = data;

    return r->fn(r->data, key, value);
}

int times_read(const struct times_source *source, probe_times_fn fn, void *data)
{
    struct reading reading = {source, fn, data};
    int r;

    r = for_each(source->threads_fd, sizeof(uint32_t), sizeof(struct event_thread), on_thread,
                 &reading);
    if (r == 0)
        r = for_each(source->ended_fd, sizeof(struct event_key), sizeof(struct event_times),
                     on_ended, &reading);
    return r;
}

struct cell_reading {
    probe_cell_fn fn;
    void *data;
};

static int on_cell(void *data, const void *key, const void *value)
{
    const struct cell_reading *r = data;

    return r->fn(r->data, key, value);
}

int cells_read(int cells_fd, probe_cell_fn fn, void *data)
{
    struct cell_reading reading = {fn, data};

    return for_each(cells_fd, sizeof(struct event_cell), sizeof(struct event_value), on_cell,
                    &reading);
}
