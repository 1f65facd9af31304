/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What each thread of the target does now, and since when: on a CPU, ready for one, throttled by
 * its cgroup's quota, or blocked. Every nanosecond of a thread's life within the capture goes to
 * exactly one of them.
 *
 * A thread's entry is changed by whoever switches it out or in (its run queue is locked then) and
 * by whoever wakes it (which happens once per sleep). They meet only where a thread is woken while
 * it is still being switched out: such a wait, of microseconds, may be given to half of its stack.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/who.bpf.h"

/* The capture, CLOCK_MONOTONIC: 0 before it begins; states are followed before that already. */
__u64 begin_ns = 0, end_ns = 0;
__u8 seeded = 0; /* all threads that were there at the beginning have their entry */

const volatile __u8 has_quota = 0; /* somebody's CPU quota may throttle the target */

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32); /* tid, as the host numbers it */
    __type(value, struct event_thread);
} threads SEC(".maps");

/* Sums of threads that ended, by process or thread: a key without stacks. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct event_key);
    __type(value, struct event_times);
} ended SEC(".maps");

/* Room to put a new entry together: too large for a program's stack. Who looks at all tasks can be
 * interrupted by the others, and has a room of its own. */
enum { ROOM_HOOKS, ROOM_LOOKS, ROOM_COUNT };

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, ROOM_COUNT);
    __type(key, __u32);
    __type(value, struct event_thread);
} new_thread SEC(".maps");

/* The part of [since, now) that lies in the capture. */
static __always_inline __u64 within(__u64 since, __u64 now)
{
    if (!begin_ns)
        return 0;
    if (since < begin_ns)
        since = begin_ns;
    return now > since ? now - since : 0;
}

/* For how long this queue's tasks have been throttled so far; 0 where the kernel does not tell. */
static __always_inline __u64 queue_throttled(struct cfs_rq *queue)
{
    __u64 total = 0, since = 0;

    if (!has_quota || !queue)
        return 0;
    if (!bpf_core_field_exists(queue->throttled_clock_self_time))
        return BPF_CORE_READ(queue, throttled_clock_pelt_time);
    total = BPF_CORE_READ(queue, throttled_clock_self_time);
    since = BPF_CORE_READ(queue, throttled_clock_self);
    return since ? total + BPF_CORE_READ(queue, rq, clock) - since : total;
}

/* It waits for a CPU in this queue from now on. */
static __always_inline void note_queue(struct event_thread *t, struct task_struct *task)
{
    struct cfs_rq *queue;

    if (!has_quota)
        return;
    queue = task->se.cfs_rq;
    t->queue = (__u64)queue;
    t->queue_throttled_ns = queue_throttled(queue);
}

/* How much of a wait of that length was the quota's. */
static __always_inline __u64 throttled_part(const struct event_thread *t, __u64 waited)
{
    __u64 total;

    if (!has_quota || !t->queue)
        return 0;
    total = queue_throttled((struct cfs_rq *)t->queue);
    if (total <= t->queue_throttled_ns)
        return 0;
    total -= t->queue_throttled_ns;
    return total < waited ? total : waited;
}

/* Since when a thread without an entry is in its state. Nothing was seen of it since the programs
 * were attached, so that it was in it all along; unless it came into the target only now. */
static __always_inline __u64 since_when(struct task_struct *task, __u64 now)
{
    __u64 started = task->start_time;

    return seeded && started < begin_ns ? now : started;
}

/* The thread's entry, made when it is new. NULL: no room. */
static __always_inline struct event_thread *obtain_thread(struct task_struct *task, __u32 room,
                                                          __u32 state, __u64 now)
{
    __u32 tid = task->pid, zero = 0;
    struct event_thread *t = bpf_map_lookup_elem(&threads, &tid);
    struct event_counters *c;

    if (t)
        return t;
    t = bpf_map_lookup_elem(&new_thread, &room);
    if (!t)
        return NULL;
    __builtin_memset(t, 0, sizeof(*t));
    fill_who(&t->key, task);
    t->born_ns = t->since_ns = since_when(task, now);
    t->state = state;
    bpf_map_update_elem(&threads, &tid, t, BPF_NOEXIST);
    t = bpf_map_lookup_elem(&threads, &tid);
    c = t ? NULL : bpf_map_lookup_elem(&counters, &zero);
    if (c)
        c->no_room++;
    return t;
}

/* Ends the state that it is in. Returns the nanoseconds that were spent in it. */
static __always_inline __u64 leave_state(struct event_thread *t, __u32 next, __u64 now)
{
    __u64 spent = within(t->since_ns, now), throttled;

    if (t->state == EVENT_RUNNABLE) {
        throttled = throttled_part(t, spent);
        t->times.time_ns[EVENT_THROTTLED] += throttled;
        t->times.time_ns[EVENT_RUNNABLE] += spent - throttled;
    } else {
        t->times.time_ns[t->state & 3] += spent;
    }
    t->state = next;
    t->since_ns = now;
    return spent;
}

static __always_inline void add_times(struct event_times *to, const struct event_times *from)
{
    __sync_fetch_and_add(&to->wall_ns, from->wall_ns);
    for (int i = 0; i < EVENT_STATE_COUNT; i++)
        __sync_fetch_and_add(&to->time_ns[i], from->time_ns[i]);
    __sync_fetch_and_add(&to->voluntary, from->voluntary);
    __sync_fetch_and_add(&to->involuntary, from->involuntary);
    __sync_fetch_and_add(&to->threads, 1);
}

/* The thread, or the capture, has ended. */
static __always_inline void close_times(struct event_thread *t, __u64 now)
{
    t->times.wall_ns = within(t->born_ns, now);
    t->times.threads = 1;
}

/* The thread has ended: what it did goes to its process's sum. */
static __always_inline void retire(struct task_struct *task, struct event_thread *t, __u64 now)
{
    struct event_key key = t->key;
    __u32 tid = task->pid;
    struct event_times first, *sum;

    key.user_stack = key.kernel_stack = key.waker = 0;
    key.part = EVENT_PART_ALL;
    close_times(t, now);
    first = t->times;
    sum = bpf_map_lookup_elem(&ended, &key);
    if (!sum && bpf_map_update_elem(&ended, &key, &first, BPF_NOEXIST) < 0)
        sum = bpf_map_lookup_elem(&ended, &key);
    if (sum)
        add_times(sum, &first);
    bpf_map_delete_elem(&threads, &tid);
}
