/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What probes share: the maps of bpf/maps.bpf.h and the filter of bpf/filter.bpf.h, seen from here.
 */
#pragma once

#include "agent/probe.h"

#include <bpf/libbpf.h>

/* The head of every struct probe. */
struct probe_maps {
    int rows_fd, stacks_fd, counters_fd; /* borrowed from the BPF object */
    int ranges_fd, processes_fd;         /* likewise; -1: by frame pointers */
    uint32_t rows_max;
};

struct probe {
    struct probe_maps maps;
};

/* Sizes the maps before loading: room for every sample that can come, within bounds. */
void probe_maps_size(struct bpf_map *rows, struct bpf_map *stacks, uint64_t samples);

/* After loading. */
void probe_maps_init(struct probe_maps *m, struct bpf_map *rows, struct bpf_map *stacks,
                     struct bpf_map *counters);

/* The maps of bpf/unwind.bpf.h: sized, and sharing the rows, before loading (rows_fd -1: not used).
 */
int probe_maps_use_unwind(struct bpf_map *rows, struct bpf_map *ranges, struct bpf_map *processes,
                          int rows_fd);

/* Calls fn for every row, and *count is how many there were. Returns 0 or -errno. */
int probe_maps_read(const struct probe_maps *m, probe_row_fn fn, void *data, uint32_t *count);

/* Forgets all rows and stacks; nothing must be counting meanwhile. */
void probe_maps_clear(const struct probe_maps *m);

/* The constants of the filter for a target. */
struct probe_filter {
    uint32_t kind, level, subsystem; /* enum event_filter */
    uint64_t cgroup;
    uint8_t tgids;
};

/* Returns 0, or -EOPNOTSUPP when this kernel has no such cgroup subsystem. */
int probe_filter_init(const struct target *t, struct probe_filter *ret, struct err *e);

/* Fills the map of target processes after loading. */
int probe_filter_fill(const struct target *t, int tgids_fd);
