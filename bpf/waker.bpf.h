/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who ends a wait: the current task, or an interrupt that hit whoever ran.
 */
#pragma once

#include "bpf/filter.bpf.h"
#include "bpf/kstack.bpf.h"
#include "bpf/thread.bpf.h"
#include "bpf/unwind.bpf.h"

/* How deep an interrupt's own part of a kernel stack goes at most; below it lies a task that had
 * nothing to do with the wait. */
#define INTERRUPT_BYTES (40 * 8)

#define KERNEL_STACK_BYTES (16u << 10) /* THREAD_SIZE */

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u64);
    __type(value, struct event_waker);
} wakers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u64);
    __type(value, struct event_chain);
} chains SEC(".maps");

_Static_assert(sizeof(struct event_waker) == sizeof(struct event_chain), "both are hashed alike");

#define KSOFTIRQD 0x71726974666f736bull /* "ksoftirq", the beginning of a thread's name */

enum interrupted { INTERRUPTED_NO, INTERRUPTED_MAYBE, INTERRUPTED_YES };

/*
 * Whether an interrupt hit the current task. The preemption count would tell, but not every kernel
 * shows where it is. On x86-64 interrupts have a stack of their own, unless they come from user
 * mode; then the saved registers belong to no system call. So do those of a fault, and of a task
 * that ends on its way back to user mode: who names the stack can tell these apart. Where
 * interrupts leave their work to ksoftirqd, it is theirs. args lie on the stack that is in use.
 */
static __always_inline enum interrupted in_interrupt(void *args, struct task_struct *task)
{
    __u64 first = (__u64)task->stack, end = first + KERNEL_STACK_BYTES;
    struct pt_regs___kernel *regs;

    if (task->pid == 0)
        return INTERRUPTED_YES;
    /* Two comparisons: the verifier lets nobody reckon with a pointer to the context. */
    asm volatile("" : "+r"(first), "+r"(end));
    if ((__u64)args < first)
        return INTERRUPTED_YES;
    if ((__u64)args >= end)
        return INTERRUPTED_YES;
    if (task->flags & PF_KTHREAD)
        return *(const __u64 *)&task->comm[0] == KSOFTIRQD ? INTERRUPTED_YES : INTERRUPTED_NO;
    regs = (struct pt_regs___kernel *)bpf_task_pt_regs(task);
    return (long)regs->orig_ax < 0;
}

static __always_inline __u64 hash_of(const void *data)
{
    const __u64 *words = data;
    __u64 hash = stack_seed;

    for (__u32 i = 0; i < sizeof(struct event_chain) / 8; i++)
        hash = hash_step(hash, words[i]);
    return hash ? hash : 1;
}

static __always_inline void describe_waker(struct event_waker *w, struct task_struct *task)
{
    struct event_key who = {};

    fill_who(&who, task);
    w->start_boottime_ns = who.start_boottime_ns;
    w->cgroup_id = who.cgroup_id;
    w->tgid = who.tgid;
    w->ns_tgid = who.ns_tgid;
    if (per_thread)
        w->tid = task->pid;
    __builtin_memcpy(w->comm, who.comm, sizeof(w->comm));
}

/* The kernel's part alone of who interrupted, or of the idle task. */
static __always_inline int take_interrupt(void *ctx, struct event_waker *w)
{
    __u32 zero = 0;
    struct event_stack *stack = bpf_map_lookup_elem(&scratch, &zero);
    long bytes;

    w->flags |= EVENT_WAKER_INTERRUPT;
    if (!stack)
        return 1 + EVENT_LOST_BUSY;
    bytes = bpf_get_stack(ctx, stack->ip, INTERRUPT_BYTES, SKIP_PROGRAM);
    if (bytes <= 0)
        return 0;
    stack->depth = (__u64)bytes / sizeof(stack->ip[0]);
    stack->flags = 0;
    return stack_store(stack, stack_hash(stack), &w->kernel_stack);
}

static __always_inline int take_task(void *ctx, struct event_counters *c, __u64 now,
                                     struct event_waker *w, struct task_struct *task)
{
    int lost = kstack_take(ctx, KSTACK_WAKING, c, &w->kernel_stack);

    describe_waker(w, task);
    if (task->flags & PF_KTHREAD) {
        w->flags = EVENT_WAKER_KERNEL;
        return lost;
    }
    /* Names of another container's functions are not this capture's to look up. */
    if (!current_is_target())
        return lost;
    w->flags = EVENT_WAKER_TARGET;
    return lost ? lost : take_user_stack(ctx, NULL, c, now, &w->user_stack);
}

/* Stores it under its hash, unless it is there. Returns as stack_store(). */
static __always_inline int intern(void *map, const void *value, __u64 *ret)
{
    long error;

    *ret = hash_of(value);
    if (bpf_map_lookup_elem(map, ret))
        return 0;
    error = bpf_map_update_elem(map, ret, value, BPF_NOEXIST);
    /* Another CPU may have stored the same meanwhile. */
    if (error == 0 || bpf_map_lookup_elem(map, ret))
        return 0;
    *ret = 0;
    return 1 + (error == -EBUSY ? EVENT_LOST_BUSY : EVENT_LOST_STACKS_FULL);
}

/* Who is waking somebody here and now. Returns as stack_store(). */
static __always_inline int take_waker(void *ctx, struct event_counters *c, __u64 now, __u64 *ret)
{
    struct task_struct *task = bpf_get_current_task_btf();
    enum interrupted how = in_interrupt(ctx, task);
    struct event_waker w = {};
    int lost;

    *ret = 0;
    if (how == INTERRUPTED_MAYBE) {
        describe_waker(&w, task);
        w.flags = EVENT_WAKER_UNSURE | (current_is_target() ? EVENT_WAKER_TARGET : 0);
    }
    lost = how == INTERRUPTED_NO ? take_task(ctx, c, now, &w, task) : take_interrupt(ctx, &w);
    return lost ? lost : intern(&wakers, &w, ret);
}
