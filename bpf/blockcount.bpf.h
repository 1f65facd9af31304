/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What becomes of a request that has ended: sums in a row, a slice of time, an event in the ring,
 * or an amount on a stack.
 */
#pragma once

#include "bpf/event_block.h"
#include "bpf/histogram.bpf.h"
#include "bpf/maps.bpf.h"

const volatile __u32 yields = BLOCK_ROWS;
const volatile __u8 per_process = 0;
const volatile __u32 weight = 0; /* of stacks: enum probe_weight */
const volatile __u64 slice_ns = 1000000000;

__u64 begin_ns = 0; /* of the capture; 0: it has not begun */

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct event_block_key);
    __type(value, struct event_block_value);
} block_rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_block_slice);
} slices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

/* What rows begin as: too large for the stack. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_block_value);
} no_sums SEC(".maps");

static __always_inline struct event_counters *my_counters(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void lose(int lost)
{
    struct event_counters *c = my_counters();

    if (c && lost > 0 && lost <= EVENT_LOST_COUNT)
        c->lost[lost - 1]++;
}

/* Global, so that the verifier follows its branches once and not once for each histogram. */
__noinline __u32 bucket_of(__u64 us)
{
    return histogram_bucket(us);
}

static __always_inline void count_bucket(__u32 *buckets, __u64 bucket)
{
    if (bucket >= EVENT_BLOCK_BUCKETS)
        bucket = EVENT_BLOCK_BUCKETS - 1;
    asm volatile("" : "+r"(bucket)); /* or the verifier does not see that it is bounded */
    bucket &= EVENT_BLOCK_BUCKETS - 1;
    __sync_fetch_and_add(&buckets[bucket], 1);
}

/* What a request took, by parts. */
struct took {
    __u64 queue, device; /* ns */
    __u32 bucket;        /* of both together */
};

static __always_inline void count_slice(const struct took *took, __u64 now)
{
    __u64 us = (took->queue + took->device) / 1000;
    __u32 n = (now - begin_ns) / slice_ns;
    struct event_block_slice *slice = bpf_map_lookup_elem(&slices, &n);

    if (!slice)
        return;
    __sync_fetch_and_add(&slice->sum_us, us);
    if (us > slice->max_us)
        slice->max_us = us;
    count_bucket(slice->both, took->bucket);
}

static __always_inline struct event_block_value *obtain_row(const struct event_block_key *key)
{
    struct event_block_value *value = bpf_map_lookup_elem(&block_rows, key), *none;
    __u32 zero = 0;

    if (value)
        return value;
    none = bpf_map_lookup_elem(&no_sums, &zero);
    if (none)
        bpf_map_update_elem(&block_rows, key, none, BPF_NOEXIST);
    return bpf_map_lookup_elem(&block_rows, key);
}

/* The bytes count for each owner. Returns its row, or NULL where there is no room for one. */
static __always_inline struct event_block_value *count_share(const struct event_block_request *r,
                                                             __u32 i)
{
    const struct event_block_share *share = &r->share[i & (EVENT_BLOCK_SHARES - 1)];
    struct event_block_key key = {
        .owner = share->owner,
        .cgroup_id = r->cgroup_id,
        .tgid = per_process ? r->tgid : 0,
        .ns_tgid = per_process ? r->ns_tgid : 0,
        .owner_kind = share->owner_kind,
        .charged = share->charged,
        .op = r->op,
        .kernel = r->kernel,
    };
    struct event_block_value *value;

    __builtin_memcpy(key.comm, r->comm, sizeof(key.comm));
    __builtin_memcpy(key.device, r->device, sizeof(key.device));
    value = obtain_row(&key);
    if (!value)
        return NULL;
    __sync_fetch_and_add(&value->bytes, share->bytes);
    value->tgid = r->tgid;
    value->ns_tgid = r->ns_tgid;
    return value;
}

/* The request itself counts for its first owner. */
static __always_inline void count_request(const struct event_block_request *r,
                                          struct event_block_value *value, const struct took *took)
{
    __u64 queue = took->queue, device = took->device;

    __sync_fetch_and_add(&value->count, 1);
    if (r->error)
        __sync_fetch_and_add(&value->errors, 1);
    __sync_fetch_and_add(&value->queue_ns, queue);
    __sync_fetch_and_add(&value->device_ns, device);
    if (queue > value->queue_max_ns)
        value->queue_max_ns = queue;
    if (device > value->device_max_ns)
        value->device_max_ns = device;
    if (queue + device > value->max_ns)
        value->max_ns = queue + device;
    count_bucket(value->queue, bucket_of(queue / 1000));
    count_bucket(value->device, bucket_of(device / 1000));
    count_bucket(value->both, took->bucket);
}

/* now 0: nobody knows when it ended. */
static __always_inline void count_rows(const struct event_block_request *r, __u64 now)
{
    struct event_block_value *value = count_share(r, 0);
    struct took took = {};

    if (now) {
        took.queue = r->issue_ns ? r->issue_ns - r->start_ns : 0; /* flushes are issued by others */
        took.device = now - r->start_ns - took.queue;
        took.bucket = bucket_of((now - r->start_ns) / 1000);
    }
    if (!value)
        lose(1 + EVENT_LOST_KEYS_FULL);
    else if (now)
        count_request(r, value, &took);
    else
        __sync_fetch_and_add(&value->count, 1);
    for (__u32 i = 1; i < EVENT_BLOCK_SHARES && i < r->shares; i++)
        count_share(r, i);
    if (now)
        count_slice(&took, now);
}

/* Woken only when much waits: the agent looks by itself now and then. */
static __always_inline void tell(const struct event_block_request *r, __u64 now)
{
    struct event_block_done *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
    __u64 waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);

    if (!event) {
        lose(1 + EVENT_LOST_RING_FULL);
        return;
    }
    event->end_ns = now;
    event->request = *r;
    bpf_ringbuf_submit(event, waiting > bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) / 4
                                  ? BPF_RB_FORCE_WAKEUP
                                  : BPF_RB_NO_WAKEUP);
}

static __always_inline void count_stack(const struct event_block_request *r, __u64 now)
{
    __u64 us = now ? (now - r->start_ns) / 1000 : 0;
    __u64 amount = weight == 0 ? 1 : weight == 1 ? r->bytes : us;
    int lost = row_add(&r->who, amount, now);
    struct event_counters *c = my_counters();

    /* What is taken is what is shown: requests, bytes or microseconds. */
    if (!c)
        return;
    c->taken += amount;
    if (lost > 0 && lost <= EVENT_LOST_COUNT)
        c->lost[lost - 1] += amount;
}

static __always_inline void count(const struct event_block_request *r, __u64 now)
{
    if (yields == BLOCK_ROWS)
        count_rows(r, now);
    else if (yields == BLOCK_EVENTS)
        tell(r, now);
    else
        count_stack(r, now);
}
