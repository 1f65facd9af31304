/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `block` view: requests to disks, as rows, as single events, or as stacks of who asked.
 */
#include "agent/probe_block.h"

#include "agent/block_sums.h"
#include "agent/kernel_hooks.h"
#include "agent/kernel_types.h"
#include "agent/probe_maps.h"
#include "agent/records.h"
#include "base/loop.h"
#include "bpf/block.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#define RING_BYTES (8u << 20)
#define STACKS_EXPECTED UINT32_MAX

extern const struct records_ops block_records;

struct block {
    struct probe probe; /* first: a probe is cast to it */
    struct block_bpf *bpf;
};

static struct block *block_of(const struct probe *p)
{
    return (struct block *)((const char *)p - offsetof(struct block, probe));
}

static uint32_t yields_of(const struct probe_setup *setup, bool stacks)
{
    if (stacks)
        return BLOCK_STACKS;
    return setup->events ? BLOCK_EVENTS : BLOCK_ROWS;
}

static void set_constants(struct block *b, const struct probe_setup *setup,
                          const struct probe_filter *filter, bool stacks)
{
    struct block_bpf__rodata *ro = b->bpf->rodata;

    PROBE_SET_FILTER(ro, filter);
    ro->memory_cgroup = setup->charges.memory.cgroup;
    ro->memory_level = setup->charges.memory.level;
    ro->blkio_cgroup = setup->charges.blkio.cgroup;
    ro->blkio_level = setup->charges.blkio.level;
    ro->per_thread = setup->per_thread;
    ro->per_process = setup->per_process;
    ro->unwind_enabled = setup->unwind_rows_fd >= 0;
    ro->stack_max = setup->stack_max;
    ro->yields = yields_of(setup, stacks);
    ro->weight = setup->weight;
    ro->slice_ns = setup->wait.slice_ns ? setup->wait.slice_ns : NS_PER_SEC;
    ro->begins_told = kernel_hooks_has("tp_btf/block_io_start");
    if (getrandom((void *)&ro->stack_seed, 8, GRND_NONBLOCK) != 8)
        ro->stack_seed = (uintptr_t)b;
}

static int size_maps(struct block *b, const struct probe_setup *setup, bool stacks)
{
    bool rows = !stacks && !setup->events;

    probe_maps_size(b->bpf->maps.rows, b->bpf->maps.stacks, b->bpf->maps.scratch,
                    stacks ? STACKS_EXPECTED : 1, setup->stack_max);
    bpf_map__set_max_entries(b->bpf->maps.block_rows, rows ? EVENT_BLOCK_ROWS : 1);
    bpf_map__set_max_entries(b->bpf->maps.block_sums, rows ? EVENT_BLOCK_ROWS + 1 : 1);
    bpf_map__set_max_entries(b->bpf->maps.block_own_sums, rows ? EVENT_BLOCK_OWN_ROWS : 1);
    bpf_map__set_max_entries(b->bpf->maps.slices, rows ? EVENT_BLOCK_SLICES : 1);
    bpf_map__set_max_entries(b->bpf->maps.own_slices, rows ? EVENT_BLOCK_SLICES : 1);
    if (!stacks && setup->events)
        bpf_map__set_max_entries(b->bpf->maps.ring, RING_BYTES);
    return probe_maps_use_unwind(b->bpf->maps.unwind_rows, b->bpf->maps.unwind_ranges,
                                 b->bpf->maps.unwind_processes, setup->unwind_rows_fd);
}

/* Programs at hooks that this kernel lacks are left out; see bpf/block.bpf.c for what stands in. */
static void choose_programs(struct block *b, const struct probe_setup *setup)
{
    bool told = b->bpf->rodata->begins_told, unwinds = setup->unwind_rows_fd >= 0;
    bool errors = told && kernel_hooks_has("tp_btf/block_rq_error");

    bpf_program__set_autoload(b->bpf->progs.on_io_start, told);
    bpf_program__set_autoload(b->bpf->progs.on_io_done, told);
    bpf_program__set_autoload(b->bpf->progs.on_rq_insert, !told);
    bpf_program__set_autoload(b->bpf->progs.on_rq_error, errors);
    bpf_program__set_autoload(b->bpf->progs.on_rq_complete, !errors);
    bpf_program__set_autoload(b->bpf->progs.on_rq_requeue,
                              kernel_hooks_has("tp_btf/block_rq_requeue"));
    bpf_program__set_autoload(b->bpf->progs.on_rq_merge, kernel_hooks_has("tp_btf/block_rq_merge"));
    bpf_program__set_autoload(b->bpf->progs.on_sched_process_fork, unwinds);
    bpf_program__set_autoload(b->bpf->progs.on_sched_process_exec, unwinds);
}

static void init_maps(struct block *b, const struct probe_setup *setup)
{
    probe_maps_init(&b->probe.maps, b->bpf->maps.rows, b->bpf->maps.stacks, b->bpf->maps.counters);
    if (setup->unwind_rows_fd < 0)
        return;
    b->probe.maps.ranges_fd = bpf_map__fd(b->bpf->maps.unwind_ranges);
    b->probe.maps.processes_fd = bpf_map__fd(b->bpf->maps.unwind_processes);
}

static int load(struct block *b, const struct probe_setup *setup, bool stacks, struct err *e)
{
    struct probe_filter filter;
    int r;

    r = probe_filter_init(setup, &filter, e);
    if (r < 0)
        return r;
    set_constants(b, setup, &filter, stacks);
    r = size_maps(b, setup, stacks);
    if (r < 0)
        return r;
    choose_programs(b, setup);
    r = block_bpf__load(b->bpf);
    if (r < 0) {
        err_set(e, ERR_UNSUPPORTED, "the kernel does not take the BPF program: %s", strerror(-r));
        err_remedy(e, "see porthole doctor for what this host lacks");
        return -EOPNOTSUPP;
    }
    probe_tell_programs(setup, b->bpf->obj);
    init_maps(b, setup);
    if (setup->events && !stacks && (r = probe_ring_open(&b->probe.maps, b->bpf->maps.ring)) < 0)
        return r;
    r = probe_filter_fill(setup->target, bpf_map__fd(b->bpf->maps.target_tgids));
    return r < 0 ? err_set(e, ERR_LIMIT, "the target has too many processes for -p") : 0;
}

static int block_types(struct table *names)
{
    struct block_bpf *bpf = block_bpf__open();
    int r = bpf ? kernel_types_add(names, bpf_object__btf(bpf->obj)) : -errno;

    block_bpf__destroy(bpf);
    return r;
}

static void block_close(struct probe *p)
{
    struct block *b;

    if (!p)
        return;
    b = block_of(p);
    probe_ring_free(&b->probe.maps);
    block_bpf__destroy(b->bpf);
    free(b);
}

static int open_object(struct block *b, const struct probe_setup *setup, bool stacks, struct err *e)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = setup->types);

    b->bpf = block_bpf__open_opts(&opts);
    return b->bpf ? load(b, setup, stacks, e) : -errno;
}

/* A kernel whose verifier does not take the unwinder still walks by frame pointers. */
static int open_any(const struct probe_setup *setup, bool stacks, struct probe **ret, struct err *e)
{
    struct probe_setup plain = *setup;
    struct block *b = calloc(1, sizeof(*b));
    int r;

    if (!b)
        return -ENOMEM;
    r = open_object(b, setup, stacks, e);
    if (r < 0 && setup->unwind_rows_fd >= 0 && b->bpf) {
        block_bpf__destroy(b->bpf);
        *e = (struct err){0};
        plain.unwind_rows_fd = -1;
        r = open_object(b, &plain, stacks, e);
    }
    if (r < 0) {
        block_close(&b->probe);
        return r;
    }
    *ret = &b->probe;
    return 0;
}

static int block_open(const struct probe_setup *setup, struct probe **ret, struct err *e)
{
    return open_any(setup, false, ret, e);
}

static int stacks_open(const struct probe_setup *setup, struct probe **ret, struct err *e)
{
    return open_any(setup, true, ret, e);
}

/* Nothing begins before all programs are there, so that what begins is seen to end. */
static int block_start(struct probe *p, struct err *e)
{
    struct block *b = block_of(p);
    int r = block_bpf__attach(b->bpf);

    if (r < 0)
        return err_set(e, ERR_FAILED, "cannot attach to the block layer's tracepoints: %s",
                       strerror(-r));
    __atomic_store_n(&b->bpf->bss->begin_ns, now_ns(), __ATOMIC_SEQ_CST);
    return 0;
}

/* A request that has not ended counts where it began, as rows and events have it; only that it took
 * time is not known. */
static int count_open(void *data, const struct event_block_request *request)
{
    struct block *b = data;
    uint64_t amount = b->bpf->rodata->weight == WEIGHT_BYTES ? event_block_bytes(request) : 1;
    struct event_value value = {.first_ns = request->start_ns};

    if (b->bpf->rodata->weight == WEIGHT_TIME)
        return 0;
    if (request->lost)
        return probe_count_taken(&b->probe, amount, request->lost);
    bpf_map_lookup_elem(b->probe.maps.rows_fd, &request->who, &value);
    value.count += amount;
    value.last_ns = request->start_ns;
    return probe_count_more(&b->probe, &request->who, &value, amount);
}

static int block_drain(struct probe *p, bool last, probe_row_fn fn, void *data)
{
    struct block *b = block_of(p);
    uint32_t count;

    if (last) {
        block_bpf__detach(b->bpf);
        probe_programs_end();
    }
    if (b->bpf->rodata->yields != BLOCK_STACKS)
        return 0;
    if (last)
        probe_block_open_requests(p, count_open, b);
    return probe_maps_read(&p->maps, fn, data, &count);
}

/* ---- what it has besides ---- */

void probe_block_counts(const struct probe *p, struct probe_block_counts *ret)
{
    const struct block *b = block_of(p);

    ret->merged = b->bpf->bss->merged;
    ret->requeued = b->bpf->bss->requeued;
    ret->unseen = b->bpf->bss->unseen;
    ret->missed =
        probe_missed(b->bpf->progs.on_io_start) + probe_missed(b->bpf->progs.on_rq_insert);
    if (!b->bpf->rodata->begins_told)
        ret->missed += probe_missed(b->bpf->progs.on_rq_issue);
}

/* What all CPUs share of a row, and what each has by itself. each: room for what they have. */
static bool read_sums(const struct block *b, uint32_t number, struct event_block_value *each,
                      int cpus, struct event_block_value *ret)
{
    if (bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.block_sums), &number, ret) != 0)
        return false;
    if (bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.block_own_sums), &number, each) != 0)
        return true; /* it is none of the first */
    for (int cpu = 0; cpu < cpus; cpu++)
        block_sums_add(ret, &each[cpu]);
    return true;
}

int probe_block_rows(const struct probe *p,
                     int (*fn)(void *data, const struct event_block_key *key,
                               const struct event_block_value *value),
                     void *data)
{
    int rows = bpf_map__fd(block_of(p)->bpf->maps.block_rows), r = 0;
    struct event_block_key key, next;
    struct event_block_value value, *each;
    int cpus = libbpf_num_possible_cpus();
    uint32_t number;

    if (cpus < 0)
        return cpus;
    each = calloc((size_t)cpus, sizeof(*each));
    if (!each)
        return -ENOMEM;
    for (bool have = false; r == 0 && bpf_map_get_next_key(rows, have ? &key : NULL, &next) == 0;
         have = true) {
        key = next;
        if (bpf_map_lookup_elem(rows, &key, &number) == 0 &&
            read_sums(block_of(p), number, each, cpus, &value))
            r = fn(data, &key, &value);
    }
    free(each);
    return r;
}

int probe_block_slices(const struct probe *p,
                       int (*fn)(void *data, uint32_t n, const struct event_block_slice *slice),
                       void *data)
{
    int shared = bpf_map__fd(block_of(p)->bpf->maps.slices);
    int own = bpf_map__fd(block_of(p)->bpf->maps.own_slices), r = 0;
    int cpus = libbpf_num_possible_cpus();
    struct event_block_slice slice, *each;

    if (cpus < 0)
        return cpus;
    each = calloc((size_t)cpus, sizeof(*each));
    if (!each)
        return -ENOMEM;
    for (uint32_t n = 0; r == 0 && bpf_map_lookup_elem(shared, &n, &slice) == 0 &&
                         bpf_map_lookup_elem(own, &n, each) == 0;
         n++) {
        for (int cpu = 0; cpu < cpus; cpu++)
            block_sums_add_slice(&slice, &each[cpu]);
        r = fn(data, n, &slice);
    }
    free(each);
    return r;
}

/* After the last drain: nothing changes any more. */
int probe_block_open_requests(const struct probe *p,
                              int (*fn)(void *data, const struct event_block_request *request),
                              void *data)
{
    int fd = bpf_map__fd(block_of(p)->bpf->maps.requests), r = 0;
    struct event_block_set set;

    for (uint32_t n = 0; r == 0 && bpf_map_lookup_elem(fd, &n, &set) == 0; n++)
        for (int i = 0; r == 0 && i < EVENT_BLOCK_PLACES; i++)
            if (set.place[i].address && set.place[i].pending <= EVENT_PENDING)
                r = fn(data, &set.place[i]);
    return r;
}

static const char *const block_needs[] = {"kernel:btf",
                                          "feature:read_kernel",
                                          "bpf:tp_btf",
                                          "tracepoint:block_rq_issue",
                                          "tracepoint:block_rq_complete",
                                          "feature:ring_buffer",
                                          NULL};

static const struct probe_ops block_as_stacks = {
    .view = "block",
    .family = FAMILY_IO,
    .shows = SHOWS_PARTS,
    .yields = YIELDS_STACKS,
    .unit = "requests",
    .needs = block_needs,
    .types = block_types,
    .open = stacks_open,
    .start = block_start,
    .drain = block_drain,
    .close = block_close,
};

const struct probe_ops probe_block = {
    .view = "block",
    .family = FAMILY_IO,
    .yields = YIELDS_RECORDS,
    .unit = "requests",
    .needs = block_needs,
    .types = block_types,
    .open = block_open,
    .start = block_start,
    .drain = block_drain,
    .records = &block_records,
    .as_stacks = &block_as_stacks,
    .close = block_close,
};
