/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Does the current task belong to the target? Asked first in every program, before anything costs.
 *
 * The constants are set by the agent before the object is loaded, so that the verifier removes the
 * branches that this capture does not use.
 */
#pragma once

#include "bpf/kernel.bpf.h"

const volatile __u32 filter_kind = EVENT_FILTER_ALL; /* enum event_filter */
const volatile __u64 filter_cgroup = 0;              /* id of the target's cgroup */
const volatile __u32 filter_level = 0;               /* its level; the hierarchy's root is 0 */
const volatile __u32 filter_subsystem = 0;           /* v1: index into css_set.subsys */
const volatile __u8 filter_tgids = 0;                /* 1: only processes in the map below */

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u8);
} target_tgids SEC(".maps");

/* Id of the cgroup at that level above (or at) this one; 0 when it is not that deep. */
static __always_inline __u64 ancestor_at(struct cgroup *cgroup, __u32 at)
{
    int level = BPF_CORE_READ(cgroup, level);
    struct cgroup *ancestor = NULL;
    __u64 id = 0;

    if (level <= (int)at)
        return level == (int)at ? BPF_CORE_READ(cgroup, kn, id) : 0;
    if (bpf_core_field_exists(((struct cgroup *)0)->ancestors)) {
        bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
                              (void *)cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
                                  at * sizeof(ancestor));
        return BPF_CORE_READ(ancestor, kn, id);
    }
    bpf_probe_read_kernel(&id, sizeof(id),
                          (void *)cgroup +
                              bpf_core_field_offset(struct cgroup___old, ancestor_ids) +
                              at * sizeof(id));
    return id;
}

static __always_inline __u64 ancestor_id(struct cgroup *cgroup)
{
    return ancestor_at(cgroup, filter_level);
}

/* Most cgroups of a host are told by two numbers: what is not deeper than the target's is the
 * target's or elsewhere. The verifier knows it as a cgroup. */
static __always_inline int cgroup_is_target(struct cgroup *cgroup)
{
    int level = cgroup->level;

    if (level <= (int)filter_level)
        return level == (int)filter_level && cgroup->kn->id == filter_cgroup;
    return ancestor_id(cgroup) == filter_cgroup;
}

/* Of a task's cgroup in the v2 hierarchy. The verifier knows it as a task. */
static __always_inline __u64 cgroup_id_of(struct task_struct *task)
{
    return task->cgroups->dfl_cgrp->kn->id;
}

/* Which of the task's cgroups is the v1 controller's. The verifier follows types through an array
 * of pointers, too. */
static __always_inline int v1_is_target(struct task_struct *task)
{
    void *set = task->cgroups;
    struct cgroup_subsys_state **css = set + bpf_core_field_offset(struct css_set, subsys) +
                                       sizeof(*css) * (filter_subsystem & 15);

    return cgroup_is_target((*css)->cgroup);
}

static __always_inline int current_is_target(void)
{
    __u32 tgid = bpf_get_current_pid_tgid() >> 32;

    if (tgid == 0)
        return 0; /* the idle task is nobody's */
    if (filter_kind == EVENT_FILTER_CGROUP_V2 &&
        bpf_get_current_ancestor_cgroup_id(filter_level) != filter_cgroup)
        return 0;
    if (filter_kind == EVENT_FILTER_CGROUP_V1 && !v1_is_target(bpf_get_current_task_btf()))
        return 0;
    return !filter_tgids || bpf_map_lookup_elem(&target_tgids, &tgid);
}

/* The same for a task that is not the current one, such as that which is switched in or woken. The
 * verifier knows it as a task, so that its fields are read without a call for each. */
static __always_inline int task_is_target(struct task_struct *task)
{
    __u32 tgid = task->tgid;

    if (tgid == 0)
        return 0;
    if (filter_kind == EVENT_FILTER_CGROUP_V2 && !cgroup_is_target(task->cgroups->dfl_cgrp))
        return 0;
    if (filter_kind == EVENT_FILTER_CGROUP_V1 && !v1_is_target(task))
        return 0;
    return !filter_tgids || bpf_map_lookup_elem(&target_tgids, &tgid);
}
