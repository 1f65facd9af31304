/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What of a thread's time becomes a row: which waits were asked for, and by how much they count.
 */
#pragma once

#include "bpf/thin.bpf.h"

const volatile __u32 view = EVENT_VIEW_OFFCPU; /* enum event_view */
const volatile __u32 states_wanted = ~0u; /* bits of the task state that a wait must have one of */
const volatile __u64 min_us = 0, max_us = ~0ull;
const volatile __u8 comm_size = 0; /* bytes of comm_wanted that must fit; 0: any thread */
const volatile char comm_wanted[EVENT_COMM_SIZE] = {};

static __always_inline struct event_counters *my_counters(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline int is_wanted_thread(const struct event_key *key)
{
    for (__u32 i = 0; i < EVENT_COMM_SIZE; i++) {
        if (i >= comm_size)
            break;
        if (key->comm[i] != comm_wanted[i])
            return 0;
    }
    return 1;
}

/* As long as was asked for, and in the state that was. What is left out is counted. */
static __always_inline int is_wanted_wait(const struct event_thread *t, __u64 ns)
{
    struct event_counters *c;

    if ((states_wanted == ~0u || (t->why & states_wanted)) && ns >= min_us * 1000 &&
        ns / 1000 <= max_us && is_wanted_thread(&t->key))
        return 1;
    c = my_counters();
    if (c && begin_ns)
        c->left_out += ns / 1000;
    return 0;
}

/* Whole microseconds, the rest is carried on to the thread's next row. */
static __always_inline __u64 whole_us(struct event_thread *t, __u64 ns)
{
    __u64 sum = t->carry_ns + ns;

    t->carry_ns = sum % 1000;
    return sum / 1000;
}

/* The key is a thread's, which can be woken here while it is still being switched out elsewhere: of
 * a key that changes while it is filed by there would be two rows. */
static __always_inline void add_row(const struct event_key *key, __u64 amount, __u64 now)
{
    struct event_counters *c = my_counters();
    struct event_key unchanging;
    int lost;

    if (!c || !begin_ns || !amount)
        return;
    if (!c->first_ns)
        c->first_ns = now;
    c->taken += amount;
    unchanging = *key;
    lost = row_add(&unchanging, amount, now);
    if (lost > 0 && lost <= EVENT_LOST_COUNT)
        c->lost[lost - 1] += amount;
}

/* A row of the thread's own stack. */
static __always_inline void add_time(struct event_thread *t, __u32 part, __u64 ns, __u64 now)
{
    t->key.part = part;
    add_row(&t->key, whole_us(t, ns), now);
}

/* At the thread's end: what no later wait of it has paid has no stack. */
static __always_inline void add_owed(struct event_thread *t, __u64 now)
{
    const int counts = view == EVENT_VIEW_SWITCHES;

    if (!(t->owed[EVENT_OWED_BLOCKED] | t->owed[EVENT_OWED_RUNNABLE]))
        return;
    t->key.user_stack = t->key.kernel_stack = t->key.waker = 0;
    /* 6.1's verifier does not take every loop that clang may make of it. */
#pragma unroll
    for (int i = 0; i < EVENT_OWED_COUNT; i++) {
        __u64 owed = t->owed[i];

        if (counts)
            t->key.part = i == EVENT_OWED_BLOCKED ? EVENT_PART_VOLUNTARY : EVENT_PART_INVOLUNTARY;
        else
            t->key.part = i == EVENT_OWED_BLOCKED ? EVENT_PART_BLOCKED : EVENT_PART_RUNNABLE;
        add_row(&t->key, counts ? owed : whole_us(t, owed), now);
        t->owed[i] = 0;
    }
}

/* hotcold: time on a CPU that no sample has fallen into. */
static __always_inline void add_unsampled(struct event_thread *t, __u64 now)
{
    if (view != EVENT_VIEW_HOTCOLD || !is_wanted_thread(&t->key))
        return;
    t->key.user_stack = t->key.kernel_stack = 0;
    add_time(t, EVENT_PART_ON_CPU, t->uncharged_ns, now);
    t->uncharged_ns = 0;
}
