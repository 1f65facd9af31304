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
    int wakers_fd, chains_fd;            /* likewise; -1: it has none, none longer than one */
    uint32_t rows_max, stack_bytes;
    struct probe_ring *ring; /* owned, or NULL */
};

struct probe {
    struct probe_maps maps;
};

/* Sizes the maps before loading: room for every sample that can come, within bounds, and for as
 * many frames of a user stack. */
void probe_maps_size(struct bpf_map *rows, struct bpf_map *stacks, struct bpf_map *scratch,
                     uint64_t samples, uint32_t stack_max);

/* After loading. */
void probe_maps_init(struct probe_maps *m, struct bpf_map *rows, struct bpf_map *stacks,
                     struct bpf_map *counters);

/* After loading: events come through this map of type RINGBUF. Returns 0 or -errno. */
int probe_ring_open(struct probe_maps *m, struct bpf_map *ring);
void probe_ring_free(struct probe_maps *m); /* nothing to free is fine */

/* After loading: tells the tags of all programs. */
void probe_tell_programs(const struct probe_setup *setup, struct bpf_object *object);

/* How often the kernel did not call a program since it was running on that CPU already. 0 for one
 * that is not loaded. */
uint64_t probe_missed(const struct bpf_program *program);

/* The maps of bpf/unwind.bpf.h: sized, and sharing the rows, before loading (rows_fd -1: not used).
 */
int probe_maps_use_unwind(struct bpf_map *rows, struct bpf_map *ranges, struct bpf_map *processes,
                          int rows_fd);

/* Returns when none of the programs runs any more that were detached, or told to do nothing. */
void probe_programs_end(void);

/* Calls fn for every row, and *count is how many there were. Returns 0 or -errno. */
int probe_maps_read(const struct probe_maps *m, probe_row_fn fn, void *data, uint32_t *count);

/* Counts as taken what the programs did not. lost, as they have it: 0 where it is shown, else which
 * loss it was, plus one. Nothing must be counting any more. Returns 0 or -errno. */
int probe_count_taken(const struct probe *p, uint64_t taken, uint32_t lost);

/* Stores a row as it is to be, of which amount was not taken before: for what only the end tells.
 * Nothing must be counting any more. Returns 0 or -errno. */
int probe_count_more(const struct probe *p, const struct event_key *key,
                     const struct event_value *value, uint64_t amount);

/* Forgets all rows and stacks; nothing must be counting meanwhile. */
void probe_maps_clear(const struct probe_maps *m);

/* The constants of the filter for a target. */
struct probe_filter {
    uint32_t kind, level, subsystem; /* enum event_filter */
    uint64_t cgroup;
    uint8_t tgids;
};

/* Into the constants of bpf/filter.bpf.h, which each object has of its own. */
#define PROBE_SET_FILTER(constants, filter)                  \
    do {                                                     \
        (constants)->filter_kind = (filter)->kind;           \
        (constants)->filter_cgroup = (filter)->cgroup;       \
        (constants)->filter_level = (filter)->level;         \
        (constants)->filter_subsystem = (filter)->subsystem; \
        (constants)->filter_tgids = (filter)->tgids;         \
    } while (0)

/* Returns 0, or -EOPNOTSUPP when this kernel has no such cgroup subsystem. */
int probe_filter_init(const struct probe_setup *setup, struct probe_filter *ret, struct err *e);

/* Fills the map of target processes after loading. */
int probe_filter_fill(const struct target *t, int tgids_fd);
