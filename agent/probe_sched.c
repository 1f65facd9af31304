/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The views of threads that wait: offcpu, switches, runq, wakeup, offwake, chain, hotcold, states.
 * One BPF object serves them all; what differs is what becomes a row.
 */
#include "agent/kernel_hooks.h"
#include "agent/kernel_types.h"
#include "agent/look.h"
#include "agent/overhead.h"
#include "agent/probe_maps.h"
#include "agent/times.h"
#include "base/loop.h"
#include "bpf/sched.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define THREADS_MAX 16384u
#define THREADS_MAX_ALL 65536u
#define WAKERS_MAX 8192u
#define CELLS_MAX 16384u
#define ROWS_MAX 16384u
#define HOTCOLD_HZ 99
#define LOOKS_MAX 16u /* at sleepers, while tables come */

struct sched {
    struct probe probe; /* first: a probe is cast to it */
    struct sched_bpf *bpf;
    uint32_t view;            /* enum event_view */
    struct bpf_link **clocks; /* one per CPU; they own their events */
    int clock_count;
    struct overhead *overhead;
    uint64_t max_overhead; /* percent */
    bool settled;          /* after the end: every thread's time is in */

    struct look *look;   /* at threads that sleep, or NULL */
    unsigned looks_left; /* none: all is seen, or cannot be */
};

static struct sched *sched_of(struct probe *p)
{
    return (struct sched *)((char *)p - offsetof(struct sched, probe));
}

/* ---- opening ---- */

static uint32_t view_of(const char *name)
{
    static const char *const names[] = {
        [EVENT_VIEW_OFFCPU] = "offcpu",   [EVENT_VIEW_SWITCHES] = "switches",
        [EVENT_VIEW_RUNQ] = "runq",       [EVENT_VIEW_WAKEUP] = "wakeup",
        [EVENT_VIEW_OFFWAKE] = "offwake", [EVENT_VIEW_CHAIN] = "chain",
        [EVENT_VIEW_HOTCOLD] = "hotcold", [EVENT_VIEW_STATES] = "states",
    };

    for (uint32_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return EVENT_VIEW_OFFCPU;
}

/* Whether rows of blocked threads have the user's part of their stacks. */
static bool has_sleepers(uint32_t view)
{
    return view == EVENT_VIEW_OFFCPU || view == EVENT_VIEW_OFFWAKE || view == EVENT_VIEW_CHAIN ||
           view == EVENT_VIEW_HOTCOLD;
}

static bool has_wakers(uint32_t view)
{
    return view == EVENT_VIEW_WAKEUP || view == EVENT_VIEW_OFFWAKE || view == EVENT_VIEW_CHAIN;
}

static void set_orc(struct sched_bpf__rodata *ro, const struct kernel_orc *orc)
{
    if (!orc)
        return;
    ro->orc_addresses = orc->addresses;
    ro->orc_rules = orc->rules;
    ro->orc_text = orc->text;
    ro->orc_text_end = orc->text_end;
    ro->orc_count = orc->count;
}

static void set_constants(struct sched *s, const struct probe_setup *setup,
                          const struct probe_filter *filter)
{
    struct sched_bpf__rodata *ro = s->bpf->rodata;
    const struct wait_filter *wait = &setup->wait;

    PROBE_SET_FILTER(ro, filter);
    set_orc(ro, setup->orc);
    ro->per_thread = setup->per_thread || s->view == EVENT_VIEW_RUNQ;
    ro->unwind_enabled = setup->unwind_rows_fd >= 0;
    ro->stack_max = setup->stack_max;
    ro->view = s->view;
    ro->state_is_told = kernel_hooks_switch_tells_state();
    ro->has_quota = setup->has_quota;
    ro->states_wanted = wait->states ? wait->states : ~0u;
    ro->min_us = wait->min_us;
    ro->max_us = wait->max_us ? wait->max_us : UINT64_MAX;
    ro->chain_depth = wait->chain_depth;
    ro->slice_ns = wait->slice_ns ? wait->slice_ns : NS_PER_SEC;
    ro->comm_size = (uint8_t)strnlen(wait->comm, EVENT_COMM_SIZE);
    memcpy((char *)ro->comm_wanted, wait->comm, ro->comm_size);
    if (getrandom((void *)&ro->stack_seed, 8, GRND_NONBLOCK) != 8)
        ro->stack_seed = (uintptr_t)s;
}

static void size_maps(struct sched *s, const struct probe_setup *setup)
{
    bool all = setup->target->kind == TARGET_ALL;
    uint32_t wakers = has_wakers(s->view) ? WAKERS_MAX : 1;

    probe_maps_size(s->bpf->maps.rows, s->bpf->maps.stacks, s->bpf->maps.scratch, ROWS_MAX,
                    setup->stack_max);
    bpf_map__set_value_size(s->bpf->maps.task_stack, bpf_map__value_size(s->bpf->maps.stacks));
    bpf_map__set_max_entries(s->bpf->maps.threads, all ? THREADS_MAX_ALL : THREADS_MAX);
    bpf_map__set_max_entries(s->bpf->maps.ended, 4096);
    bpf_map__set_max_entries(s->bpf->maps.wakers, wakers);
    bpf_map__set_max_entries(s->bpf->maps.chains, s->view == EVENT_VIEW_CHAIN ? WAKERS_MAX : 1);
    bpf_map__set_max_entries(s->bpf->maps.cells, s->view == EVENT_VIEW_RUNQ ? CELLS_MAX : 1);
}

static int load(struct sched *s, const struct probe_setup *setup, struct err *e)
{
    struct probe_filter filter;
    int r;

    r = probe_filter_init(setup, &filter, e);
    if (r < 0)
        return r;
    set_constants(s, setup, &filter);
    size_maps(s, setup);
    r = probe_maps_use_unwind(s->bpf->maps.unwind_rows, s->bpf->maps.unwind_ranges,
                              s->bpf->maps.unwind_processes, setup->unwind_rows_fd);
    if (r < 0)
        return r;
    bpf_program__set_autoload(s->bpf->progs.on_sched_process_fork, setup->unwind_rows_fd >= 0);
    bpf_program__set_autoload(s->bpf->progs.on_sched_process_exec, setup->unwind_rows_fd >= 0);
    bpf_program__set_autoload(s->bpf->progs.on_sched_wakeup, setup->has_quota);
    bpf_program__set_autoload(s->bpf->progs.on_clock, s->view == EVENT_VIEW_HOTCOLD);

    r = sched_bpf__load(s->bpf);
    if (r < 0) {
        err_set(e, ERR_UNSUPPORTED, "the kernel does not take the BPF program: %s", strerror(-r));
        err_remedy(e, "see porthole doctor for what this host lacks");
        return -EOPNOTSUPP;
    }
    probe_tell_programs(setup, s->bpf->obj);
    probe_maps_init(&s->probe.maps, s->bpf->maps.rows, s->bpf->maps.stacks, s->bpf->maps.counters);
    if (has_wakers(s->view))
        s->probe.maps.wakers_fd = bpf_map__fd(s->bpf->maps.wakers);
    if (s->view == EVENT_VIEW_CHAIN)
        s->probe.maps.chains_fd = bpf_map__fd(s->bpf->maps.chains);
    if (setup->unwind_rows_fd >= 0) {
        s->probe.maps.ranges_fd = bpf_map__fd(s->bpf->maps.unwind_ranges);
        s->probe.maps.processes_fd = bpf_map__fd(s->bpf->maps.unwind_processes);
    }
    r = probe_filter_fill(setup->target, bpf_map__fd(s->bpf->maps.target_tgids));
    return r < 0 ? err_set(e, ERR_LIMIT, "the target has too many processes for -p") : 0;
}

static int sched_types(struct table *names)
{
    struct sched_bpf *bpf = sched_bpf__open();
    int r = bpf ? kernel_types_add(names, bpf_object__btf(bpf->obj)) : -errno;

    sched_bpf__destroy(bpf);
    return r;
}

/* A kernel whose verifier does not take the unwinder, or the walk of its own stack, still walks by
 * frame pointers, or itself. */
static int open_object(struct sched *s, const struct probe_setup *setup, struct err *e)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = setup->types);
    struct probe_setup plain = *setup;
    int r;

    s->bpf = sched_bpf__open_opts(&opts);
    r = s->bpf ? load(s, setup, e) : -errno;
    if (r == 0 || (setup->unwind_rows_fd < 0 && !setup->orc) || !s->bpf)
        return r;
    sched_bpf__destroy(s->bpf);
    *e = (struct err){0};
    plain.unwind_rows_fd = -1;
    plain.orc = NULL;
    s->bpf = sched_bpf__open_opts(&opts);
    return s->bpf ? load(s, &plain, e) : -errno;
}

static void stop_clock(struct sched *s)
{
    for (int i = 0; i < s->clock_count; i++)
        bpf_link__destroy(s->clocks[i]);
    s->clock_count = 0;
}

static void sched_close(struct probe *p)
{
    struct sched *s;

    if (!p)
        return;
    s = sched_of(p);
    stop_clock(s);
    free(s->clocks);
    look_free(s->look);
    overhead_free(s->overhead);
    sched_bpf__destroy(s->bpf);
    free(s);
}

/* Before the side-band begins: programs that come later have all kernel symbols read again. Without
 * it such threads keep the kernel's part alone. */
static void open_look(struct sched *s, const struct probe_setup *setup)
{
    const struct look_setup look = {
        .threads_fd = bpf_map__fd(s->bpf->maps.threads),
        .stacks_fd = s->probe.maps.stacks_fd,
        .rows_fd = setup->unwind_rows_fd,
        .ranges_fd = s->probe.maps.ranges_fd,
        .processes_fd = s->probe.maps.processes_fd,
        .stack_bytes = s->probe.maps.stack_bytes,
        .stack_max = setup->stack_max,
        .stack_seed = s->bpf->rodata->stack_seed,
        .types = setup->types,
    };

    if (look_new(&look, &s->look) == 0)
        s->looks_left = LOOKS_MAX;
}

static int sched_open(const struct probe_setup *setup, struct probe **ret, struct err *e)
{
    struct sched *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    s->view = view_of(setup->view);
    s->max_overhead = setup->wait.max_overhead;
    r = open_object(s, setup, e);
    if (r < 0) {
        sched_close(&s->probe);
        return r;
    }
    if (s->probe.maps.ranges_fd >= 0 && has_sleepers(s->view))
        open_look(s, setup);
    *ret = &s->probe;
    return 0;
}

/* ---- starting ---- */

static int attach(struct bpf_program *program, struct bpf_link **link, struct err *e)
{
    if (!bpf_program__autoload(program))
        return 0;
    *link = bpf_program__attach(program);
    if (*link)
        return 0;
    return err_set(e, ERR_FAILED, "cannot attach to '%s': %s", bpf_program__section_name(program),
                   strerror(errno));
}

/* Who sees threads end comes before who sees them begin: what is known of and gone would seem to go
 * on for the whole capture. */
static int attach_all(struct sched *s, struct err *e)
{
    struct {
        struct bpf_program *program;
        struct bpf_link **link;
    } hooks[] = {
        {s->bpf->progs.on_sched_process_fork, &s->bpf->links.on_sched_process_fork},
        {s->bpf->progs.on_sched_process_exec, &s->bpf->links.on_sched_process_exec},
        {s->bpf->progs.on_sched_switch, &s->bpf->links.on_sched_switch},
        {s->bpf->progs.on_sched_wakeup_new, &s->bpf->links.on_sched_wakeup_new},
        {s->bpf->progs.on_sched_wakeup, &s->bpf->links.on_sched_wakeup},
        {s->bpf->progs.on_sched_waking, &s->bpf->links.on_sched_waking},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++)
        r = attach(hooks[i].program, hooks[i].link, e);
    return r;
}

/* hotcold: the clock that says where time on CPUs goes. */
static int start_clock(struct sched *s, struct err *e)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .freq = 1,
        .sample_freq = HOTCOLD_HZ,
        .exclude_idle = 1,
    };
    int cpus[PERF_EVENT_CPUS_MAX], count = perf_event_cpus(cpus, PERF_EVENT_CPUS_MAX);

    if (count < 0)
        return err_set(e, ERR_FAILED, "cannot tell which CPUs are online");
    s->clocks = calloc((size_t)count, sizeof(*s->clocks));
    if (!s->clocks)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        int fd = perf_event_open_cpu(&attr, cpus[i], -1);

        if (fd < 0)
            return perf_event_explain("cpu-clock", fd, e);
        s->clocks[i] = bpf_program__attach_perf_event(s->bpf->progs.on_clock, fd);
        if (!s->clocks[i]) {
            int error = -errno;

            close(fd);
            return perf_event_explain("cpu-clock", error, e);
        }
        s->clock_count++;
    }
    return 0;
}

static int sched_start(struct probe *p, struct err *e)
{
    struct sched *s = sched_of(p);
    int r;

    r = overhead_new((unsigned)s->max_overhead, now_ns(), &s->overhead);
    if (r == 0)
        r = attach_all(s, e);
    if (r < 0)
        return r;
    /* From here on time counts; what was seen before it tells in which state threads are. */
    __atomic_store_n(&s->bpf->bss->begin_ns, now_ns(), __ATOMIC_SEQ_CST);
    r = look_at_tasks(s->bpf->progs.on_task);
    if (r < 0)
        return err_set(e, ERR_FAILED, "cannot look at the target's threads: %s", strerror(-r));
    __atomic_store_n(&s->bpf->bss->seeded, 1, __ATOMIC_SEQ_CST);
    return s->view == EVENT_VIEW_HOTCOLD ? start_clock(s, e) : 0;
}

/* ---- draining ---- */

/* Ends the time that counts: no program is inside any more, and every thread's last state is in. */
static void settle(struct sched *s)
{
    if (s->settled)
        return;
    s->settled = true;
    __atomic_store_n(&s->bpf->bss->end_ns, now_ns(), __ATOMIC_SEQ_CST);
    stop_clock(s);
    probe_programs_end();
    look_at_tasks(s->bpf->progs.on_task);
    sched_bpf__detach(s->bpf);
}

/* Where threads wait that have slept since before the capture: asked again while there are some for
 * whose process no tables have come yet. */
static void look_at_sleepers(struct sched *s)
{
    int r;

    if (!s->looks_left)
        return;
    r = look_run(s->look, s->bpf->bss->begin_ns);
    s->looks_left = r > 0 ? s->looks_left - 1 : 0;
}

/* Has fewer stacks taken when they cost too much, and more again when they do not. */
static void keep_within_budget(struct sched *s)
{
    int cpus = libbpf_num_possible_cpus();
    struct event_counters *each = cpus > 0 ? calloc((size_t)cpus, sizeof(*each)) : NULL;
    uint64_t *run_ns = cpus > 0 ? calloc((size_t)cpus, sizeof(*run_ns)) : NULL;
    uint32_t zero = 0;

    if (each && run_ns && bpf_map_lookup_elem(s->probe.maps.counters_fd, &zero, each) == 0) {
        for (int i = 0; i < cpus; i++)
            run_ns[i] = each[i].run_ns;
        s->bpf->data->thin_every = overhead_adjust(s->overhead, run_ns, cpus, now_ns());
    }
    free(each);
    free(run_ns);
}

static double sched_overhead(const struct probe *p)
{
    return overhead_percent(((const struct sched *)p)->overhead);
}

static int sched_drain(struct probe *p, bool last, probe_row_fn fn, void *data)
{
    struct sched *s = sched_of(p);
    uint32_t count;

    look_at_sleepers(s);
    keep_within_budget(s);
    if (last)
        settle(s);
    return probe_maps_read(&p->maps, fn, data, &count);
}

/* Adds up what the threads did, those that ended included; exact after the last drain. */
static int sched_times(struct probe *p, probe_times_fn fn, void *data)
{
    struct sched *s = sched_of(p);

    const struct times_source source = {
        .threads_fd = bpf_map__fd(s->bpf->maps.threads),
        .ended_fd = bpf_map__fd(s->bpf->maps.ended),
        .begin_ns = s->bpf->bss->begin_ns,
        .end_ns = s->bpf->bss->end_ns,
    };

    return times_read(&source, fn, data);
}

static int sched_cells(struct probe *p, probe_cell_fn fn, void *data)
{
    return cells_read(bpf_map__fd(sched_of(p)->bpf->maps.cells), fn, data);
}

static const char *const sched_needs[] = {"kernel:btf", "feature:read_kernel", "feature:get_stack",
                                          "bpf:tp_btf", "bpf:iter_task",       NULL};

#define SCHED_VIEW(name, word, what, more, counts)             \
    const struct probe_ops name = {.view = word,               \
                                   .family = FAMILY_WAITS,     \
                                   .shows = more,              \
                                   .yields = what,             \
                                   .unit = counts,             \
                                   .needs = sched_needs,       \
                                   .types = sched_types,       \
                                   .open = sched_open,         \
                                   .start = sched_start,       \
                                   .drain = sched_drain,       \
                                   .times = sched_times,       \
                                   .cells = sched_cells,       \
                                   .overhead = sched_overhead, \
                                   .close = sched_close}

SCHED_VIEW(probe_offcpu, "offcpu", YIELDS_STACKS, 0, "microseconds");
SCHED_VIEW(probe_switches, "switches", YIELDS_STACKS, SHOWS_PARTS, "switches");
SCHED_VIEW(probe_runq, "runq", YIELDS_RECORDS, 0, "waits");
SCHED_VIEW(probe_wakeup, "wakeup", YIELDS_STACKS, SHOWS_WAKERS | SHOWS_WAKERS_ALONE,
           "microseconds");
SCHED_VIEW(probe_offwake, "offwake", YIELDS_STACKS, SHOWS_WAKERS, "microseconds");
SCHED_VIEW(probe_chain, "chain", YIELDS_STACKS, SHOWS_WAKERS, "microseconds");
SCHED_VIEW(probe_hotcold, "hotcold", YIELDS_STACKS, SHOWS_PARTS, "microseconds");
SCHED_VIEW(probe_states, "states", YIELDS_RECORDS, 0, "microseconds");
