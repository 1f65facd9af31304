// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Counts where the target's threads are when a perf event fires: the `cpu` view.
 *
 * One program per kind of event, because the kernel wants perf events and tracepoints
 * apart.
 */
#include "bpf/filter.bpf.h"
#include "bpf/unwind.bpf.h"

const volatile __u8 per_thread = 0;

static __always_inline void fill_key(struct event_key *key)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct task_struct *leader = BPF_CORE_READ(task, group_leader);
    __u64 pid_tgid = bpf_get_current_pid_tgid();

    key->tgid = pid_tgid >> 32;
    key->ns_tgid = ns_pid_of(leader);
    if (per_thread) {
        key->tid = (__u32)pid_tgid;
        key->ns_tid = ns_pid_of(task);
    }
    key->start_boottime_ns = BPF_CORE_READ(leader, start_boottime);
    key->exec_id = (__u32)BPF_CORE_READ(leader, self_exec_id);
    key->cgroup_id = bpf_get_current_cgroup_id();
    bpf_get_current_comm(key->comm, sizeof(key->comm));
}

/* The user's part: by tables where the agent has told of them. Returns as stack_store(). */
static __always_inline int take_user_stack(void *ctx, struct bpf_perf_event_data *perf, __u64 *ret)
{
    __u32 zero = 0;
    struct event_stack *stack;

    if (!unwind_enabled)
        return stack_take(ctx, BPF_F_USER_STACK, 0, ret);
    if (unwind(perf) < 0)
        return stack_take(ctx, BPF_F_USER_STACK, EVENT_STACK_NO_TABLE, ret);
    stack = bpf_map_lookup_elem(&scratch, &zero);
    return stack ? stack_store(stack, ret) : 1 + EVENT_LOST_BUSY;
}

/* Returns 0, or which loss it was, plus one. */
static __always_inline int count(void *ctx, struct bpf_perf_event_data *perf, __u64 now)
{
    struct event_value first = {.count = 1, .first_ns = now, .last_ns = now}, *value;
    struct event_key key = {};
    long error;
    int lost;

    lost = take_user_stack(ctx, perf, &key.user_stack);
    if (!lost)
        lost = stack_take(ctx, 0, 0, &key.kernel_stack);
    if (lost)
        return lost;
    fill_key(&key);

    value = bpf_map_lookup_elem(&rows, &key);
    if (!value) {
        error = bpf_map_update_elem(&rows, &key, &first, BPF_NOEXIST);
        if (error == 0)
            return 0;
        value = bpf_map_lookup_elem(&rows, &key);
        if (!value)
            return 1 + (error == -EBUSY ? EVENT_LOST_BUSY : EVENT_LOST_KEYS_FULL);
    }
    __sync_fetch_and_add(&value->count, 1);
    value->last_ns = now;
    return 0;
}

static __always_inline int sample(void *ctx, struct bpf_perf_event_data *perf)
{
    __u32 zero = 0;
    struct event_counters *c = bpf_map_lookup_elem(&counters, &zero);
    __u64 now;
    int lost;

    if (!c)
        return 0;
    c->runs++;
    if (!current_is_target())
        return 0;
    now = bpf_ktime_get_ns();
    if (!c->first_ns)
        c->first_ns = now;
    c->taken++;
    lost = count(ctx, perf, now);
    if (lost > 0 && lost <= EVENT_LOST_COUNT)
        c->lost[lost - 1]++;
    c->run_ns += bpf_ktime_get_ns() - now;
    return 0;
}

SEC("perf_event")
int on_perf_event(struct bpf_perf_event_data *ctx)
{
    return sample(ctx, ctx);
}

SEC("raw_tracepoint")
int on_raw_tracepoint(void *ctx)
{
    return sample(ctx, NULL);
}

char LICENSE[] SEC("license") = "GPL";
