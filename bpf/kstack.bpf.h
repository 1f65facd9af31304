/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel's part of a stack at a tracepoint, for hooks that are called so often that the
 * kernel's own walk, some 100 ns a frame, would be most of what they cost.
 *
 * The stack is copied and walked here (orc.bpf.h), but only to learn which one of those that are
 * known it is: a stack that the kernel has not walked in this capture is walked by the kernel. So
 * what a user sees is always what the kernel said of a stack like this one.
 */
#pragma once

#include "bpf/orc.bpf.h"
#include "bpf/stack.bpf.h"

#define KSTACK_WORDS \
    320u /* from the program's context to the task's registers; mostly 100 to 200 */
#define KSTACK_FRAMES 64
#define KSTACK_NEAR 32u /* words in which the way into the program ends */

/* Each hook is called in its own way. */
enum kstack_hook { KSTACK_SWITCH, KSTACK_WAKING, KSTACK_HOOKS };

struct kstack {
    __u64 base, top; /* the program's context, which is in its caller's frame; the registers */
    __u64 size;      /* bytes between them */
    /* What the kernel's walk finds before the first return address above the context: the hash of
     * it, and the last of it; and where that first one is. Known since a first walk. */
    __u64 hash_before, ip_before;
    __u32 depth_before, first; /* in words */
    /* The walk. */
    __u64 ip, sp, bp, hash;
    __u32 depth, ended;
    __u64 words[KSTACK_WORDS];
    struct orc_memory orc;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, KSTACK_HOOKS);
    __type(key, __u32);
    __type(value, struct kstack);
} kstacks SEC(".maps");

/* The word at that address of the stack. */
static __always_inline int kstack_word(const struct kstack *k, __u64 address, __u64 *ret)
{
    __u64 at = address - k->base;

    asm volatile("" : "+r"(at));
    if (at > k->size - 8 || at > sizeof(k->words) - 8)
        return -1;
    *ret = *(const __u64 *)((const char *)k->words + (at & ~7ull));
    return 0;
}

/* Goes to the caller of what k->ip returns to: k->sp is the stack pointer there. */
static __always_inline int kstack_step(struct kstack *k, const struct orc_rule *rule)
{
    __u64 cfa;

    if (rule->sp_reg == ORC_SP)
        cfa = k->sp + rule->sp_offset;
    else if (rule->sp_reg == ORC_BP)
        cfa = k->bp + rule->sp_offset;
    else
        return -1;
    if (cfa <= k->sp || kstack_word(k, cfa - 8, &k->ip) < 0)
        return -1;
    if (rule->bp_reg == ORC_PREV_SP && kstack_word(k, cfa + rule->bp_offset, &k->bp) < 0)
        return -1;
    k->sp = cfa;
    return rule->bp_reg == ORC_PREV_SP || rule->bp_reg == ORC_UNDEFINED ? 0 : -1;
}

static long kstack_frame(__u32 i, struct kstack **step)
{
    struct kstack *k = *step;
    const struct orc_rule *rule;

    (void)i;
    k->hash = hash_step(k->hash, k->ip);
    k->depth++;
    rule = orc_rule_for(&k->orc, k->ip);
    if (!rule)
        return 1;
    k->ended = rule->kind == ORC_END || (rule->kind == ORC_REGS && rule->sp_reg == ORC_SP &&
                                         k->sp + rule->sp_offset == k->top);
    return rule->kind != ORC_CALL || kstack_step(k, rule) < 0;
}

/* The key of the stack that this would be; 0: cannot be told. */
static __always_inline __u64 kstack_guess(void *ctx, struct kstack *k)
{
    const struct orc_rule *before;
    __u64 size;

    /* By way of memory: the verifier calculates with numbers, not with addresses. */
    *(void *volatile *)&k->base = ctx;
    *(void *volatile *)&k->top = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
    k->size = size = *(volatile __u64 *)&k->top - *(volatile __u64 *)&k->base;
    /* Keeps the compiler from making one comparison of two, out of which 6.1's verifier would not
     * know that the number is bounded. */
    asm volatile("" : "+r"(size));
    if (size > sizeof(k->words) || bpf_probe_read_kernel(k->words, size, ctx) < 0)
        return 0;
    if (size < 8 * KSTACK_NEAR || !k->first)
        return 0;
    k->hash = k->hash_before;
    k->sp = k->base + 8 * (__u64)k->first + 8;
    k->bp = k->ended = 0;
    before = orc_rule_for(&k->orc, k->ip_before);
    if (!before ||
        (before->bp_reg == ORC_PREV_SP && kstack_word(k, k->sp + before->bp_offset, &k->bp) < 0) ||
        kstack_word(k, k->sp - 8, &k->ip) < 0)
        return 0;
    k->depth = k->depth_before;
    bpf_loop(KSTACK_FRAMES, kstack_frame, &k, 0);
    return k->ended ? stack_key(k->hash, k->depth, 0) : 0;
}

/* Learns from a walk that the kernel did of this stack how the way into the program looks. */
static __always_inline void kstack_learn(struct kstack *k)
{
    __u32 zero = 0;
    struct event_stack *walked = bpf_map_lookup_elem(&scratch, &zero);

    k->first = 0;
    k->hash = stack_seed;
    if (!walked || walked->depth < 4)
        return;
    for (__u32 n = 0; n < 3 && !k->first; n++) {
        k->depth_before = n + 1;
        k->ip_before = walked->ip[n];
        k->hash_before = k->hash = hash_step(k->hash, walked->ip[n]);
        for (__u32 i = 1; i < KSTACK_NEAR; i++) {
            if (k->words[i] != walked->ip[n + 1])
                continue;
            k->first = i;
            break;
        }
    }
}

/* As stack_take(), for the kernel's part of the current task's stack. */
static __always_inline int kstack_take(void *ctx, __u32 hook, struct event_counters *c, __u64 *ret)
{
    struct kstack *k = orc_count ? bpf_map_lookup_elem(&kstacks, &hook) : NULL;
    int lost;

    *ret = k ? kstack_guess(ctx, k) : 0;
    if (*ret && bpf_map_lookup_elem(&stacks, ret)) {
        c->kernel_known++;
        return 0;
    }
    c->kernel_walked++;
    lost = stack_take(ctx, SKIP_PROGRAM, 0, ret);
    if (k && !lost && *ret)
        kstack_learn(k);
    return lost;
}
