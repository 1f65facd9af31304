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

/* Rows are numbered from 1 on. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct event_block_key);
    __type(value, __u32);
} block_rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_block_value);
} block_sums SEC(".maps");

/* Most requests are in one of the first rows. Of these each CPU has sums of its own, besides: where
 * nobody else adds, that need not be done atomically. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_block_value);
} block_own_sums SEC(".maps");

__u32 row_count = 0;

/* Who asks asks again as a rule, and for the same: neither its number nor the row need be looked up
 * then. */
struct last_asked {
    struct event_block_key key;
    __u32 row; /* 0: none */
    __u32 tgid, ns_tgid;
    __u32 padding;
    __u64 task;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct last_asked);
} last_asked SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_block_slice);
} slices SEC(".maps");

/* Each CPU's, as its sums are. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_block_slice);
} own_slices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

static __always_inline struct event_counters *my_counters(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void lose(int lost)
{
    struct event_counters *c = my_counters();

    if (c && lost > 0 && lost <= EVENT_LOST_COUNT)
        __sync_fetch_and_add(&c->lost[lost - 1], 1);
}

/* BPF divides by dividing. What is below 2^32 is as exact this way: 2^41 / 1000, rounded up. */
static __always_inline __u64 to_us(__u64 ns)
{
    return ns >> 32 ? ns / 1000 : ns * 2199023256 >> 41;
}

/* Something of this CPU's own. False: this has interrupted the CPU while it was adding to it. */
static __always_inline int claim(__u32 *busy)
{
    if (*busy)
        return 0;
    *busy = 1;
    barrier();
    return 1;
}

static __always_inline void release(__u32 *busy)
{
    barrier();
    *busy = 0;
}

/* own: nobody else adds to it. */
#define ADD(to, n, own)                      \
    do {                                     \
        if (own)                             \
            *(to) += (n);                    \
        else                                 \
            __sync_fetch_and_add((to), (n)); \
    } while (0)

static __always_inline void count_bucket(__u32 *buckets, __u64 bucket, int own)
{
    if (bucket >= EVENT_BLOCK_BUCKETS)
        bucket = EVENT_BLOCK_BUCKETS - 1;
    asm volatile("" : "+r"(bucket)); /* or the verifier does not see that it is bounded */
    bucket &= EVENT_BLOCK_BUCKETS - 1;
    ADD(&buckets[bucket], 1, own);
}

/* What a request took, by parts. */
struct took {
    __u64 queue, device; /* ns */
    __u64 us;            /* both together */
    __u32 bucket;        /* of that */
};

static __always_inline void add_to_slice(struct event_block_slice *slice, const struct took *took,
                                         int own)
{
    ADD(&slice->sum_us, took->us, own);
    if (took->us > slice->max_us)
        slice->max_us = took->us;
    count_bucket(slice->both, took->bucket, own);
}

static __noinline void count_shared_slice(__u32 n, const struct took *took)
{
    struct event_block_slice *slice = bpf_map_lookup_elem(&slices, &n);

    if (slice)
        add_to_slice(slice, took, 0);
}

static __always_inline void count_slice(const struct took *took, __u64 now)
{
    __u64 at = (now - begin_ns) / slice_ns;
    __u32 n = at < EVENT_BLOCK_SLICES ? at : EVENT_BLOCK_SLICES - 1;
    struct event_block_slice *slice = bpf_map_lookup_elem(&own_slices, &n);

    if (!slice || !claim(&slice->busy)) {
        count_shared_slice(n, took);
        return;
    }
    add_to_slice(slice, took, 1);
    release(&slice->busy);
}

static __always_inline int same_key(const struct event_block_key *a,
                                    const struct event_block_key *b)
{
    const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

    _Static_assert(sizeof(*a) == 8 * sizeof(*x), "eight words");
    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4] &&
           x[5] == y[5] && x[6] == y[6] && x[7] == y[7];
}

/* 0: there is no room for another row. When two begin the same one, a number stays unused. */
static __always_inline __u32 row_number(const struct event_block_key *key)
{
    __u32 *known = bpf_map_lookup_elem(&block_rows, key), number;

    if (known)
        return *known;
    if (row_count >= EVENT_BLOCK_ROWS)
        return 0;
    number = __sync_fetch_and_add(&row_count, 1) + 1;
    bpf_map_update_elem(&block_rows, key, &number, BPF_NOEXIST);
    known = bpf_map_lookup_elem(&block_rows, key);
    return known ? *known : 0;
}

static __always_inline void make_key(const struct event_block_request *r, __u32 i,
                                     struct event_block_key *key)
{
    const struct event_block_share *share = &r->share[i & (EVENT_BLOCK_SHARES - 1)];

    *key = (struct event_block_key){
        .owner = share->owner,
        .cgroup_id = r->cgroup_id,
        .tgid = per_process ? r->tgid : 0,
        .ns_tgid = per_process ? r->ns_tgid : 0,
        .owner_kind = share->owner_kind,
        .charged = share->charged,
        .op = r->op,
        .asker = r->asker,
    };
    __builtin_memcpy(key->comm, r->comm, sizeof(key->comm));
    __builtin_memcpy(key->device, r->device, sizeof(key->device));
}

/* The row of a request that begins, so that its end need not look for it. Nobody else may do that
 * on this CPU at the same time, or what is kept of the last one might be half another's. */
static __always_inline void choose_row(struct event_block_request *r, struct last_asked *last)
{
    struct event_block_key key;

    make_key(r, 0, &key);
    if (!last->row || !same_key(&last->key, &key)) {
        last->row = row_number(&key);
        last->key = key;
    }
    r->row = last->row;
}

/* The bytes count for each owner. Returns its row, or NULL where there is no room for one. */
static __always_inline struct event_block_value *count_share(const struct event_block_request *r,
                                                             __u32 i)
{
    __u32 number = i ? 0 : r->row, bytes = r->bytes;
    struct event_block_value *value;
    struct event_block_key key;

    if (!number) {
        make_key(r, i, &key);
        number = row_number(&key);
        bytes = r->share[i & (EVENT_BLOCK_SHARES - 1)].bytes;
    }
    value = number ? bpf_map_lookup_elem(&block_sums, &number) : NULL;
    if (!value)
        return NULL;
    __sync_fetch_and_add(&value->bytes, bytes);
    value->tgid = r->tgid;
    value->ns_tgid = r->ns_tgid;
    return value;
}

/* The request itself counts for its first owner. */
static __always_inline void count_request(const struct event_block_request *r,
                                          struct event_block_value *value, const struct took *took,
                                          int own)
{
    __u64 queue = took->queue, device = took->device;

    ADD(&value->count, 1, own);
    if (r->error)
        ADD(&value->errors, 1, own);
    ADD(&value->queue_ns, queue, own);
    ADD(&value->device_ns, device, own);
    if (queue > value->queue_max_ns)
        value->queue_max_ns = queue;
    if (device > value->device_max_ns)
        value->device_max_ns = device;
    if (queue + device > value->max_ns)
        value->max_ns = queue + device;
    count_bucket(value->queue, histogram_bucket(to_us(queue)), own);
    count_bucket(value->device, histogram_bucket(to_us(device)), own);
    count_bucket(value->both, took->bucket, own);
}

/* Among everybody's sums. now 0: nobody knows when it ended. */
static __noinline void count_shared(const struct event_block_request *r, __u64 now,
                                    const struct took *took)
{
    struct event_block_value *value = count_share(r, 0);

    if (!value)
        lose(1 + EVENT_LOST_KEYS_FULL);
    else if (now)
        count_request(r, value, took, 0);
    else
        __sync_fetch_and_add(&value->count, 1);
}

static __noinline void count_other_shares(const struct event_block_request *r)
{
    for (__u32 i = 1; i < EVENT_BLOCK_SHARES && i < r->shares; i++)
        count_share(r, i);
}

/* Among this CPU's own sums. False: its row is none of the first, or they are being added to. */
static __always_inline int count_own(const struct event_block_request *r, const struct took *took)
{
    __u32 number = r->row;
    struct event_block_value *value = number ? bpf_map_lookup_elem(&block_own_sums, &number) : NULL;

    if (!value || !claim(&value->busy))
        return 0;
    value->bytes += r->bytes;
    value->tgid = r->tgid;
    value->ns_tgid = r->ns_tgid;
    count_request(r, value, took, 1);
    release(&value->busy);
    return 1;
}

static __always_inline void count_rows(const struct event_block_request *r, __u64 now)
{
    struct took took = {};

    if (now) {
        took.queue = r->issue_ns ? r->issue_ns - r->start_ns : 0; /* flushes are issued by others */
        took.device = now - r->start_ns - took.queue;
        took.us = to_us(now - r->start_ns);
        took.bucket = histogram_bucket(took.us);
    }
    if (!now || !count_own(r, &took))
        count_shared(r, now, &took);
    if (r->shares > 1)
        count_other_shares(r);
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
    __u64 us = now ? to_us(now - r->start_ns) : 0;
    __u64 amount = weight == 0 ? 1 : weight == 1 ? event_block_bytes(r) : us;
    int lost = r->lost ? (int)r->lost : row_add(&r->who, amount, now ? now : r->start_ns);
    struct event_counters *c = my_counters();

    /* What is taken is what is shown: requests, bytes or microseconds. */
    if (!c)
        return;
    __sync_fetch_and_add(&c->taken, amount);
    if (lost > 0 && lost <= EVENT_LOST_COUNT)
        __sync_fetch_and_add(&c->lost[lost - 1], amount);
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
