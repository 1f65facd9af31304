/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Walking user stacks by tables made from .eh_frame, for code without frame pointers.
 *
 * The agent makes the tables and says which range of which process uses which rows; a process that
 * it has not told about yet is walked by frame pointers, as is code without rules (JIT). Every loop
 * is bounded and everything that is read is user memory: a table that lies can only break the stack
 * of the process that mapped it. x86-64 alone; elsewhere frame pointers do.
 */
#pragma once

#include "bpf/stack.bpf.h"

const volatile __u8 unwind_enabled = 0; /* needs bpf_loop(), Linux 5.17 */

#define PF_KTHREAD 0x00200000
#define FP_STEP_MAX (1u << 20) /* bytes: a frame pointer further away is none */
#define SIGNALS_MAX 8
#define RBP_AT_RBP 255 /* UNWINDTAB_RBP_AT_RBP */

/* enum unwind_kind of nsresolve/unwindtab.h */
enum {
    ROW_NONE,
    ROW_RSP,
    ROW_RBP,
    ROW_DEREF_RBP,
    ROW_PLT,
    ROW_SIGNAL,
    ROW_END,
    ROW_UNSUPPORTED,
    ROW_DEREF_RSP,
};

/* Offsets in the frame that the kernel pushes for a signal handler: struct rt_sigframe without its
 * first word, of which the handler's return has eaten it; arch/x86/include/asm/sigframe.h. */
#define SIGFRAME_RBP 120
#define SIGFRAME_RSP 160
#define SIGFRAME_RIP 168

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_row);
} unwind_rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_range);
} unwind_ranges SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_process);
} unwind_processes SEC(".maps");

/* One walk. In a map, so that the verifier sees unknown numbers and visits each loop once. */
struct walk {
    __u64 ip, sp, bp;
    __u32 first, count; /* the process's ranges */
    __u32 lo, hi;
    __u32 flags;
    __u32 signals;
    __u32 exact;    /* ip was executing: the leaf, or interrupted by a signal */
    __u32 fallback; /* start again by frame pointers */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct walk);
} walks SEC(".maps");

static __always_inline int read_user(__u64 address, __u64 *ret)
{
    return bpf_probe_read_user(ret, sizeof(*ret), (void *)address);
}

/* The range that holds this address, or NULL. */
static __always_inline struct event_range *find_range(struct walk *w, __u64 address)
{
    struct event_range *r;

    w->lo = w->first;
    w->hi = w->first + w->count;
    for (int i = 0; i < 11; i++) {
        __u32 mid = w->lo + ((w->hi - w->lo) >> 1);

        if (w->lo >= w->hi)
            break;
        r = bpf_map_lookup_elem(&unwind_ranges, &mid);
        if (!r)
            return NULL;
        if (r->end <= address)
            w->lo = mid + 1;
        else
            w->hi = mid;
    }
    if (w->lo >= w->first + w->count)
        return NULL;
    r = bpf_map_lookup_elem(&unwind_ranges, &w->lo);
    return r && r->start <= address && address < r->end ? r : NULL;
}

/* The last row at or before pc, or NULL. */
static __always_inline struct event_row *find_row(struct walk *w, const struct event_range *range,
                                                  __u32 pc)
{
    struct event_row *row;
    __u32 at;

    w->lo = range->first;
    w->hi = range->first + range->count;
    for (int i = 0; i < 24; i++) {
        __u32 mid = w->lo + ((w->hi - w->lo) >> 1);

        if (w->lo >= w->hi)
            break;
        row = bpf_map_lookup_elem(&unwind_rows, &mid);
        if (!row)
            return NULL;
        if (row->pc <= pc)
            w->lo = mid + 1;
        else
            w->hi = mid;
    }
    if (w->lo <= range->first)
        return NULL;
    at = w->lo - 1;
    return bpf_map_lookup_elem(&unwind_rows, &at);
}

static __always_inline long stop(struct walk *w, __u32 flags)
{
    w->flags |= flags;
    return 1;
}

/* Code without rules: a JIT's, or a gap in the tables. */
static __always_inline long step_by_frame_pointer(struct walk *w)
{
    __u64 ip, bp;

    if (w->bp < w->sp || w->bp - w->sp > FP_STEP_MAX || (w->bp & 7) ||
        read_user(w->bp + 8, &ip) < 0 || read_user(w->bp, &bp) < 0 || ip == 0)
        return stop(w, EVENT_STACK_BAD_FRAME);
    w->ip = ip;
    w->sp = w->bp + 16;
    w->bp = bp;
    w->exact = 0;
    return 0;
}

static __always_inline long step_by_signal(struct walk *w)
{
    __u64 sp = w->sp;

    if (w->signals++ >= SIGNALS_MAX || read_user(sp + SIGFRAME_RIP, &w->ip) < 0 ||
        read_user(sp + SIGFRAME_RSP, &w->sp) < 0 || read_user(sp + SIGFRAME_RBP, &w->bp) < 0)
        return stop(w, EVENT_STACK_BAD_FRAME);
    w->exact = 1;
    return 0;
}

static __always_inline long step_by_row(struct walk *w, const struct event_row *row)
{
    __s64 offset = (__s64)row->offset * 8;
    __u64 cfa, ip;

    switch (row->kind) {
    case ROW_RSP:
        cfa = w->sp + offset;
        break;
    case ROW_RBP:
        cfa = w->bp + offset;
        break;
    case ROW_DEREF_RBP:
        if (read_user(w->bp + offset, &cfa) < 0)
            return stop(w, EVENT_STACK_BAD_FRAME);
        break;
    case ROW_DEREF_RSP:
        if (read_user(w->sp + offset, &cfa) < 0)
            return stop(w, EVENT_STACK_BAD_FRAME);
        cfa += 8;
        break;
    case ROW_PLT:
        cfa = w->sp + 8 + ((w->ip & 15) >= (__u64)offset / 8 ? 8 : 0);
        break;
    case ROW_SIGNAL:
        return step_by_signal(w);
    case ROW_END:
        return stop(w, EVENT_STACK_WHOLE);
    default:
        return step_by_frame_pointer(w);
    }
    /* Stacks grow down: a caller's frame lies above, so the walk cannot turn back. */
    if (cfa <= w->sp || read_user(cfa - 8, &ip) < 0)
        return stop(w, EVENT_STACK_BAD_FRAME);
    if (row->rbp &&
        read_user(row->rbp == RBP_AT_RBP ? w->bp : cfa - 8 * (__u64)row->rbp, &w->bp) < 0)
        return stop(w, EVENT_STACK_BAD_FRAME);
    if (ip == 0)
        return stop(w, EVENT_STACK_WHOLE);
    w->ip = ip;
    w->sp = cfa;
    w->exact = 0;
    return 0;
}

/* One frame: notes it and goes to its caller. Returns 1 at the end. */
static long unwind_step(__u32 i, void *unused __attribute__((unused)))
{
    __u32 zero = 0;
    struct event_stack *stack = bpf_map_lookup_elem(&scratch, &zero);
    struct walk *w = bpf_map_lookup_elem(&walks, &zero);
    struct event_range *range;
    struct event_row *row;
    __u64 pc, at = i;

    /* Keeps the compiler from comparing a copy: 6.1's verifier would not know the index. */
    asm volatile("" : "+r"(at));
    if (!stack || !w || at >= EVENT_STACK_MAX)
        return 1;
    /* Who names a caller's frame looks one byte before it, where the call is. */
    stack->ip[at] = w->ip + (w->exact && at > 0);
    stack->depth = at + 1;
    pc = w->exact ? w->ip : w->ip - 1;
    range = find_range(w, pc);
    if (!range)
        return step_by_frame_pointer(w);
    if (!range->count) {
        w->fallback = 1;
        return 1;
    }
    row = find_row(w, range, pc - range->bias);
    if (row && row->kind == ROW_SIGNAL && !w->exact)
        stack->ip[at] = w->ip + 1; /* nobody called it: the kernel made it look so */
    return row ? step_by_row(w, row) : step_by_frame_pointer(w);
}

/* The user's registers as the kernel saved them when it was entered. A function of its own: merged
 * with the reads from the context the verifier would not know what is read. */
static __noinline int saved_registers(struct walk *w)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct pt_regs___kernel *regs;

    if (task->flags & PF_KTHREAD)
        return -1;
    regs = (struct pt_regs___kernel *)bpf_task_pt_regs(task);
    w->ip = regs->ip;
    w->sp = regs->sp;
    w->bp = regs->bp;
    return 0;
}

/* The user's registers at the sample. ctx may be NULL: then the sample is the kernel's. */
static __always_inline int user_registers(struct walk *w, struct bpf_perf_event_data *ctx)
{
    if (!ctx || (ctx->regs.cs & 3) != 3)
        return saved_registers(w);
    if (ctx->regs.cs == 0x23) /* 32-bit code */
        return -1;
    w->ip = ctx->regs.rip;
    w->sp = ctx->regs.rsp;
    w->bp = ctx->regs.rbp;
    return 0;
}

/* Fills scratch with the user stack. Returns 0, or -1 when frame pointers have to do. */
static __always_inline int unwind(struct bpf_perf_event_data *ctx)
{
    __u32 zero = 0, tgid = bpf_get_current_pid_tgid() >> 32;
    struct event_process *process = bpf_map_lookup_elem(&unwind_processes, &tgid);
    struct event_stack *stack = bpf_map_lookup_elem(&scratch, &zero);
    struct walk *w = bpf_map_lookup_elem(&walks, &zero);

    if (!process || !stack || !w)
        return -1;
    __builtin_memset(w, 0, sizeof(*w));
    w->first = process->first;
    w->count = process->count;
    w->exact = 1;
    if (w->count == 0 || w->count > EVENT_RANGES_PER_PROCESS_MAX || user_registers(w, ctx) < 0)
        return -1;
    stack->depth = 0;
    bpf_loop(EVENT_STACK_MAX, unwind_step, NULL, 0);
    if (w->fallback)
        return -1;
    stack->flags = w->flags | EVENT_STACK_TABLES;
    return 0;
}

/* A forked process has its parent's mappings from its first instruction on, and another program's
 * from its exec on: too early for the agent, so both are followed here. */
SEC("tp_btf/sched_process_fork")
int on_sched_process_fork(unsigned long long *args)
{
    struct task_struct *parent = (void *)args[0], *child = (void *)args[1];
    __u32 from = parent->tgid, to = child->tgid;
    struct event_process *process;

    if (from == to)
        return 0;
    process = bpf_map_lookup_elem(&unwind_processes, &from);
    if (process)
        bpf_map_update_elem(&unwind_processes, &to, process, BPF_ANY);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int on_sched_process_exec(unsigned long long *args)
{
    struct task_struct *task = (void *)args[0];
    __u32 tgid = task->tgid;

    if (bpf_map_lookup_elem(&unwind_processes, &tgid))
        bpf_map_delete_elem(&unwind_processes, &tgid);
    return 0;
}
