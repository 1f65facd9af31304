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
    __type(value, struct event_stack);
} stacks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_counters);
} counters SEC(".maps");
