// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Counts where the target's threads are when a perf event fires: the `cpu` view.
 *
 * One program per kind of event, because the kernel wants perf events and tracepoints
 * apart.
 */
#include "bpf/filter.bpf.h"
#include "bpf/unwind.bpf.h"
#include "bpf/who.bpf.h"

/* Returns 0, or which loss it was, plus one. */
static __always_inline int count(void *ctx, struct bpf_perf_event_data *perf,
                                 struct event_counters *c, __u64 now)
{
    struct event_key key = {};
    int lost;

    lost = take_user_stack(ctx, perf, c, now, &key.user_stack);
    if (!lost)
        lost = stack_take(ctx, 0, 0, &key.kernel_stack);
    if (lost)
        return lost;
    fill_who(&key, bpf_get_current_task_btf());
    return row_add(&key, 1, now);
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
    lost = count(ctx, perf, c, now);
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
