// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Threads that wait, and who ends the wait: the views offcpu, switches, runq, wakeup, offwake,
 * chain, hotcold and states.
 *
 * All of them follow the same states (thread.bpf.h); a view decides which stacks are worth taking
 * and what becomes a row. Values are microseconds, but for switches.
 */
#include "bpf/charge.bpf.h"
#include "bpf/histogram.bpf.h"
#include "bpf/waker.bpf.h"

const volatile __u32 chain_depth = 1;
const volatile __u64 slice_ns = 1000000000; /* runq: of the histograms over time */
const volatile __u8 state_is_told = 0; /* sched_switch says in which state it leaves (Linux 5.18) */

#define TASK_DEAD 0x80

/* Latencies of the run queue. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct event_cell);
    __type(value, struct event_value);
} cells SEC(".maps");

/* For the one program that looks at other tasks: others may run on this CPU meanwhile. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __uint(value_size, EVENT_STACK_BYTES(0)); /* of a struct event_stack */
} task_stack SEC(".maps");

/* ---- the end of a wait ---- */

/* Blocked time of that length has ended. */
static __always_inline void end_blocked(struct event_thread *t, __u64 ns, __u64 now)
{
    if (view == EVENT_VIEW_SWITCHES || view == EVENT_VIEW_RUNQ || !is_wanted_wait(t, ns))
        return;
    t->key.waker = t->waker;
    add_time(t, EVENT_PART_BLOCKED, thin_charge(t, EVENT_OWED_BLOCKED, ns), now);
}

/* Puts who woke the current thread, and who woke that one, behind its own waker. */
static __always_inline void follow_chain(void *ctx, struct event_thread *t)
{
    struct task_struct *task = bpf_get_current_task_btf();
    __u32 tid = task->pid;
    struct event_thread *me = NULL;

    if (!in_interrupt(ctx, task))
        me = bpf_map_lookup_elem(&threads, &tid);

    for (__u32 i = 1; i < EVENT_CHAIN_MAX; i++)
        t->chain.wakers[i] = me && i < chain_depth ? me->chain.wakers[i - 1] : 0;
    intern(&chains, &t->chain, &t->waker);
}

static __always_inline void note_waker(void *ctx, struct event_thread *t, __u64 now)
{
    struct event_counters *c = my_counters();

    if (view != EVENT_VIEW_WAKEUP && view != EVENT_VIEW_OFFWAKE && view != EVENT_VIEW_CHAIN)
        return;
    if (t->thin == EVENT_THIN_OWES)
        return;
    if (c)
        take_waker(ctx, c, now, &t->waker);
    if (view != EVENT_VIEW_CHAIN)
        return;
    t->chain.wakers[0] = t->waker;
    follow_chain(ctx, t);
}

static __always_inline void add_cell(const struct event_cell *cell, __u64 us)
{
    struct event_value first = {.count = 1, .first_ns = us, .last_ns = us}, *value;
    struct event_counters *c;

    value = bpf_map_lookup_elem(&cells, cell);
    if (!value && bpf_map_update_elem(&cells, cell, &first, BPF_NOEXIST) == 0)
        return;
    value = value ? value : bpf_map_lookup_elem(&cells, cell);
    if (!value) {
        c = my_counters();
        if (c)
            c->lost[EVENT_LOST_KEYS_FULL]++;
        return;
    }
    __sync_fetch_and_add(&value->count, 1);
    __sync_fetch_and_add(&value->first_ns, us); /* a sum, here */
    if (us > value->last_ns)
        value->last_ns = us; /* the longest, here */
}

static __always_inline void add_latency(struct event_thread *t, __u32 tid, __u32 part, __u64 ns,
                                        __u64 now)
{
    struct event_cell cell = {.tid = tid, .bucket = histogram_bucket(ns / 1000), .part = part};

    if (!begin_ns || now < begin_ns || !is_wanted_thread(&t->key))
        return;
    add_cell(&cell, ns / 1000);
    cell.tid = 0;
    cell.slice = 1 + (now - begin_ns) / slice_ns;
    add_cell(&cell, ns / 1000);
}

/* Time in the run queue has ended, some of it throttled. */
static __always_inline void end_runnable(struct event_thread *t, __u32 tid, __u64 ns,
                                         __u64 throttled, __u64 now)
{
    struct event_counters *c = my_counters();

    if (view == EVENT_VIEW_RUNQ) {
        if (c && begin_ns)
            c->taken++;
        add_latency(t, tid, EVENT_PART_RUNNABLE, ns - throttled, now);
        if (throttled)
            add_latency(t, tid, EVENT_PART_THROTTLED, throttled, now);
    }
    if (view == EVENT_VIEW_HOTCOLD && is_wanted_thread(&t->key)) {
        add_time(t, EVENT_PART_RUNNABLE, thin_charge(t, EVENT_OWED_RUNNABLE, ns - throttled), now);
        add_time(t, EVENT_PART_THROTTLED, throttled, now);
    }
}

/* Ends a wait, of whichever kind. */
static __always_inline void end_wait(struct event_thread *t, __u32 tid, __u64 now)
{
    __u32 was = t->state;
    __u64 spent, throttled;

    throttled = t->times.time_ns[EVENT_THROTTLED];
    spent = leave_state(t, EVENT_ON_CPU, now);
    throttled = t->times.time_ns[EVENT_THROTTLED] - throttled;
    if (was == EVENT_BLOCKED)
        end_blocked(t, spent, now);
    if (was == EVENT_RUNNABLE)
        end_runnable(t, tid, spent, throttled, now);
}

/* ---- switching out ---- */

static __always_inline int wants_stack(__u32 blocked)
{
    switch (view) {
    case EVENT_VIEW_SWITCHES:
    case EVENT_VIEW_HOTCOLD:
        return 1;
    case EVENT_VIEW_OFFCPU:
    case EVENT_VIEW_OFFWAKE:
    case EVENT_VIEW_CHAIN:
    case EVENT_VIEW_STATES:
        return blocked;
    default:
        return 0;
    }
}

/* Where the current thread leaves its CPU; what cannot be stored stays empty and is counted when
 * its time is. */
static __always_inline void take_stacks(void *ctx, struct event_thread *t, struct task_struct *task,
                                        __u64 now)
{
    struct event_counters *c = my_counters();

    t->key.user_stack = t->key.kernel_stack = 0;
    t->key.exec_id = (__u32)BPF_CORE_READ(task, group_leader, self_exec_id);
    if (!c)
        return;
    kstack_take(ctx, KSTACK_SWITCH, c, &t->key.kernel_stack);
    if (view != EVENT_VIEW_STATES)
        take_user_stack(ctx, NULL, c, now, &t->key.user_stack);
}

/* Whether the stacks of the wait that begins are to be taken, where the view has any. */
static __always_inline int draw(struct event_thread *t, __u32 blocked, __u64 now)
{
    struct event_counters *c;

    t->thin = 1;
    if (!wants_stack(blocked) && !(view == EVENT_VIEW_WAKEUP && blocked))
        return 0;
    c = my_counters();
    if (thin_draw(t, view == EVENT_VIEW_CHAIN, now)) {
        if (c)
            c->drawn++;
        return 1;
    }
    if (c)
        c->owing++;
    t->key.user_stack = t->key.kernel_stack = 0;
    if (view == EVENT_VIEW_CHAIN)
        __builtin_memset(&t->chain, 0, sizeof(t->chain));
    return 0;
}

/* Some kernels hide switches from tracing, so that a thread may run without having been switched
 * in. How long it ran the kernel knows; before that it waited. */
static __always_inline void make_up(struct event_thread *t, __u32 tid, __u64 executed, __u64 now)
{
    __u64 ran = executed - t->exec_ns, most = now - t->since_ns;

    end_wait(t, tid, now - (t->exec_ns && ran < most ? ran : 0));
}

static __always_inline void switch_out(void *ctx, struct task_struct *task, __u32 state, __u64 now)
{
    struct event_thread *t = obtain_thread(task, ROOM_HOOKS, EVENT_ON_CPU, now);
    __u64 executed = task->se.sum_exec_runtime, spent;
    __u32 blocked = state != 0;

    if (!t)
        return;
    if (t->state != EVENT_ON_CPU)
        make_up(t, task->pid, executed, now);
    t->exec_ns = executed;
    spent = leave_state(t, blocked ? EVENT_BLOCKED : EVENT_RUNNABLE, now);
    t->uncharged_ns += spent;
    copy_comm(t->key.comm, task); /* it may have been renamed */
    if (state & TASK_DEAD) {
        add_unsampled(t, now);
        add_owed(t, now);
        retire(task, t, now);
        return;
    }
    t->why = state;
    t->waker = 0;
    if (begin_ns) {
        if (blocked)
            t->times.voluntary++;
        else
            t->times.involuntary++;
    }
    if (!blocked)
        note_queue(t, task);
    if (draw(t, blocked, now) && wants_stack(blocked))
        take_stacks(ctx, t, task, now);
    if (view == EVENT_VIEW_SWITCHES && is_wanted_thread(&t->key)) {
        t->key.part = blocked ? EVENT_PART_VOLUNTARY : EVENT_PART_INVOLUNTARY;
        add_row(&t->key, thin_charge(t, blocked ? EVENT_OWED_BLOCKED : EVENT_OWED_RUNNABLE, 1),
                now);
    }
}

/* ---- switching in ---- */

static __always_inline void switch_in(struct task_struct *task, __u64 now)
{
    struct event_thread *t = obtain_thread(task, ROOM_HOOKS, EVENT_RUNNABLE, now);

    if (t)
        end_wait(t, task->pid, now);
}

/* The capture is over: what a thread is doing counts up to there. */
static __always_inline void settle(struct task_struct *task)
{
    __u32 tid = task->pid;
    struct event_thread *t = bpf_map_lookup_elem(&threads, &tid);

    if (!t || t->times.threads)
        return;
    if (t->state == EVENT_ON_CPU)
        t->uncharged_ns += leave_state(t, EVENT_ON_CPU, end_ns);
    else
        end_wait(t, tid, end_ns);
    add_unsampled(t, end_ns);
    add_owed(t, end_ns);
    close_times(t, end_ns);
}

/* ---- hooks ---- */

/* A run that began then has ended. The clock costs as much as a good part of a run: it is asked at
 * one in 8 to 23 of them, as chance will have it, which counts for all since the last. */
static __always_inline void note_run(__u64 began)
{
    struct event_counters *c = my_counters();

    if (!c || ++c->runs < c->timed_next)
        return;
    c->run_ns += (bpf_ktime_get_ns() - began) * (c->runs - c->timed);
    c->timed = c->runs;
    c->timed_next = c->runs + 8 + (began & 15);
}

/* Nothing counts after the end. */
static __always_inline int is_over(__u64 now)
{
    return end_ns && now >= end_ns;
}

SEC("tp_btf/sched_switch")
int on_sched_switch(unsigned long long *args)
{
    struct task_struct *prev = (void *)args[1], *next = (void *)args[2];
    int out = task_is_target(prev), in = task_is_target(next);
    __u32 state = 0;
    __u64 now;

    if (!out && !in)
        return 0;
    now = bpf_ktime_get_ns();
    if (is_over(now)) {
        if (out)
            settle(prev); /* it may be gone before the agent looks */
        return 0;
    }
    /* A preempted thread goes on in whatever state it was about to enter. */
    if (!args[0])
        state = state_is_told ? (__u32)args[3] : prev->__state;
    if (out)
        switch_out(args, prev, state, now);
    if (in)
        switch_in(next, now);
    note_run(now);
    return 0;
}

SEC("tp_btf/sched_waking")
int on_sched_waking(unsigned long long *args)
{
    struct task_struct *task = (void *)args[0];
    struct event_thread *t;
    __u64 now, spent;

    if (!task_is_target(task))
        return 0;
    now = bpf_ktime_get_ns();
    if (is_over(now))
        return 0;
    t = obtain_thread(task, ROOM_HOOKS, EVENT_BLOCKED, now);
    if (!t || t->state != EVENT_BLOCKED)
        return 0;
    spent = leave_state(t, EVENT_RUNNABLE, now);
    t->queue = 0;
    note_waker(args, t, now);
    end_blocked(t, spent, now);
    note_run(now);
    return 0;
}

/* It stands in its run queue now, which may be another one than where it went to sleep. Only there
 * to tell what of its wait was a quota's. */
SEC("tp_btf/sched_wakeup")
int on_sched_wakeup(unsigned long long *args)
{
    struct task_struct *task = (void *)args[0];
    __u32 tid = task->pid;
    struct event_thread *t = bpf_map_lookup_elem(&threads, &tid);

    if (t && t->state == EVENT_RUNNABLE)
        note_queue(t, task);
    return 0;
}

SEC("tp_btf/sched_wakeup_new")
int on_sched_wakeup_new(unsigned long long *args)
{
    struct task_struct *task = (void *)args[0];
    struct event_thread *t;
    __u64 now;

    if (!task_is_target(task))
        return 0;
    now = bpf_ktime_get_ns();
    t = is_over(now) ? NULL : obtain_thread(task, ROOM_HOOKS, EVENT_RUNNABLE, now);
    if (t)
        note_queue(t, task);
    return 0;
}

/* Where a thread that has been waiting since before the capture does so: the kernel's part. What it
 * called from can only be read in its own memory (look.bpf.c). */
static __always_inline void take_kernel_stack_of(struct task_struct *task, __u64 *ret)
{
    __u32 zero = 0;
    struct event_stack *stack = bpf_map_lookup_elem(&task_stack, &zero);
    long bytes;

    if (!stack)
        return;
    bytes = bpf_get_task_stack(task, stack->ip, EVENT_STACK_MAX * sizeof(stack->ip[0]), 0);
    if (bytes <= 0)
        return;
    stack->depth = (__u64)bytes / sizeof(stack->ip[0]);
    stack->flags = 0;
    stack_store(stack, stack_hash(stack), ret);
}

/* Notes a thread of which nothing was seen yet. */
static __always_inline void seed(struct task_struct *task, __u64 now)
{
    __u32 tid = task->pid, state = EVENT_BLOCKED, why = task->__state;
    struct event_thread *t;

    if (bpf_map_lookup_elem(&threads, &tid) || (why & TASK_DEAD))
        return;
    if (task->on_cpu)
        state = EVENT_ON_CPU;
    else if (!why)
        state = EVENT_RUNNABLE;
    t = obtain_thread(task, ROOM_LOOKS, state, now);
    if (task->__state & TASK_DEAD) {
        bpf_map_delete_elem(&threads, &tid); /* its end may have been seen before */
        return;
    }
    if (!t || t->state != state || t->why)
        return; /* a hook has seen more of it meanwhile */
    t->why = why;
    if (state == EVENT_RUNNABLE)
        note_queue(t, task);
    if (state == EVENT_BLOCKED && wants_stack(1))
        take_kernel_stack_of(task, &t->key.kernel_stack);
}

/* Run by the agent over all tasks: once at the beginning and once at the end. */
SEC("iter/task")
int on_task(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;

    if (!task || !task_is_target(task))
        return 0;
    if (end_ns)
        settle(task);
    else
        seed(task, bpf_ktime_get_ns());
    return 0;
}

/* hotcold: time on a CPU goes to the stacks that are found there. */
SEC("perf_event")
int on_clock(struct bpf_perf_event_data *ctx)
{
    __u32 tid = (__u32)bpf_get_current_pid_tgid();
    struct event_key key = {.part = EVENT_PART_ON_CPU};
    struct event_counters *c;
    struct event_thread *t;
    __u64 now, ns;

    if (!current_is_target())
        return 0;
    now = bpf_ktime_get_ns();
    t = is_over(now) ? NULL : bpf_map_lookup_elem(&threads, &tid);
    if (!t || t->state != EVENT_ON_CPU)
        return 0;
    ns = t->uncharged_ns + leave_state(t, EVENT_ON_CPU, now);
    t->uncharged_ns = 0;
    fill_who(&key, bpf_get_current_task_btf());
    if (!is_wanted_thread(&key))
        return 0;
    stack_take(ctx, 0, 0, &key.kernel_stack);
    c = my_counters();
    if (c)
        take_user_stack(ctx, ctx, c, now, &key.user_stack);
    add_row(&key, whole_us(t, ns), now);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
