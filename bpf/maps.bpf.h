/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Where samples are counted: rows (who, where) and the stacks that they point to.
 *
 * Hashes of our own, keyed by 64 bits of the stack's contents: the kernel's stack map loses samples
 * to collisions. Preallocated, because a sample may come in any context; the agent sets the sizes
 * before loading.
 */
#pragma once

#include "bpf/kernel.bpf.h"

#include <asm-generic/errno-base.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct event_key);
    __type(value, struct event_value);
} rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u64);
    __uint(value_size, EVENT_STACK_BYTES(0)); /* of a struct event_stack */
} stacks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_counters);
} counters SEC(".maps");

/* Adds to a row. Returns 0, or which loss it was, plus one. */
static __always_inline int row_add(const struct event_key *key, __u64 amount, __u64 now)
{
    struct event_value first = {.count = amount, .first_ns = now, .last_ns = now}, *value;
    long error;

    value = bpf_map_lookup_elem(&rows, key);
    if (!value) {
        error = bpf_map_update_elem(&rows, key, &first, BPF_NOEXIST);
        if (error == 0)
            return 0;
        value = bpf_map_lookup_elem(&rows, key);
        if (!value)
            return 1 + (error == -EBUSY ? EVENT_LOST_BUSY : EVENT_LOST_KEYS_FULL);
    }
    __sync_fetch_and_add(&value->count, amount);
    value->last_ns = now;
    return 0;
}
