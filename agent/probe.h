/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe: what one view measures. Four calls and a table entry; one .bpf.c, one probe_*.c.
 *
 * A probe owns its BPF object and its events, and knows nothing of names, clients or outputs. A
 * capture opens it, starts it, drains it now and then and once at the end, and closes it, which
 * leaves nothing in the kernel.
 */
#pragma once

#include "agent/perf_event.h"
#include "agent/target.h"
#include "bpf/event.h"

#include <stddef.h>

struct probe;

/* What a capture wants, from its request. */
struct probe_setup {
    const struct target *target; /* borrowed during open */
    const char *event_word;      /* as the user said it */
    struct perf_event_name event;
    uint64_t frequency; /* samples a second and CPU, or 0 */
    uint64_t period;    /* one sample every that many events, when frequency is 0 */
    uint64_t duration_ns;
    bool per_thread;
    int unwind_rows_fd; /* the map of unwind rows, or -1: walk by frame pointers */
};

/* One row with its count since the probe began; borrowed during the call. Non-zero stops. */
typedef int (*probe_row_fn)(void *data, const struct event_key *key,
                            const struct event_value *value);

enum probe_yields { YIELDS_STACKS };

struct probe_ops {
    const char *view;
    enum probe_yields yields;
    const char *unit;
    const char *const *needs; /* for doctor_explain(), NULL-terminated */

    /* Loaded, not yet attached. Returns 0 or -errno with e. */
    int (*open)(const struct probe_setup *setup, struct probe **ret, struct err *e);

    /* Attached and counting. */
    int (*start)(struct probe *p, struct err *e);

    /* Calls fn for every row. last: counting ends before the rows are read, so that they are exact.
     * Returns 1 when the rows were then forgotten to make room, so that later counts start again
     * from zero; 0; -errno. */
    int (*drain)(struct probe *p, bool last, probe_row_fn fn, void *data);

    void (*close)(struct probe *p);
};

/* ---- what every probe has, whatever it measures ---- */

/* The stack under that key. False when it is not (or no longer) there. */
bool probe_stack(const struct probe *p, uint64_t key, struct event_stack *ret);

/* The maps that tell its program how to unwind; false when it walks by frame pointers. */
bool probe_unwind_fds(const struct probe *p, int *ranges_fd, int *processes_fd);

/* Sums over all CPUs; first_ns is the earliest. */
int probe_counters(const struct probe *p, struct event_counters *ret);

/* The table, ended by an entry without a view. */
extern const struct probe_ops *const probe_table[];

/* NULL when there is no such view. */
const struct probe_ops *probe_find(const char *view);
