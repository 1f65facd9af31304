/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `cpu` view: where the target's threads are whenever a perf event fires.
 */
#include "agent/kernel_types.h"
#include "agent/probe_maps.h"
#include "bpf/cpu.skel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

/* Rows and stacks are forgotten when the map is fuller than this, so that long captures lose
 * nothing. */
#define FULL_PERCENT 50

struct cpu {
    struct probe probe; /* first: a probe is cast to it */
    struct cpu_bpf *bpf;
    struct perf_event_name event;
    char event_word[128];
    uint64_t frequency, period;
    int *event_fds;
    int event_count;
    struct bpf_link **links;
    struct bpf_link *tracepoint;
    struct bpf_link *on_fork, *on_exec; /* only when unwinding by tables */
};

static struct cpu *cpu_of(struct probe *p)
{
    return (struct cpu *)((char *)p - offsetof(struct cpu, probe));
}

static void cpu_close(struct probe *p)
{
    struct cpu *c;

    if (!p)
        return;
    c = cpu_of(p);
    bpf_link__destroy(c->tracepoint);
    bpf_link__destroy(c->on_fork);
    bpf_link__destroy(c->on_exec);
    for (int i = 0; i < c->event_count; i++) {
        if (c->links[i])
            bpf_link__destroy(c->links[i]); /* closes the event too */
        else
            close(c->event_fds[i]);
    }
    free(c->links);
    free(c->event_fds);
    cpu_bpf__destroy(c->bpf);
    free(c);
}

/* Samples that can come at most, to size the maps; the clocks alone have a bound. */
static uint64_t samples_expected(const struct probe_setup *setup)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    if (!setup->frequency || setup->duration_ns / 1000000000ull > 86400)
        return UINT32_MAX;
    return (setup->duration_ns / 1000000000ull + 1) * setup->frequency * (uint64_t)MAX(cpus, 1l);
}

static int load(struct cpu *c, const struct probe_setup *setup, struct err *e)
{
    struct probe_filter filter;
    int r;

    r = probe_filter_init(setup, &filter, e);
    if (r < 0)
        return r;
    PROBE_SET_FILTER(c->bpf->rodata, &filter);
    c->bpf->rodata->per_thread = setup->per_thread;
    c->bpf->rodata->unwind_enabled = setup->unwind_rows_fd >= 0;
    r = probe_maps_use_unwind(c->bpf->maps.unwind_rows, c->bpf->maps.unwind_ranges,
                              c->bpf->maps.unwind_processes, setup->unwind_rows_fd);
    if (r < 0)
        return r;
    if (getrandom((void *)&c->bpf->rodata->stack_seed, 8, GRND_NONBLOCK) != 8)
        c->bpf->rodata->stack_seed = (uintptr_t)c;
    c->bpf->rodata->stack_max = setup->stack_max;
    probe_maps_size(c->bpf->maps.rows, c->bpf->maps.stacks, c->bpf->maps.scratch,
                    samples_expected(setup), setup->stack_max);
    bpf_program__set_autoload(c->bpf->progs.on_sched_process_fork, setup->unwind_rows_fd >= 0);
    bpf_program__set_autoload(c->bpf->progs.on_sched_process_exec, setup->unwind_rows_fd >= 0);
    bpf_program__set_autoload(c->bpf->progs.on_perf_event, !*setup->event.tracepoint);
    bpf_program__set_autoload(c->bpf->progs.on_raw_tracepoint, *setup->event.tracepoint);

    r = cpu_bpf__load(c->bpf);
    if (r < 0) {
        err_set(e, ERR_UNSUPPORTED, "the kernel does not take the BPF program: %s", strerror(-r));
        err_remedy(e, "see porthole doctor for what this host lacks");
        return -EOPNOTSUPP;
    }
    probe_tell_programs(setup, c->bpf->obj);
    probe_maps_init(&c->probe.maps, c->bpf->maps.rows, c->bpf->maps.stacks, c->bpf->maps.counters);
    if (setup->unwind_rows_fd >= 0) {
        c->probe.maps.ranges_fd = bpf_map__fd(c->bpf->maps.unwind_ranges);
        c->probe.maps.processes_fd = bpf_map__fd(c->bpf->maps.unwind_processes);
    }
    r = probe_filter_fill(setup->target, bpf_map__fd(c->bpf->maps.target_tgids));
    if (r < 0)
        return err_set(e, ERR_LIMIT, "the target has too many processes for -p");
    return 0;
}

static int open_events(struct cpu *c, struct err *e)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = c->event.type,
        .config = c->event.config,
        .disabled = 1,
        .freq = c->frequency > 0,
        .exclude_idle = c->event.clock,
    };
    int cpus[PERF_EVENT_CPUS_MAX], count = perf_event_cpus(cpus, PERF_EVENT_CPUS_MAX);

    if (count < 0)
        return err_set(e, ERR_FAILED, "cannot tell which CPUs are online");
    if (c->frequency)
        attr.sample_freq = c->frequency;
    else
        attr.sample_period = c->period;
    c->event_fds = calloc((size_t)count, sizeof(*c->event_fds));
    c->links = calloc((size_t)count, sizeof(*c->links));
    if (!c->event_fds || !c->links)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        int fd = perf_event_open_cpu(&attr, cpus[i], -1);

        if (fd < 0)
            return perf_event_explain(c->event_word, fd, e);
        c->event_fds[c->event_count++] = fd;
    }
    return 0;
}

static int cpu_types(struct table *names)
{
    struct cpu_bpf *bpf = cpu_bpf__open();
    int r = bpf ? kernel_types_add(names, bpf_object__btf(bpf->obj)) : -errno;

    cpu_bpf__destroy(bpf);
    return r;
}

/* A kernel whose verifier does not take the unwinder still walks by frame pointers. */
static int open_object(struct cpu *c, const struct probe_setup *setup, struct err *e)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = setup->types);
    struct probe_setup plain = *setup;
    int r;

    c->bpf = cpu_bpf__open_opts(&opts);
    r = c->bpf ? load(c, setup, e) : -errno;
    if (r == 0 || setup->unwind_rows_fd < 0 || !c->bpf)
        return r;
    cpu_bpf__destroy(c->bpf);
    *e = (struct err){0};
    plain.unwind_rows_fd = -1;
    c->bpf = cpu_bpf__open_opts(&opts);
    return c->bpf ? load(c, &plain, e) : -errno;
}

static int cpu_open(const struct probe_setup *setup, struct probe **ret, struct err *e)
{
    struct cpu *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return -ENOMEM;
    c->event = setup->event;
    c->frequency = setup->frequency;
    c->period = setup->period;
    snprintf(c->event_word, sizeof(c->event_word), "%s", setup->event_word);
    r = open_object(c, setup, e);
    if (r == 0 && !*c->event.tracepoint)
        r = open_events(c, e);
    if (r < 0) {
        cpu_close(&c->probe);
        return r;
    }
    *ret = &c->probe;
    return 0;
}

static int start_tracepoint(struct cpu *c, struct err *e)
{
    c->tracepoint =
        bpf_program__attach_raw_tracepoint(c->bpf->progs.on_raw_tracepoint, c->event.tracepoint);
    if (c->tracepoint)
        return 0;
    if (errno == ENOENT) {
        err_set(e, ERR_UNSUPPORTED, "this host has no tracepoint '%s'", c->event_word);
        err_remedy(e, "see perf list, as root, for those that it has");
        return -EOPNOTSUPP;
    }
    return perf_event_explain(c->event_word, -errno, e);
}

static int cpu_start(struct probe *p, struct err *e)
{
    struct cpu *c = cpu_of(p);

    if (p->maps.ranges_fd >= 0) {
        c->on_fork = bpf_program__attach(c->bpf->progs.on_sched_process_fork);
        c->on_exec = bpf_program__attach(c->bpf->progs.on_sched_process_exec);
        if (!c->on_fork || !c->on_exec)
            return err_set(e, ERR_FAILED, "cannot follow forks and execs: %s", strerror(errno));
    }
    if (*c->event.tracepoint)
        return start_tracepoint(c, e);
    for (int i = 0; i < c->event_count; i++) {
        c->links[i] = bpf_program__attach_perf_event(c->bpf->progs.on_perf_event, c->event_fds[i]);
        if (!c->links[i])
            return perf_event_explain(c->event_word, -errno, e);
    }
    return 0;
}

/* All CPUs have left the program when this returns. */
static int pause_counting(struct cpu *c, bool pause)
{
    if (*c->event.tracepoint) {
        struct err e = {0};

        if (!pause)
            return start_tracepoint(c, &e);
        bpf_link__destroy(c->tracepoint);
        c->tracepoint = NULL;
        return 0;
    }
    for (int i = 0; i < c->event_count; i++)
        if (ioctl(c->event_fds[i], pause ? PERF_EVENT_IOC_DISABLE : PERF_EVENT_IOC_ENABLE, 0) < 0)
            return -errno;
    return 0;
}

static int cpu_drain(struct probe *p, bool last, probe_row_fn fn, void *data)
{
    struct cpu *c = cpu_of(p);
    uint32_t count;
    int r;

    if (last)
        pause_counting(c, true);
    r = probe_maps_read(&p->maps, fn, data, &count);
    if (r < 0 || last || count < p->maps.rows_max / 100 * FULL_PERCENT)
        return r;

    /* Make room while nothing counts: read what came since, then forget. Counting goes on whatever
     * fails, and what was forgotten is never kept silent. */
    r = pause_counting(c, true);
    if (r == 0)
        r = probe_maps_read(&p->maps, fn, data, &count);
    if (r == 0) {
        probe_maps_clear(&p->maps);
        r = 1;
    }
    pause_counting(c, false);
    return r;
}

static const char *const cpu_needs[] = {"kernel:btf",        "feature:read_kernel",
                                        "feature:get_stack", "bpf:perf_event",
                                        "perf:cpu-clock",    NULL};

const struct probe_ops probe_cpu = {
    .view = "cpu",
    .family = FAMILY_SAMPLES,
    .yields = YIELDS_STACKS,
    .unit = "samples",
    .needs = cpu_needs,
    .types = cpu_types,
    .open = cpu_open,
    .start = cpu_start,
    .drain = cpu_drain,
    .close = cpu_close,
};
