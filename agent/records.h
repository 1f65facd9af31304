/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a view of I/O: what its programs tell, as lines of the stream.
 *
 * One implementation a view (block_records.c, tcp_records.c). A capture makes one, feeds it the
 * events of the ring while it runs, has it take the aggregates before the probe is closed, and lets
 * it write what is left at the end. It knows no clients and keeps nothing of events that it wrote.
 */
#pragma once

#include "agent/probe.h"
#include "base/buf.h"

/* Which hierarchy the number of a cgroup is of: they count apart. */
enum records_hierarchy { HIERARCHY_V2, HIERARCHY_MEMORY, HIERARCHY_BLKIO, HIERARCHY_COUNT };

/* Who is who; borrowed for the life of the records. */
struct records_setup {
    const char *target; /* the target's container; NULL: it is none, or several */
    bool events, per_process, per_thread;
    uint64_t started_ns; /* CLOCK_MONOTONIC */
    uint64_t slice_ns;   /* of histograms over time */
    struct wait_filter wait;

    /* The container of a process, or of a cgroup (0: not known) of that hierarchy; NULL: the
     * host's, or nobody's. */
    const char *(*container_of)(void *data, uint32_t tgid, enum records_hierarchy h,
                                uint64_t cgroup_id);
    void *data;
};

struct records;

struct records_ops {
    const char *kind, *events_kind; /* "block", "block-event": which table of columns draws them */

    int (*new)(const struct records_setup *setup, struct records **ret);
    void (*free)(struct records *r); /* NULL is fine */

    /* Appends a line or more for an event, or keeps it. Returns 0 or -errno. */
    int (*event)(struct records *r, const void *event, size_t size, struct buf *out);

    /* Nothing counts any more: takes the aggregates from the probe. Returns 0 or -errno. */
    int (*finish)(struct records *r, struct probe *p);

    /* Appends the next line; false when there is none left. */
    bool (*next)(struct records *r, struct buf *out);

    /* How much of what was taken the lines hold, or will hold. */
    uint64_t (*shown)(const struct records *r);

    /* Appends members of the quality line, each begun with a comma; NULL: none. */
    void (*quality)(const struct records *r, struct buf *out);
};
