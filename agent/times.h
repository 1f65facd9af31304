/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of the target's threads went, added up: on a CPU, ready for one, throttled,
 * blocked.
 *
 * Reads what bpf/thread.bpf.h kept, for the probes of threads' time.
 */
#pragma once

#include "agent/probe.h"

struct times_source {
    int threads_fd, ended_fd;  /* maps: struct event_thread by tid, struct event_times by key */
    uint64_t begin_ns, end_ns; /* of the capture */
};

/* Calls fn once for every entry of both maps, until it returns non-zero. Returns 0, -errno or what
 * fn said. */
int times_read(const struct times_source *source, probe_times_fn fn, void *data);

/* The same for the cells of the histograms of waits. */
int cells_read(int cells_fd, probe_cell_fn fn, void *data);
