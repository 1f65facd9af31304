/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/block_sums.h"

#include "agent/histogram.h"
#include "base/cleanup.h"

static void add_buckets(event_u32 *to, const event_u32 *more)
{
    for (int i = 0; i < EVENT_BLOCK_BUCKETS; i++)
        to[i] += more[i];
}

void block_sums_add(struct event_block_value *to, const struct event_block_value *more)
{
    if (more->count > 0) {
        to->tgid = more->tgid;
        to->ns_tgid = more->ns_tgid;
    }
    to->count += more->count;
    to->bytes += more->bytes;
    to->errors += more->errors;
    to->queue_ns += more->queue_ns;
    to->device_ns += more->device_ns;
    to->queue_max_ns = MAX(to->queue_max_ns, more->queue_max_ns);
    to->device_max_ns = MAX(to->device_max_ns, more->device_max_ns);
    to->max_ns = MAX(to->max_ns, more->max_ns);
    add_buckets(to->queue, more->queue);
    add_buckets(to->device, more->device);
    add_buckets(to->both, more->both);
}

void block_sums_add_slice(struct event_block_slice *to, const struct event_block_slice *more)
{
    to->sum_us += more->sum_us;
    to->max_us = MAX(to->max_us, more->max_us);
    add_buckets(to->both, more->both);
}

static void count_bucket(event_u32 *buckets, event_u64 ns)
{
    buckets[MIN(histogram_bucket(ns / 1000), (uint32_t)EVENT_BLOCK_BUCKETS - 1)]++;
}

/* Flushes are issued by others: the device has them from the beginning. */
static event_u64 queue_of(const struct event_block_request *q)
{
    return q->issue_ns > q->start_ns ? q->issue_ns - q->start_ns : 0;
}

static event_u64 both_of(const struct event_block_done *done)
{
    event_u64 start = done->request.start_ns;

    return done->end_ns > start ? done->end_ns - start : 0;
}

void block_sums_count(struct event_block_value *to, const struct event_block_done *done)
{
    event_u64 both = both_of(done), queue = MIN(queue_of(&done->request), both);
    event_u64 device = both - queue;

    if (!done->end_ns)
        return;
    to->count++;
    to->queue_ns += queue;
    to->device_ns += device;
    to->queue_max_ns = MAX(to->queue_max_ns, queue);
    to->device_max_ns = MAX(to->device_max_ns, device);
    to->max_ns = MAX(to->max_ns, both);
    count_bucket(to->queue, queue);
    count_bucket(to->device, device);
    count_bucket(to->both, both);
}

void block_sums_count_slice(struct event_block_slice *to, const struct event_block_done *done)
{
    event_u64 us = both_of(done) / 1000;

    if (!done->end_ns)
        return;
    to->sum_us += us;
    to->max_us = MAX(to->max_us, us);
    count_bucket(to->both, both_of(done));
}
