/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who waits for what a file system's journal writes.
 *
 * The thread that writes a journal of jbd2 (ext4's) is the kernel's, and tells nothing of who wants
 * it to be written. Whoever does, as by fsync(2), waits in the journal's queue until it is, so that
 * a request's end is when to look: when it begins, who has woken the thread may not be there yet.
 * Entries of that queue are on their owners' stacks, and it is not locked here: what is read may be
 * gone by then, so that nothing is followed without a copy, and names may be missing or, rarely,
 * another's.
 */
#pragma once

#include "bpf/filter.bpf.h"

#define WAITERS_MAX 8

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kthread {
    void *data;
};

struct list_head {
    struct list_head *next;
};

struct wait_queue_head {
    struct list_head head;
};

struct wait_queue_entry {
    void *private;
    struct list_head entry;
};

struct journal_s {
    struct wait_queue_head j_wait_done_commit;
};

/* Up to 5.16: where a kernel thread has what others have its thread's address for. */
struct task_struct___old {
    void *set_child_tid;
};

#pragma clang attribute pop

struct waiter {
    __u64 cgroup_id; /* v2 */
    __u32 tgid, ns_tgid;
    char comm[EVENT_COMM_SIZE];
    int mine; /* belongs to the target */
};

/* A kernel thread's name cannot be had by anybody else: it is asked for once it is known as one. */
static __always_inline int writes_journal(struct task_struct *kernel_thread)
{
    const __u64 name = *(const __u64 *)&kernel_thread->comm[0];

    return (name & 0xffffffffff) == 0x2f3264626a; /* jbd2/ */
}

/* As task_is_target(), of a task that the verifier does not know as one. */
static __always_inline int stranger_is_target(struct task_struct *task, __u32 tgid)
{
    struct css_set *set = filter_kind == EVENT_FILTER_ALL ? NULL : BPF_CORE_READ(task, cgroups);
    struct cgroup_subsys_state *css = NULL;
    struct cgroup *cgroup;

    if (filter_kind == EVENT_FILTER_CGROUP_V1) {
        bpf_probe_read_kernel(&css, sizeof(css),
                              (void *)set + bpf_core_field_offset(struct css_set, subsys) +
                                  sizeof(css) * (filter_subsystem & 15));
        cgroup = BPF_CORE_READ(css, cgroup);
    } else {
        cgroup = BPF_CORE_READ(set, dfl_cgrp);
    }
    if (filter_kind != EVENT_FILTER_ALL && ancestor_id(cgroup) != filter_cgroup)
        return 0;
    return !filter_tgids || bpf_map_lookup_elem(&target_tgids, &tgid);
}

static __always_inline void fill_waiter(struct waiter *w, struct task_struct *task, __u32 tgid)
{
    w->tgid = tgid;
    w->ns_tgid = ns_pid_of(BPF_CORE_READ(task, group_leader));
    w->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
    bpf_core_read(w->comm, sizeof(w->comm), &task->comm);
}

/* Where those wait for whom this thread of the kernel writes. 0: it writes no journal, or the type
 * is not known (of a module that came after this capture's start). */
static __always_inline __u64 journal_queue(struct task_struct *kernel_thread)
{
    struct kthread *thread;

    if (!writes_journal(kernel_thread) || !bpf_core_type_exists(struct journal_s))
        return 0;
    if (bpf_core_field_exists(kernel_thread->worker_private))
        thread = kernel_thread->worker_private;
    else
        thread = BPF_CORE_READ((struct task_struct___old *)kernel_thread, set_child_tid);
    return (__u64)BPF_CORE_READ(thread, data) +
           bpf_core_field_offset(struct journal_s, j_wait_done_commit) +
           bpf_core_field_offset(struct wait_queue_head, head);
}

/* Who waits there: of the target, or if anybody will do, whoever is found. False: nobody. */
static __noinline int find_waiter(__u64 queue, int anybody, struct waiter *w)
{
    struct list_head *head = (void *)queue, *at = BPF_CORE_READ(head, next);

    for (int i = 0; i < WAITERS_MAX && at && at != head && !w->mine; i++) {
        struct wait_queue_entry *entry =
            (void *)at - bpf_core_field_offset(struct wait_queue_entry, entry);
        struct task_struct *task = BPF_CORE_READ(entry, private);
        __u32 tgid = BPF_CORE_READ(task, tgid);

        w->mine = stranger_is_target(task, tgid);
        if (w->mine || anybody)
            fill_waiter(w, task, tgid);
        at = BPF_CORE_READ(at, next);
    }
    return w->tgid != 0;
}
