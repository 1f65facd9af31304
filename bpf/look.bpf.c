// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Looks where threads wait that have done so since before the capture: the user's part, which only
 * a program that may sleep can read in another task's memory. As long as such a thread waits, its
 * stack stays as it is.
 *
 * Works on the maps of sched.bpf.c, but for what a walk needs: this program can be interrupted by
 * the others.
 */
#define UNWIND_OTHERS
#include "bpf/thread.bpf.h"
#include "bpf/unwind.bpf.h"

__u64 missing = 0; /* threads for whose process the tables have not been told yet */

/* It waits, for as long as the capture knows, and nobody has seen where. */
static __always_inline int is_sleeper(const struct event_thread *t)
{
    return t->state == EVENT_BLOCKED && t->since_ns <= begin_ns && !t->key.user_stack;
}

/* What was walked may have been another wait's, if the thread has woken meanwhile. */
static __always_inline void note_stack(struct event_thread *t, __u64 hash)
{
    if (!is_sleeper(t))
        return;
    t->key.user_stack = hash;
    if (t->state != EVENT_BLOCKED || t->since_ns > begin_ns)
        t->key.user_stack = 0;
}

SEC("iter.s/task")
int on_task(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    struct step s = {.task = task};
    struct event_stack *stack;
    struct event_thread *t;
    __u64 hash, key = 0;
    __u32 tid, zero = 0;

    if (!task || (task->flags & PF_KTHREAD))
        return 0;
    tid = task->pid;
    t = bpf_map_lookup_elem(&threads, &tid);
    if (!t || !is_sleeper(t))
        return 0;
    if (unwind(&s, task->tgid, NULL, &hash) < 0) {
        missing++;
        return 0;
    }
    stack = bpf_map_lookup_elem(&scratch, &zero);
    if (stack && stack->depth && stack_store(stack, hash, &key) == 0)
        note_stack(t, key);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
