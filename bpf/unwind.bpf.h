/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Walking user stacks by tables made from .eh_frame, for code without frame pointers.
 *
 * The agent makes the tables and says which range of which process uses which rows; a process that
 * it has not told about yet is walked by frame pointers, as is code without rules (JIT). Every loop
 * is bounded and everything that is read is user memory: a table that lies can only break the stack
 * of the process that mapped it. x86-64 alone; elsewhere frame pointers do.
 *
 * UNWIND_OTHERS: for a program that may sleep, to walk the stacks of tasks that wait.
 */
#pragma once

#include "bpf/rows.bpf.h"
#include "bpf/stack.bpf.h"

const volatile __u8 unwind_enabled = 0; /* needs bpf_loop(), Linux 5.17 */

#define PF_KTHREAD 0x00200000
#define FP_STEP_MAX (1u << 20) /* bytes: a frame pointer further away is none */
#define SIGNALS_MAX 8
#define SWITCHES_MAX 16 /* from one stack to another */
#define RBP_AT_RBP 255  /* UNWINDTAB_RBP_AT_RBP */

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
    ROW_SWITCH,
    ROW_GO,
    ROW_LOST,
};

/* Offsets in the frame that the kernel pushes for a signal handler: struct rt_sigframe without its
 * first word, of which the handler's return has eaten it; arch/x86/include/asm/sigframe.h. */
#define SIGFRAME_RBP 120
#define SIGFRAME_RSP 160
#define SIGFRAME_RIP 168

/* Where Go's runtime has them; the same since Go 1.4. The thread's local storage has g. */
#define GO_G_BELOW_FS 8
#define GO_M_OF_G 48
#define GO_SP_OF_G 56
#define GO_PC_OF_G 64

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_process);
} unwind_processes SEC(".maps");

/* One walk. In a map, so that the verifier sees unknown numbers and visits each loop once. */
struct walk {
    __u64 ip, sp;
    __u64 bp;             /* rbp, unless bp_at says where it was saved */
    __u64 bp_at;          /* few callers' rbp is ever needed: read then */
    __u64 hash;           /* of the addresses so far */
    struct search search; /* in the process's ranges and their rows */
    __u32 flags;
    __u32 signals, switches, goroutines;
    __u32 exact;    /* ip was executing: the leaf, or interrupted by a signal */
    __u32 fallback; /* start again by frame pointers */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct walk);
} walks SEC(".maps");

/* What a step gets: looked up once a walk instead of once a frame. */
struct step {
    struct walk *walk;
    struct event_stack *stack;
    struct memory *memory;
#ifdef UNWIND_OTHERS
    struct task_struct *task;
#endif
};

#ifdef UNWIND_OTHERS
static __always_inline struct task_struct *task_of(const struct step *s)
{
    return s->task;
}

static __always_inline int read_memory(const struct step *s, __u64 address, void *ret, __u32 size)
{
    return bpf_copy_from_user_task(ret, size, (void *)address, s->task, 0);
}
#else
static __always_inline struct task_struct *task_of(const struct step *s)
{
    (void)s;
    return bpf_get_current_task_btf();
}

static __always_inline int read_memory(const struct step *s, __u64 address, void *ret, __u32 size)
{
    (void)s;
    return bpf_probe_read_user(ret, size, (void *)address);
}
#endif

static __always_inline int read_user(const struct step *s, __u64 address, __u64 *ret)
{
    return read_memory(s, address, ret, sizeof(*ret));
}

static __always_inline int read_bp(const struct step *s)
{
    struct walk *w = s->walk;

    if (!w->bp_at)
        return 0;
    if (read_user(s, w->bp_at, &w->bp) < 0)
        return -1;
    w->bp_at = 0;
    return 0;
}

static __always_inline long stop(struct walk *w, enum event_broken cause)
{
    w->flags |= cause << EVENT_BROKEN_SHIFT;
    return 1;
}

/* Code without rules: a JIT's, or a gap in the tables. cause: what to say when it leads nowhere. */
static __always_inline long step_by_frame_pointer(const struct step *s, enum event_broken cause)
{
    struct walk *w = s->walk;
    __u64 frame[2];

    if (read_bp(s) < 0)
        return stop(w, EVENT_BROKEN_UNREADABLE);
    if (w->bp < w->sp || w->bp - w->sp > FP_STEP_MAX || (w->bp & 7) ||
        read_memory(s, w->bp, frame, sizeof(frame)) < 0)
        return stop(w, cause);
    if (frame[1] == 0)
        return stop(w, EVENT_BROKEN_ENDED);
    w->ip = frame[1];
    w->sp = w->bp + 16;
    w->bp = frame[0];
    w->exact = 0;
    return 0;
}

static __always_inline long step_by_signal(const struct step *s)
{
    struct walk *w = s->walk;
    __u64 sp = w->sp;

    if (w->signals++ >= SIGNALS_MAX)
        return stop(w, EVENT_BROKEN_SIGNALS);
    if (read_user(s, sp + SIGFRAME_RIP, &w->ip) < 0 ||
        read_user(s, sp + SIGFRAME_RSP, &w->sp) < 0 || read_user(s, sp + SIGFRAME_RBP, &w->bp) < 0)
        return stop(w, EVENT_BROKEN_UNREADABLE);
    w->bp_at = 0;
    w->exact = 1;
    return 0;
}

/* From the stack that Go's runtime works on to the goroutine for which it does. Without one it
 * works for nobody: its scheduler looks for the next. */
static __noinline long step_to_goroutine(const struct step *s, __u32 goroutine_at, __u32 rbp_at)
{
    struct task_struct *task = task_of(s);
    struct walk *w = s->walk;
    __u64 g, m, goroutine, back;

    if (w->goroutines++)
        return stop(w, EVENT_BROKEN_UNSUPPORTED);
    if (read_user(s, task->thread.fsbase - GO_G_BELOW_FS, &g) < 0 ||
        read_user(s, g + GO_M_OF_G, &m) < 0 ||
        read_user(s, m + 8 * (__u64)goroutine_at, &goroutine) < 0)
        return stop(w, EVENT_BROKEN_UNREADABLE);
    if (!goroutine) {
        w->flags |= EVENT_STACK_WHOLE;
        return 1;
    }
    if (read_user(s, goroutine + GO_M_OF_G, &back) < 0 || back != m ||
        read_user(s, goroutine + GO_SP_OF_G, &w->sp) < 0 ||
        read_user(s, goroutine + GO_PC_OF_G, &w->ip) < 0 || w->ip == 0)
        return stop(w, EVENT_BROKEN_UNREADABLE);
    w->bp_at = goroutine + 8 * (__u64)rbp_at;
    w->exact = 1; /* it may be where a function starts */
    return 0;
}

/* The return address, and the caller's rbp or where it is. A read is the dearest part of a step:
 * one is for both where they are neighbours. */
static __always_inline int read_return(const struct step *s, const struct event_row *row, __u64 cfa)
{
    struct walk *w = s->walk;
    __u64 words[2];

    if (row->rbp == 2) {
        if (read_memory(s, cfa - 16, words, sizeof(words)) < 0)
            return -1;
        w->bp_at = 0;
        w->bp = words[0];
        w->ip = words[1];
        return 0;
    }
    if (row->rbp)
        w->bp_at = row->rbp == RBP_AT_RBP ? w->bp : cfa - 8 * (__u64)row->rbp;
    return read_user(s, cfa - 8, &w->ip);
}

static __always_inline long step_by_row(const struct step *s, const struct event_row *row)
{
    struct walk *w = s->walk;
    __s64 offset = (__s64)row->offset * 8;
    __u64 cfa;

    if ((row->kind == ROW_RBP || row->kind == ROW_DEREF_RBP || row->kind == ROW_SWITCH ||
         row->rbp == RBP_AT_RBP) &&
        read_bp(s) < 0)
        return stop(w, EVENT_BROKEN_UNREADABLE);
    switch (row->kind) {
    case ROW_RSP:
        cfa = w->sp + offset;
        break;
    case ROW_RBP:
        cfa = w->bp + offset;
        break;
    case ROW_SWITCH:
        cfa = w->switches++ < SWITCHES_MAX ? w->bp + offset : 0;
        break;
    case ROW_DEREF_RBP:
        if (read_user(s, w->bp + offset, &cfa) < 0)
            return stop(w, EVENT_BROKEN_UNREADABLE);
        break;
    case ROW_DEREF_RSP:
        if (read_user(s, w->sp + offset, &cfa) < 0)
            return stop(w, EVENT_BROKEN_UNREADABLE);
        cfa += 8;
        break;
    case ROW_PLT:
        cfa = w->sp + 8 + ((w->ip & 15) >= (__u64)offset / 8 ? 8 : 0);
        break;
    case ROW_SIGNAL:
        return step_by_signal(s);
    case ROW_END:
        w->flags |= EVENT_STACK_WHOLE;
        return 1;
    case ROW_GO:
        return step_to_goroutine(s, row->offset, row->rbp);
    case ROW_LOST:
        return stop(w, EVENT_BROKEN_UNSUPPORTED);
    case ROW_UNSUPPORTED:
        return step_by_frame_pointer(s, EVENT_BROKEN_UNSUPPORTED);
    default:
        return step_by_frame_pointer(s, EVENT_BROKEN_NO_RULE);
    }
    /* Stacks grow down: a caller's frame lies above, so the walk cannot turn back, but to another
     * stack. */
    if (cfa <= w->sp && (row->kind != ROW_SWITCH || !cfa))
        return stop(w, EVENT_BROKEN_BACKWARDS);
    if (read_return(s, row, cfa) < 0)
        return stop(w, EVENT_BROKEN_UNREADABLE);
    if (w->ip == 0)
        return stop(w, EVENT_BROKEN_ENDED);
    w->sp = cfa;
    w->exact = 0;
    return 0;
}

static __always_inline void note(const struct step *s, __u64 at, __u64 ip)
{
    s->stack->ip[at] = ip;
    s->stack->depth = at + 1;
    s->walk->hash = hash_step(s->walk->hash, ip);
}

/* One frame: notes it and goes to its caller. Returns 1 at the end. */
static long unwind_step(__u32 i, struct step *s)
{
    struct walk *w = s->walk;
    struct event_range *range;
    struct event_row *row = NULL;
    __u64 pc, at = i;
    int interrupted;

    /* Keeps the compiler from comparing a copy: 6.1's verifier would not know the index. */
    asm volatile("" : "+r"(at));
    if (at >= stack_max)
        return 1;
    pc = w->exact ? w->ip : w->ip - 1;
    range = find_range(&w->search, s->memory, pc);
    if (range && !range->count) {
        w->fallback = 1;
        return 1;
    }
    if (range)
        row = find_row(&w->search, s->memory, range, pc - range->bias);
    /* Nobody called what a signal interrupted, nor the way back from it: the kernel made it look
     * so. Who names a caller's frame looks one byte before it, where the call is. */
    interrupted = w->exact ? at > 0 : row && row->kind == ROW_SIGNAL;
    note(s, at, w->ip + interrupted);
    if (row)
        return step_by_row(s, row);
    return step_by_frame_pointer(s, range ? EVENT_BROKEN_NO_RULE : EVENT_BROKEN_NO_FILE);
}

/* The user's registers as the kernel saved them when it was entered. A function of its own: merged
 * with the reads from the context the verifier would not know what is read. */
static __noinline int saved_registers(const struct step *s)
{
    struct task_struct *task = task_of(s);
    struct pt_regs___kernel *regs;
    struct walk *w = s->walk;

    if (task->flags & PF_KTHREAD)
        return -1;
    regs = (struct pt_regs___kernel *)bpf_task_pt_regs(task);
    w->ip = regs->ip;
    w->sp = regs->sp;
    w->bp = regs->bp;
    return 0;
}

/* The user's registers at the sample. ctx may be NULL: then the sample is the kernel's. */
static __always_inline int user_registers(const struct step *s, struct bpf_perf_event_data *ctx)
{
    struct walk *w = s->walk;

    if (!ctx || (ctx->regs.cs & 3) != 3)
        return saved_registers(s);
    if (ctx->regs.cs == 0x23) /* 32-bit code */
        return -1;
    w->ip = ctx->regs.rip;
    w->sp = ctx->regs.rsp;
    w->bp = ctx->regs.rbp;
    return 0;
}

/* Fills scratch with the user stack; *hash is what stack_store() wants. ctx: as for
 * user_registers(). Returns 0, or -1 when frame pointers have to do. */
static __always_inline int unwind(struct step *s, __u32 tgid, struct bpf_perf_event_data *ctx,
                                  __u64 *hash)
{
    struct event_process *process = bpf_map_lookup_elem(&unwind_processes, &tgid);
    struct walk *w;
    __u32 zero = 0;

    s->walk = w = bpf_map_lookup_elem(&walks, &zero);
    s->stack = bpf_map_lookup_elem(&scratch, &zero);
    s->memory = bpf_map_lookup_elem(&memories, &zero);
    if (!process || !s->walk || !s->stack || !s->memory)
        return -1;
    __builtin_memset(w, 0, sizeof(*w));
    w->search.first = w->search.range = process->first;
    w->search.count = process->count;
    w->exact = 1;
    w->hash = stack_seed;
    if (w->search.count == 0 || w->search.count > EVENT_RANGES_PER_PROCESS_MAX ||
        user_registers(s, ctx) < 0)
        return -1;
    s->stack->depth = 0;
    bpf_loop(stack_max, unwind_step, s, 0);
    if (w->fallback)
        return -1;
    s->stack->flags = w->flags | EVENT_STACK_TABLES;
    *hash = w->hash;
    return 0;
}

#ifndef UNWIND_OTHERS
/* The user's part of the current task's stack, by tables where the agent has told of them. perf may
 * be NULL: then the kernel was entered before. Returns as stack_store(). */
static __always_inline int take_user_stack(void *ctx, struct bpf_perf_event_data *perf,
                                           struct event_counters *c, __u64 now, __u64 *ret)
{
    __u32 zero = 0;
    struct step s = {};
    struct event_stack *stack;
    __u64 hash;

    if (!unwind_enabled)
        return stack_take(ctx, BPF_F_USER_STACK, 0, ret);
    if (unwind(&s, bpf_get_current_pid_tgid() >> 32, perf, &hash) < 0)
        return stack_take(ctx, BPF_F_USER_STACK, EVENT_STACK_NO_TABLE, ret);
    c->unwind_ns += bpf_ktime_get_ns() - now;
    stack = bpf_map_lookup_elem(&scratch, &zero);
    if (!stack)
        return 1 + EVENT_LOST_BUSY;
    if (!c->first_whole_ns && (stack->flags & EVENT_STACK_WHOLE))
        c->first_whole_ns = now;
    return stack_store(stack, hash, ret);
}

/* A forked process has its parent's mappings from its first instruction on, and another program's
 * from its exec on: too early for the agent, so both are followed here. */
SEC("raw_tracepoint/sched_process_fork")
int on_sched_process_fork(struct bpf_raw_tracepoint_args *ctx)
{
    struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
    __u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid);
    struct event_process *process;

    if (from == to)
        return 0;
    process = bpf_map_lookup_elem(&unwind_processes, &from);
    if (process)
        bpf_map_update_elem(&unwind_processes, &to, process, BPF_ANY);
    return 0;
}

SEC("raw_tracepoint/sched_process_exec")
int on_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
    struct task_struct *task = (void *)ctx->args[0];
    __u32 tgid = BPF_CORE_READ(task, tgid);

    if (bpf_map_lookup_elem(&unwind_processes, &tgid))
        bpf_map_delete_elem(&unwind_processes, &tgid);
    return 0;
}
#endif
