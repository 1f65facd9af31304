/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/latency.h"

#include "base/table.h"

#include <errno.h>
#include <stdlib.h>

#define SLICES_MAX 4096u

struct latency {
    struct histogram total[LATENCY_PART_COUNT];
    struct table *parts; /* struct place -> struct histogram */
    uint32_t slices;
};

/* slice 0: of a thread. */
struct place {
    uint32_t tid, slice, part;
};

int latency_new(struct latency **ret)
{
    struct latency *l = calloc(1, sizeof(*l));

    if (!l || table_new(&l->parts, free) < 0) {
        free(l);
        return -ENOMEM;
    }
    *ret = l;
    return 0;
}

void latency_free(struct latency *l)
{
    if (!l)
        return;
    table_free(l->parts);
    free(l);
}

static struct histogram *obtain(struct latency *l, const struct place *at)
{
    struct histogram *h = table_get(l->parts, at, sizeof(*at));

    if (h)
        return h;
    h = calloc(1, sizeof(*h));
    if (h && table_put(l->parts, at, sizeof(*at), h) < 0) {
        free(h);
        return NULL;
    }
    return h;
}

int latency_add_cell(void *data, const struct event_cell *cell, const struct event_value *value)
{
    struct latency *l = data;
    bool throttled = cell->part == EVENT_PART_THROTTLED;
    struct place at = {.tid = cell->tid,
                       .slice = MIN(cell->slice, SLICES_MAX),
                       .part = throttled ? LATENCY_THROTTLED : LATENCY_RUNNABLE};
    struct histogram *h = obtain(l, &at);

    if (!h)
        return -ENOMEM;
    histogram_add(h, cell->bucket, value->count, value->first_ns, value->last_ns);
    if (at.slice) {
        l->slices = MAX(l->slices, at.slice);
        histogram_add(&l->total[at.part], cell->bucket, value->count, value->first_ns,
                      value->last_ns);
    }
    return 0;
}

const struct histogram *latency_total(const struct latency *l, enum latency_part part)
{
    return &l->total[part];
}

const struct histogram *latency_of_thread(const struct latency *l, uint32_t tid,
                                          enum latency_part part)
{
    struct place at = {.tid = tid, .part = part};

    return table_get(l->parts, &at, sizeof(at));
}

const struct histogram *latency_of_slice(const struct latency *l, uint32_t n,
                                         enum latency_part part)
{
    struct place at = {.slice = n + 1, .part = part};

    return table_get(l->parts, &at, sizeof(at));
}

uint32_t latency_slices(const struct latency *l)
{
    return l->slices;
}
