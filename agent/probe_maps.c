/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probe_maps.h"

#include "agent/unwind.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROWS_MIN 1024u
#define ROWS_MAX 16384u
#define STACK_BYTES_MAX (32u << 20) /* of all stacks together */
#define BATCH 256u
#define PARTS_MAX 32u /* functions of one program */

/* They run where nothing can preempt them, which membarrier(2) waits out; it does not where a CPU
 * is kept from ticks (nohz_full), but none of them takes that long. */
void probe_programs_end(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
        poll(NULL, 0, 20);
}

void probe_maps_size(struct bpf_map *rows, struct bpf_map *stacks, struct bpf_map *scratch,
                     uint64_t samples, uint32_t stack_max)
{
    uint32_t bytes = (uint32_t)EVENT_STACK_BYTES(stack_max);
    uint32_t most = MIN(ROWS_MAX, STACK_BYTES_MAX / bytes);
    uint32_t max = (uint32_t)MIN(MAX(samples, (uint64_t)ROWS_MIN), (uint64_t)most);

    bpf_map__set_max_entries(rows, max);
    /* A sample has a user and a kernel part, and many samples share one of them. */
    bpf_map__set_max_entries(stacks, MIN(max * 2, most));
    bpf_map__set_value_size(stacks, bytes);
    bpf_map__set_value_size(scratch, bytes);
}

void probe_maps_init(struct probe_maps *m, struct bpf_map *rows, struct bpf_map *stacks,
                     struct bpf_map *counters)
{
    *m = (struct probe_maps){
        .rows_fd = bpf_map__fd(rows),
        .stacks_fd = bpf_map__fd(stacks),
        .counters_fd = bpf_map__fd(counters),
        .rows_max = bpf_map__max_entries(rows),
        .stack_bytes = bpf_map__value_size(stacks),
        .ranges_fd = -1,
        .processes_fd = -1,
        .wakers_fd = -1,
        .chains_fd = -1,
    };
}

void probe_tell_programs(const struct probe_setup *setup, struct bpf_object *object)
{
    struct bpf_program *program;

    bpf_object__for_each_program(program, object)
    {
        uint8_t tags[PARTS_MAX][BPF_TAG_SIZE] = {0};
        struct bpf_prog_info info = {.nr_prog_tags = PARTS_MAX, .prog_tags = (uintptr_t)tags};
        uint32_t size = sizeof(info);
        int fd = bpf_program__fd(program);

        if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
            continue;
        for (uint32_t i = 0; i < MIN(info.nr_prog_tags, PARTS_MAX); i++)
            setup->loaded(setup->loaded_data, tags[i]);
    }
}

uint64_t probe_missed(const struct bpf_program *program)
{
    struct bpf_prog_info info = {0};
    uint32_t size = sizeof(info);
    int fd = bpf_program__fd(program);

    return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? 0 : info.recursion_misses;
}

int probe_maps_use_unwind(struct bpf_map *rows, struct bpf_map *ranges, struct bpf_map *processes,
                          int rows_fd)
{
    int r;

    if (rows_fd < 0)
        return 0;
    r = bpf_map__reuse_fd(rows, rows_fd);
    if (r == 0)
        r = bpf_map__set_max_entries(ranges, UNWIND_RANGES_MAX);
    if (r == 0)
        r = bpf_map__set_max_entries(processes, UNWIND_PROCESSES_MAX);
    return r;
}

bool probe_unwind_fds(const struct probe *p, int *ranges_fd, int *processes_fd)
{
    *ranges_fd = p->maps.ranges_fd;
    *processes_fd = p->maps.processes_fd;
    return p->maps.ranges_fd >= 0;
}

/* Reads by batches; a map that changes meanwhile may show a row twice, which the reader bears
 * because counts are absolute. */
int probe_maps_read(const struct probe_maps *m, probe_row_fn fn, void *data, uint32_t *count)
{
    struct event_key *keys = calloc(BATCH, sizeof(*keys));
    struct event_value *values = calloc(BATCH, sizeof(*values));
    uint32_t in = 0, out = 0, seen = 0;
    bool first = true;
    int r = keys && values ? 0 : -ENOMEM;

    while (r == 0 && seen <= m->rows_max * 2) {
        uint32_t n = BATCH;

        r = bpf_map_lookup_batch(m->rows_fd, first ? NULL : &in, &out, keys, values, &n, NULL);
        if (r < 0 && r != -ENOENT)
            break;
        for (uint32_t i = 0; i < n; i++) {
            int stop = fn(data, &keys[i], &values[i]);

            if (stop)
                r = stop;
        }
        seen += n;
        in = out;
        first = false;
    }
    free(keys);
    free(values);
    *count = seen;
    return r == -ENOENT ? 0 : r;
}

static void clear(int fd, size_t key_size)
{
    char key[sizeof(struct event_key)] = {0}, next[sizeof(struct event_key)];
    bool have = false;

    while (bpf_map_get_next_key(fd, have ? key : NULL, next) == 0) {
        if (have)
            bpf_map_delete_elem(fd, key);
        memcpy(key, next, key_size);
        have = true;
    }
    if (have)
        bpf_map_delete_elem(fd, key);
}

void probe_maps_clear(const struct probe_maps *m)
{
    clear(m->rows_fd, sizeof(struct event_key));
    clear(m->stacks_fd, sizeof(uint64_t));
}

bool probe_stack(const struct probe *p, uint64_t key, struct event_stack *ret)
{
    return bpf_map_lookup_elem(p->maps.stacks_fd, &key, ret) == 0 &&
           EVENT_STACK_BYTES(ret->depth) <= p->maps.stack_bytes;
}

/* 0: never. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a && (!b || a < b) ? a : b;
}

unsigned probe_wakers(const struct probe *p, uint64_t key, struct event_waker ret[EVENT_CHAIN_MAX])
{
    struct event_chain chain = {.wakers = {key}};
    unsigned n = 0;

    if (p->maps.wakers_fd < 0 || !key)
        return 0;
    if (p->maps.chains_fd >= 0 && bpf_map_lookup_elem(p->maps.chains_fd, &key, &chain) < 0)
        return 0;
    while (n < EVENT_CHAIN_MAX && chain.wakers[n] &&
           bpf_map_lookup_elem(p->maps.wakers_fd, &chain.wakers[n], &ret[n]) == 0)
        n++;
    return n;
}

int probe_counters(const struct probe *p, struct event_counters *ret)
{
    int cpus = libbpf_num_possible_cpus();
    struct event_counters *each;
    uint32_t zero = 0;
    int r;

    if (cpus < 0)
        return cpus;
    each = calloc((size_t)cpus, sizeof(*each));
    if (!each)
        return -ENOMEM;
    *ret = (struct event_counters){0};
    r = bpf_map_lookup_elem(p->maps.counters_fd, &zero, each);
    for (int i = 0; r == 0 && i < cpus; i++) {
        ret->taken += each[i].taken;
        ret->runs += each[i].runs;
        ret->run_ns += each[i].run_ns;
        ret->unwind_ns += each[i].unwind_ns;
        ret->left_out += each[i].left_out;
        ret->no_room += each[i].no_room;
        ret->drawn += each[i].drawn;
        ret->owing += each[i].owing;
        ret->kernel_known += each[i].kernel_known;
        ret->kernel_walked += each[i].kernel_walked;
        for (int l = 0; l < EVENT_LOST_COUNT; l++)
            ret->lost[l] += each[i].lost[l];
        ret->first_ns = earlier(ret->first_ns, each[i].first_ns);
        ret->first_whole_ns = earlier(ret->first_whole_ns, each[i].first_whole_ns);
    }
    free(each);
    return r;
}

int probe_count_taken(const struct probe *p, uint64_t taken, uint32_t lost)
{
    int cpus = libbpf_num_possible_cpus(), r;
    struct event_counters *each = cpus < 0 ? NULL : calloc((size_t)cpus, sizeof(*each));
    uint32_t zero = 0;

    if (!each)
        return -ENOMEM;
    r = bpf_map_lookup_elem(p->maps.counters_fd, &zero, each);
    each[0].taken += taken;
    if (lost > 0 && lost <= EVENT_LOST_COUNT)
        each[0].lost[lost - 1] += taken;
    if (r == 0)
        r = bpf_map_update_elem(p->maps.counters_fd, &zero, each, BPF_ANY);
    free(each);
    return r;
}

int probe_count_more(const struct probe *p, const struct event_key *key,
                     const struct event_value *value, uint64_t amount)
{
    bool full = bpf_map_update_elem(p->maps.rows_fd, key, value, BPF_ANY) < 0;

    return probe_count_taken(p, amount, full ? 1 + EVENT_LOST_KEYS_FULL : 0);
}

/* The running kernel's number of a v1 subsystem: enum cgroup_subsys_id differs between builds. */
static int subsystem_index(const char *types, const char *name)
{
    struct btf *btf = types ? btf__parse(types, NULL) : btf__load_vmlinux_btf();
    const struct btf_type *t;
    const struct btf_enum *values;
    char want[32];
    int id, r = -ENOENT;

    if (!btf)
        return -errno;
    snprintf(want, sizeof(want), "%s_cgrp_id", strcmp(name, "blkio") == 0 ? "io" : name);
    id = btf__find_by_name_kind(btf, "cgroup_subsys_id", BTF_KIND_ENUM);
    t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
    values = t ? btf_enum(t) : NULL;
    for (int i = 0; t && i < btf_vlen(t); i++)
        if (strcmp(btf__name_by_offset(btf, values[i].name_off), want) == 0)
            r = values[i].val;
    btf__free(btf);
    return r;
}

int probe_filter_init(const struct probe_setup *setup, struct probe_filter *ret, struct err *e)
{
    const struct target *t = setup->target;
    int index;

    *ret = (struct probe_filter){
        .kind = EVENT_FILTER_ALL,
        .level = t->cgroup_level,
        .cgroup = t->cgroup_id,
        .tgids = t->process_count > 0,
    };
    if (t->kind == TARGET_CGROUP_V2)
        ret->kind = EVENT_FILTER_CGROUP_V2;
    if (t->kind != TARGET_CGROUP_V1)
        return 0;
    index = subsystem_index(setup->types, t->v1_subsystem);
    if (index < 0 || index > 15) {
        err_set(e, ERR_UNSUPPORTED,
                "this kernel does not tell how to filter by the cgroup "
                "controller '%s'",
                t->v1_subsystem);
        err_remedy(e, "it needs BTF with enum cgroup_subsys_id; see porthole doctor");
        return -EOPNOTSUPP;
    }
    ret->kind = EVENT_FILTER_CGROUP_V1;
    ret->subsystem = (uint32_t)index;
    return 0;
}

int probe_filter_fill(const struct target *t, int tgids_fd)
{
    uint8_t one = 1;

    for (size_t i = 0; i < t->process_count; i++) {
        uint32_t tgid = (uint32_t)t->processes[i].tgid;
        int r = bpf_map_update_elem(tgids_fd, &tgid, &one, BPF_ANY);

        if (r < 0)
            return r;
    }
    return 0;
}
