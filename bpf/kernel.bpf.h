/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The few fields of kernel structures that our programs read.
 *
 * Written by hand instead of dumped from the build machine: CO-RE moves every access to where the
 * running kernel keeps the field, so a build needs no BTF and no kernel headers. A type whose name
 * ends in ___old describes how older kernels had it (libbpf ignores what follows three
 * underscores).
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "bpf/event.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct upid {
    int nr;
};

struct pid {
    unsigned int level;
    struct upid numbers[1];
};

struct kernfs_node {
    __u64 id;
};

struct cgroup {
    int level;
    struct kernfs_node *kn;
    struct cgroup *ancestors[1];
};

/* Up to 6.0. */
struct cgroup___old {
    __u64 ancestor_ids[1];
};

struct cgroup_subsys_state {
    struct cgroup *cgroup;
    __u64 serial_nr; /* of no other one's */
};

struct css_set {
    struct cgroup_subsys_state *subsys[16];
    struct cgroup *dfl_cgrp;
};

/* The user's registers as the kernel saved them on x86-64; user space's headers spell them
 * otherwise. */
struct pt_regs___kernel {
    unsigned long ip, sp, bp;
    unsigned long orig_ax; /* number of the system call, or negative */
};

struct rq {
    __u64 clock;
};

struct cfs_rq {
    struct rq *rq;
    __u64 throttled_clock_self, throttled_clock_self_time; /* since 6.5 */
    __u64 throttled_clock_pelt_time;
};

struct sched_entity {
    __u64 sum_exec_runtime;
    struct cfs_rq *cfs_rq;
};

/* Of x86-64. */
struct thread_struct {
    unsigned long fsbase;
};

struct task_struct {
    int pid, tgid;
    unsigned int flags;
    unsigned int __state;
    int on_cpu;
    void *stack;
    void *worker_private;
    char comm[EVENT_COMM_SIZE];
    struct sched_entity se;
    __u64 start_time, start_boottime;
    __u64 self_exec_id;
    struct task_struct *group_leader;
    struct pid *thread_pid;
    struct css_set *cgroups;
    struct thread_struct thread;
};

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};

#pragma clang attribute pop

/* The number of a task in its innermost pid namespace. */
static __always_inline __u32 ns_pid_of(struct task_struct *task)
{
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    unsigned int level = BPF_CORE_READ(pid, level);
    int nr = 0;

    /* The kernel nests at most 32 levels (MAX_PID_NS_LEVEL). */
    if (level > 32)
        return 0;
    bpf_probe_read_kernel(&nr, sizeof(nr),
                          (void *)pid + bpf_core_field_offset(struct pid, numbers) +
                              level * bpf_core_type_size(struct upid));
    return nr;
}
