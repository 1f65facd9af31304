/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of a capture's programs on their way to the client, while the capture runs.
 *
 * They wait in the kernel's ring for as long as the client is behind: the kernel then counts what
 * finds no room, and the agent does not grow.
 */
#include "agent/capture_inside.h"

#include <errno.h>

#define LOOK_NS (50 * NS_PER_MS)
#define ROUND_MAX 4096u      /* events taken at once: others have their turn */
#define LINES_MAX (1u << 20) /* bytes that the client has not taken: it is behind */

static int on_event(void *data, const void *event, size_t size)
{
    struct capture *c = data;

    return c->records_ops->event(c->records, event, size, &c->lines);
}

/* Returns how many there were. */
static int take_round(struct capture *c)
{
    int n = probe_take_events(c->probe, ROUND_MAX, on_event, c);

    return MAX(n, 0);
}

void capture_take_events(struct capture *c, bool last)
{
    int n;

    if (!c->records || !c->probe)
        return;
    do
        n = c->lines.size < LINES_MAX || last ? take_round(c) : 0;
    while (last && n > 0);
    if (last) {
        c->records_ops->finish(c->records, c->probe);
        capture_close_events(c);
    }
    if (n > 0)
        c->wake(c->data);
}

void capture_close_events(struct capture *c)
{
    source_free(c->ring);
    source_free(c->ring_timer);
    c->ring = c->ring_timer = NULL;
}

static void on_ring(void *data, uint32_t events)
{
    struct capture *c = data;

    (void)events;
    /* While the client is behind, the timer looks whether that has changed. */
    if (c->lines.size >= LINES_MAX)
        source_set_events(c->ring, 0);
    else
        capture_take_events(c, false);
}

static void on_look(void *data)
{
    struct capture *c = data;

    if (c->phase > PHASE_RUNNING)
        return;
    capture_take_events(c, false);
    source_set_events(c->ring, c->lines.size < LINES_MAX ? EPOLLIN : 0);
    source_arm(c->ring_timer, now_ns() + LOOK_NS);
}

int capture_open_records(struct capture *c)
{
    const struct request *rq = &c->request;
    const struct records_setup setup = {
        .target = c->target->container ? c->target->container->name : NULL,
        .events = rq->events,
        .per_process = rq->per_process,
        .per_thread = rq->per_thread,
        .started_ns = now_ns(),
        .slice_ns = rq->wait.slice_ns,
        .wait = rq->wait,
        .container_of = capture_container_by,
        .data = c,
    };
    int r;

    c->records_ops = rq->probe->records;
    r = c->records_ops->new (&setup, &c->records);
    if (r < 0 || probe_ring_fd(c->probe) < 0)
        return r;
    r = loop_add_fd(c->ctx->loop, probe_ring_fd(c->probe), EPOLLIN, on_ring, c, &c->ring);
    if (r == 0)
        r = loop_add_timer(c->ctx->loop, on_look, c, &c->ring_timer);
    if (r == 0)
        source_arm(c->ring_timer, now_ns() + LOOK_NS);
    return r;
}
