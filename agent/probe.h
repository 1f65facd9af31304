/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe: what one view measures. Four calls and a table entry; one .bpf.c, one probe_*.c.
 *
 * A probe owns its BPF object and its events, and knows nothing of names, clients or outputs. A
 * capture opens it, starts it, drains it now and then and once at the end, and closes it, which
 * leaves nothing in the kernel.
 */
#pragma once

#include "agent/charges.h"
#include "agent/kernel_orc.h"
#include "agent/perf_event.h"
#include "agent/target.h"
#include "base/table.h"
#include "bpf/event.h"

#include <stddef.h>

struct probe;
struct records_ops;

/* Which waits count, for the views of threads' time; 0 and empty: all. */
struct wait_filter {
    uint32_t states;      /* bits of the kernel's task state of which a blocked thread has one */
    uint32_t chain_depth; /* wakers to follow, 1 to EVENT_CHAIN_MAX */
    uint64_t min_us, max_us;
    uint64_t slice_ns;          /* of histograms over time */
    char comm[EVENT_COMM_SIZE]; /* threads whose name begins so; NUL-padded */
    uint64_t max_overhead;      /* percent of a CPU's time that the programs may take */
};

/* What a stack of I/O counts for. */
enum probe_weight { WEIGHT_CALLS, WEIGHT_BYTES, WEIGHT_TIME, WEIGHT_COUNT };

/* What a view is about, which decides what may be asked of it. */
enum probe_family {
    FAMILY_SAMPLES, /* perf events */
    FAMILY_WAITS,   /* threads' time */
    FAMILY_IO,      /* operations, each with a beginning and an end */
};

/* What a capture wants, from its request. */
struct probe_setup {
    const char *view;
    struct wait_filter wait;
    struct charges charges; /* the views of I/O */
    enum probe_weight weight;
    bool events;                 /* the views of I/O: tell of each operation as it happens */
    const struct target *target; /* borrowed during open */
    const char *event_word;      /* as the user said it */
    struct perf_event_name event;
    uint64_t frequency; /* samples a second and CPU, or 0 */
    uint64_t period;    /* one sample every that many events, when frequency is 0 */
    uint64_t duration_ns;
    bool per_process, per_thread;
    bool has_quota;     /* a quota of CPU time may throttle the target */
    uint32_t stack_max; /* frames of a user stack, 1 to EVENT_STACK_DEEPEST */
    int unwind_rows_fd; /* the map of unwind rows, or -1: walk by frame pointers */
    void (*loaded)(void *data, const uint8_t tag[8]); /* called for each program, and its parts */
    void *loaded_data;
    const struct kernel_orc *orc; /* how the kernel walks its stack, or NULL */
    const char *types;            /* path of the kernel's types, or NULL: agent/kernel_types.h */
};

/* One row with its count since the probe began; borrowed during the call. Non-zero stops. */
typedef int (*probe_row_fn)(void *data, const struct event_key *key,
                            const struct event_value *value);

/* What became of a thread's, or several ended threads', time. Non-zero stops. */
typedef int (*probe_times_fn)(void *data, const struct event_key *who,
                              const struct event_times *times);

/* A cell of the histograms of waits for a CPU: count, sum and longest, in microseconds, are in the
 * value's count, first_ns and last_ns. Non-zero stops. */
typedef int (*probe_cell_fn)(void *data, const struct event_cell *cell,
                             const struct event_value *value);

/* What a program wrote into its ring, as bpf/event.h has it. Non-zero stops. */
typedef int (*probe_event_fn)(void *data, const void *event, size_t size);

enum probe_yields { YIELDS_STACKS, YIELDS_RECORDS };

/* What its rows have besides a stack. */
enum probe_shows {
    SHOWS_PARTS = 1,        /* several parts, each with a word above its stacks */
    SHOWS_WAKERS = 2,       /* who ended the wait, on top of the stack */
    SHOWS_WAKERS_ALONE = 4, /* and no stack but theirs */
};

struct probe_ops {
    const char *view;
    enum probe_family family;
    unsigned shows; /* bits of enum probe_shows */
    enum probe_yields yields;
    const char *unit;         /* of stacks that weigh what WEIGHT_CALLS says */
    const char *const *needs; /* for doctor_explain(), NULL-terminated */

    /* Adds the names of the kernel's types that its programs look into. Returns 0 or -errno. NULL
     * for a probe that needs all of the kernel's types anyway, to attach. */
    int (*types)(struct table *names);

    /* Loaded, not yet attached. Returns 0 or -errno with e. */
    int (*open)(const struct probe_setup *setup, struct probe **ret, struct err *e);

    /* Attached and counting. */
    int (*start)(struct probe *p, struct err *e);

    /* Calls fn for every row. last: counting ends before the rows are read, so that they are exact.
     * Returns 1 when the rows were then forgotten to make room, so that later counts start again
     * from zero; 0; -errno. */
    int (*drain)(struct probe *p, bool last, probe_row_fn fn, void *data);

    /* Calls fn for every thread's time; NULL for probes that do not follow it. tid is 0 in who for
     * several threads that ended. */
    int (*times)(struct probe *p, probe_times_fn fn, void *data);

    /* Calls fn for every cell of its histograms; NULL for probes without. */
    int (*cells)(struct probe *p, probe_cell_fn fn, void *data);

    /* What becomes of its events and aggregates; NULL: times, cells or stacks are all there is. */
    const struct records_ops *records;

    /* What its stacks cannot weigh: bits 1 << enum probe_weight. */
    unsigned refuses;

    /* The same view as stacks, for who asks for them; NULL where there is nothing to choose. */
    const struct probe_ops *as_stacks;

    /* A sentence on what this kernel does not tell it, or NULL; NULL for probes that need all of
     * their hooks. Once it is open. */
    const char *(*lacks)(const struct probe *p);

    /* What its programs took of a CPU's time, in percent; NULL for probes without a budget. */
    double (*overhead)(const struct probe *p);

    void (*close)(struct probe *p);
};

/* ---- what every probe has, whatever it measures ---- */

/* The stack under that key, into EVENT_STACK_BYTES(stack_max). False when it is not (or no longer)
 * there. */
bool probe_stack(const struct probe *p, uint64_t key, struct event_stack *ret);

/* The wakers under a row's key, nearest first. Returns how many there are, 0 when none is known. */
unsigned probe_wakers(const struct probe *p, uint64_t key, struct event_waker ret[EVENT_CHAIN_MAX]);

/* The maps that tell its program how to unwind; false when it walks by frame pointers. */
bool probe_unwind_fds(const struct probe *p, int *ranges_fd, int *processes_fd);

/* Events that its programs tell of: an fd that is readable when many wait to be taken, or -1 where
 * there are none. */
int probe_ring_fd(const struct probe *p);

/* Calls fn for up to max events, oldest first. Returns how many there were, or -errno. */
int probe_take_events(struct probe *p, unsigned max, probe_event_fn fn, void *data);

/* Sums over all CPUs; first_ns is the earliest. */
int probe_counters(const struct probe *p, struct event_counters *ret);

/* The table, ended by an entry without a view. */
extern const struct probe_ops *const probe_table[];

/* NULL when there is no such view. */
const struct probe_ops *probe_find(const char *view);
