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

static __always_inline __u64 v1_ancestor_id(struct task_struct *task)
{
    struct css_set *set = BPF_CORE_READ(task, cgroups);
    struct cgroup_subsys_state *css = NULL;
    struct cgroup *cgroup, *ancestor = NULL;
    __u64 id = 0;

    bpf_core_read(&css, sizeof(css), &set->subsys[filter_subsystem & 15]);
    cgroup = BPF_CORE_READ(css, cgroup);
    if (BPF_CORE_READ(cgroup, level) < (int)filter_level)
        return 0;
    if (bpf_core_field_exists(((struct cgroup *)0)->ancestors)) {
        bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
                              (void *)cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
                                  filter_level * sizeof(ancestor));
        return BPF_CORE_READ(ancestor, kn, id);
    }
    bpf_probe_read_kernel(&id, sizeof(id),
                          (void *)cgroup +
                              bpf_core_field_offset(struct cgroup___old, ancestor_ids) +
                              filter_level * sizeof(id));
    return id;
}

static __always_inline int current_is_target(void)
{
    __u32 tgid = bpf_get_current_pid_tgid() >> 32;

    if (tgid == 0)
        return 0; /* the idle task is nobody's */
    if (filter_kind == EVENT_FILTER_CGROUP_V2 &&
        bpf_get_current_ancestor_cgroup_id(filter_level) != filter_cgroup)
        return 0;
    if (filter_kind == EVENT_FILTER_CGROUP_V1 &&
        v1_ancestor_id((struct task_struct *)bpf_get_current_task()) != filter_cgroup)
        return 0;
    return !filter_tgids || bpf_map_lookup_elem(&target_tgids, &tgid);
}
