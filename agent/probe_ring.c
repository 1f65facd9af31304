/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that a probe's programs write into a ring, taken out a few at a time, so that who reads
 * them slowly makes the kernel count losses and not the agent grow.
 */
#include "agent/probe_maps.h"

#include <errno.h>
#include <stdlib.h>

#define ENOUGH (-ECANCELED) /* stops libbpf after an event that was taken */

struct probe_ring {
    struct ring_buffer *buffer;
    probe_event_fn fn;
    void *data;
    unsigned taken, max;
    int error;
};

static int on_event(void *data, void *event, size_t size)
{
    struct probe_ring *r = data;

    r->error = r->fn(r->data, event, size);
    return r->error || ++r->taken >= r->max ? ENOUGH : 0;
}

int probe_ring_open(struct probe_maps *m, struct bpf_map *ring)
{
    struct probe_ring *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    r->buffer = ring_buffer__new(bpf_map__fd(ring), on_event, r, NULL);
    if (!r->buffer) {
        int error = errno ? -errno : -ENOMEM;

        free(r);
        return error;
    }
    m->ring = r;
    return 0;
}

void probe_ring_free(struct probe_maps *m)
{
    if (!m->ring)
        return;
    ring_buffer__free(m->ring->buffer);
    free(m->ring);
    m->ring = NULL;
}

int probe_ring_fd(const struct probe *p)
{
    return p->maps.ring ? ring_buffer__epoll_fd(p->maps.ring->buffer) : -1;
}

int probe_take_events(struct probe *p, unsigned max, probe_event_fn fn, void *data)
{
    struct probe_ring *r = p->maps.ring;
    int n;

    if (!r)
        return 0;
    r->fn = fn;
    r->data = data;
    r->taken = 0;
    r->max = max;
    r->error = 0;
    n = ring_buffer__consume(r->buffer);
    if (n < 0 && n != ENOUGH)
        return n;
    return r->error ? r->error : (int)r->taken;
}
