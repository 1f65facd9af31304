/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whose row it is: the part of a key that tells process, thread and cgroup.
 */
#pragma once

#include "bpf/kernel.bpf.h"

const volatile __u8 per_thread = 0;

/* The 16 bytes of a thread's name, in two loads. */
static __always_inline void copy_comm(char *to, struct task_struct *task)
{
    const __u64 *from = (const __u64 *)&task->comm[0];

    _Static_assert(EVENT_COMM_SIZE == 16, "two words");
    ((__u64 *)to)[0] = from[0];
    ((__u64 *)to)[1] = from[1];
}

/* All but the stacks, for any task that the verifier knows as one: its numbers are then read
 * without a call for each. Pointers are not: for each one that it meets the verifier searches all
 * of the kernel's types four times, which is milliseconds for every capture. */
static __always_inline void fill_who(struct event_key *key, struct task_struct *task)
{
    struct task_struct *leader = BPF_CORE_READ(task, group_leader);

    key->tgid = task->tgid;
    key->ns_tgid = ns_pid_of(leader);
    if (per_thread) {
        key->tid = task->pid;
        key->ns_tid = ns_pid_of(task);
    }
    key->start_boottime_ns = BPF_CORE_READ(leader, start_boottime);
    key->exec_id = (__u32)BPF_CORE_READ(leader, self_exec_id);
    key->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
    copy_comm(key->comm, task);
}
