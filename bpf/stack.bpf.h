/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Taking a stack and storing it under its hash. The seam for other unwinders: whatever fills
 * `scratch` with addresses, innermost first, can be stored by stack_store().
 */
#pragma once

#include "bpf/maps.bpf.h"

#include <asm-generic/errno-base.h>

const volatile __u64 stack_seed = 0; /* random: a target must not be able to choose collisions */

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_stack);
} scratch SEC(".maps");

static __always_inline __u64 stack_hash(const struct event_stack *stack)
{
    __u64 hash = stack_seed ^ stack->depth ^ (__u64)stack->flags << 32;

    for (__u32 i = 0; i < EVENT_STACK_MAX; i++) {
        if (i >= stack->depth)
            break;
        hash = (hash ^ stack->ip[i]) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
    }
    return hash ? hash : 1;
}

/* Stores the stack; *ret is its key. Returns 0, or which loss it was, plus one. */
static __always_inline int stack_store(const struct event_stack *stack, __u64 *ret)
{
    __u64 hash = stack_hash(stack);
    long error;

    *ret = hash;
    if (bpf_map_lookup_elem(&stacks, &hash))
        return 0;
    error = bpf_map_update_elem(&stacks, &hash, stack, BPF_NOEXIST);
    /* Another CPU may have stored the same stack meanwhile. */
    if (error == 0 || bpf_map_lookup_elem(&stacks, &hash))
        return 0;
    return 1 + (error == -EBUSY ? EVENT_LOST_BUSY : EVENT_LOST_STACKS_FULL);
}

/* Walks the stack of the current task by frame pointers (flags: 0 for the kernel's part,
 * BPF_F_USER_STACK for the user's) and stores it. *ret is 0 for an empty part.
 * Returns as stack_store(). */
static __always_inline int stack_take(void *ctx, __u64 flags, __u32 stack_flags, __u64 *ret)
{
    __u32 zero = 0;
    struct event_stack *stack = bpf_map_lookup_elem(&scratch, &zero);
    long bytes;

    *ret = 0;
    if (!stack)
        return 1 + EVENT_LOST_BUSY;
    bytes = bpf_get_stack(ctx, stack->ip, sizeof(stack->ip), flags);
    if (bytes <= 0)
        return 0;
    stack->depth = (__u64)bytes / sizeof(stack->ip[0]);
    stack->flags = stack_flags;
    return stack_store(stack, ret);
}
