/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `tcp` view's stacks: where connects, accepts, sends, receives and retransmits come from.
 */
#include "agent/kernel_hooks.h"
#include "agent/kernel_types.h"
#include "agent/probe_maps.h"
#include "bpf/tcpstack.skel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#define ROWS 16384u

struct tcpstack {
    struct probe probe; /* first: a probe is cast to it */
    struct tcpstack_bpf *bpf;
    bool bytes, has_transfers;
    bool unwinds;
};

static struct tcpstack *stacks_of(struct probe *p)
{
    return (struct tcpstack *)((char *)p - offsetof(struct tcpstack, probe));
}

static void stacks_close(struct probe *p)
{
    struct tcpstack *t;

    if (!p)
        return;
    t = stacks_of(p);
    tcpstack_bpf__destroy(t->bpf);
    free(t);
}

static int stacks_types(struct table *names)
{
    struct tcpstack_bpf *bpf = tcpstack_bpf__open();
    int r = bpf ? kernel_types_add(names, bpf_object__btf(bpf->obj)) : -errno;

    tcpstack_bpf__destroy(bpf);
    return r;
}

static void set_constants(struct tcpstack *t, const struct probe_setup *setup,
                          const struct probe_filter *filter)
{
    struct tcpstack_bpf__rodata *ro = t->bpf->rodata;

    PROBE_SET_FILTER(ro, filter);
    ro->per_thread = setup->per_thread;
    ro->unwind_enabled = t->unwinds;
    ro->stack_max = setup->stack_max;
    ro->retransmit_tells_error = kernel_hooks_retransmit_tells_error();
    ro->by_bytes = t->bytes;
    if (getrandom((void *)&ro->stack_seed, 8, GRND_NONBLOCK) != 8)
        ro->stack_seed = (uintptr_t)t;
}

/* Sends and receives are told since Linux 6.3. Nobody accepts or connects bytes. */
static void choose_programs(struct tcpstack *t)
{
    t->has_transfers = kernel_hooks_has("tp_btf/sock_send_length");
    bpf_program__set_autoload(t->bpf->progs.on_sched_process_fork, t->unwinds);
    bpf_program__set_autoload(t->bpf->progs.on_sched_process_exec, t->unwinds);
    bpf_program__set_autoload(t->bpf->progs.on_sock_send_length, t->has_transfers);
    bpf_program__set_autoload(t->bpf->progs.on_sock_recv_length, t->has_transfers);
    bpf_program__set_autoload(t->bpf->progs.on_connect, !t->bytes);
    bpf_program__set_autoload(t->bpf->progs.on_sys_exit, !t->bytes);
}

static int load(struct tcpstack *t, const struct probe_setup *setup, int rows_fd, struct err *e)
{
    struct probe_filter filter;
    int r;

    t->unwinds = rows_fd >= 0;
    r = probe_filter_init(setup, &filter, e);
    if (r < 0)
        return r;
    set_constants(t, setup, &filter);
    choose_programs(t);
    probe_maps_size(t->bpf->maps.rows, t->bpf->maps.stacks, t->bpf->maps.scratch, ROWS,
                    setup->stack_max);
    r = probe_maps_use_unwind(t->bpf->maps.unwind_rows, t->bpf->maps.unwind_ranges,
                              t->bpf->maps.unwind_processes, rows_fd);
    if (r < 0)
        return r;
    r = tcpstack_bpf__load(t->bpf);
    if (r < 0) {
        err_set(e, ERR_UNSUPPORTED, "the kernel does not take the BPF program: %s", strerror(-r));
        err_remedy(e, "see porthole doctor for what this host lacks");
        return -EOPNOTSUPP;
    }
    probe_tell_programs(setup, t->bpf->obj);
    probe_maps_init(&t->probe.maps, t->bpf->maps.rows, t->bpf->maps.stacks, t->bpf->maps.counters);
    if (t->unwinds) {
        t->probe.maps.ranges_fd = bpf_map__fd(t->bpf->maps.unwind_ranges);
        t->probe.maps.processes_fd = bpf_map__fd(t->bpf->maps.unwind_processes);
    }
    r = probe_filter_fill(setup->target, bpf_map__fd(t->bpf->maps.target_tgids));
    return r < 0 ? err_set(e, ERR_LIMIT, "the target has too many processes for -p") : 0;
}

/* A kernel whose verifier does not take the unwinder still walks by frame pointers. */
static int open_object(struct tcpstack *t, const struct probe_setup *setup, struct err *e)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = setup->types);
    int r;

    t->bpf = tcpstack_bpf__open_opts(&opts);
    r = t->bpf ? load(t, setup, setup->unwind_rows_fd, e) : -errno;
    if (r == 0 || setup->unwind_rows_fd < 0 || !t->bpf)
        return r;
    tcpstack_bpf__destroy(t->bpf);
    *e = (struct err){0};
    t->bpf = tcpstack_bpf__open_opts(&opts);
    return t->bpf ? load(t, setup, -1, e) : -errno;
}

static int stacks_open(const struct probe_setup *setup, struct probe **ret, struct err *e)
{
    struct tcpstack *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return -ENOMEM;
    t->bytes = setup->weight == WEIGHT_BYTES;
    r = open_object(t, setup, e);
    if (r < 0) {
        stacks_close(&t->probe);
        return r;
    }
    *ret = &t->probe;
    return 0;
}

static int stacks_start(struct probe *p, struct err *e)
{
    int r = tcpstack_bpf__attach(stacks_of(p)->bpf);

    return r < 0 ? err_set(e, ERR_FAILED, "cannot attach the programs: %s", strerror(-r)) : 0;
}

static int stacks_drain(struct probe *p, bool last, probe_row_fn fn, void *data)
{
    uint32_t count;

    if (last) {
        tcpstack_bpf__detach(stacks_of(p)->bpf);
        probe_programs_end();
    }
    return probe_maps_read(&p->maps, fn, data, &count);
}

static const char *stacks_lack(const struct probe *p)
{
    const struct tcpstack *t = (const struct tcpstack *)p;

    return t->has_transfers ? NULL
                            : "this kernel does not tell of sends and receives (Linux 6.3): "
                              "their stacks are missing";
}

static const char *const stacks_needs[] = {"kernel:btf",
                                           "feature:read_kernel",
                                           "feature:get_stack",
                                           "bpf:tp_btf",
                                           "tracepoint:inet_sock_set_state",
                                           "tracepoint:tcp_retransmit_skb",
                                           NULL};

extern const struct probe_ops probe_tcp_stacks;
const struct probe_ops probe_tcp_stacks = {
    .view = "tcp",
    .family = FAMILY_IO,
    .shows = SHOWS_PARTS,
    .yields = YIELDS_STACKS,
    .unit = "calls",
    .needs = stacks_needs,
    .types = stacks_types,
    .open = stacks_open,
    .start = stacks_start,
    .drain = stacks_drain,
    .refuses = 1 << WEIGHT_TIME,
    .lacks = stacks_lack,
    .close = stacks_close,
};
