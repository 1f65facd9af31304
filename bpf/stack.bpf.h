/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Taking a stack and storing it under its hash. The seam for other unwinders: whatever fills
 * `scratch` with addresses, innermost first, can be stored by stack_store().
 */
#pragma once

#include "bpf/hash.bpf.h"
#include "bpf/maps.bpf.h"

const volatile __u32 stack_max = EVENT_STACK_MAX; /* frames of a user stack */
const volatile __u64 stack_seed = 0; /* random: a target must not be able to choose collisions */

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __uint(value_size, EVENT_STACK_BYTES(0)); /* of a struct event_stack */
} scratch SEC(".maps");

/* Of all addresses of a stack; who notes them one by one goes along, from stack_seed on. */
static __always_inline __u64 stack_hash(const struct event_stack *stack)
{
    __u64 hash = stack_seed;

    for (__u32 i = 0; i < EVENT_STACK_MAX; i++) {
        if (i >= stack->depth)
            break;
        hash = hash_step(hash, stack->ip[i]);
    }
    return hash;
}

/* Of a stack whose addresses have this hash. */
static __always_inline __u64 stack_key(__u64 hash, __u32 depth, __u32 flags)
{
    hash = hash_step(hash, depth ^ (__u64)flags << 32);
    return hash ? hash : 1;
}

/* Stores the stack, whose addresses have this hash; *ret is its key. Returns 0, or which loss it
 * was, plus one. */
static __always_inline int stack_store(const struct event_stack *stack, __u64 hash, __u64 *ret)
{
    long error;

    hash = stack_key(hash, stack->depth, stack->flags);
    *ret = hash;
    if (bpf_map_lookup_elem(&stacks, &hash))
        return 0;
    error = bpf_map_update_elem(&stacks, &hash, stack, BPF_NOEXIST);
    /* Another CPU may have stored the same stack meanwhile. */
    if (error == 0 || bpf_map_lookup_elem(&stacks, &hash))
        return 0;
    return 1 + (error == -EBUSY ? EVENT_LOST_BUSY : EVENT_LOST_STACKS_FULL);
}

/* For programs on tracepoints, whose own frame comes first: it says nothing, and to find out what
 * it is the agent would read all symbols of the kernel. Perf events begin at the sample. */
#define SKIP_PROGRAM 1

/* Walks the stack of the current task by frame pointers (flags: 0 or SKIP_PROGRAM for the kernel's
 * part, BPF_F_USER_STACK for the user's) and stores it. *ret is 0 for an empty part. Returns as
 * stack_store(). */
static __always_inline int stack_take(void *ctx, __u64 flags, __u32 stack_flags, __u64 *ret)
{
    __u32 zero = 0;
    struct event_stack *stack = bpf_map_lookup_elem(&scratch, &zero);
    long bytes;

    *ret = 0;
    if (!stack)
        return 1 + EVENT_LOST_BUSY;
    bytes = bpf_get_stack(ctx, stack->ip, EVENT_STACK_MAX * sizeof(stack->ip[0]), flags);
    if (bytes <= 0)
        return 0;
    stack->depth = (__u64)bytes / sizeof(stack->ip[0]);
    if ((flags & BPF_F_USER_STACK) && stack->depth > stack_max)
        stack->depth = stack_max;
    stack->flags = stack_flags;
    return stack_store(stack, stack_hash(stack), ret);
}
