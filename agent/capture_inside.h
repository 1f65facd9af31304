/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a capture, shared by capture.c (its life), capture_begin.c (its beginning)
 * and capture_stream.c (its lines) only.
 */
#pragma once

#include "agent/capture.h"
#include "agent/containers.h"
#include "agent/cost.h"
#include "agent/latency.h"
#include "agent/profile.h"
#include "agent/quality.h"
#include "agent/records.h"
#include "agent/remarks.h"
#include "agent/sideband.h"
#include "agent/states.h"
#include "agent/target.h"
#include "base/table.h"

enum capture_phase {
    PHASE_FINDING,    /* the target */
    PHASE_RUNNING,    /* samples come */
    PHASE_LOCATING,   /* ended; the last processes are looked at */
    PHASE_ATTACHING,  /* JVMs write their perf maps once more */
    PHASE_COLLECTING, /* tables and names of JIT code come in */
    PHASE_FETCHING,   /* debug files of debuginfod's may still come */
    PHASE_EXPANDING,  /* what was inlined is asked for */
    PHASE_NAMING,     /* names are demangled */
    PHASE_DELIVERING,
    PHASE_DONE,
};

enum capture_end { END_DONE, END_INTERRUPTED, END_TARGET_GONE };

struct capture {
    struct context *ctx;
    struct request request;
    void (*wake)(void *data);
    void *data;

    enum capture_phase phase;
    enum capture_end end;
    struct buf lines; /* written and not yet emitted: started, progress, error */
    uint64_t asked_ns, started_ns, ended_ns, previous_tick_ns;
    struct cost cost_before;
    uint64_t finding; /* ticket of the discovery that is under way, 0: none is */

    struct target *target;
    struct table *container_names; /* by tgid (4 bytes) and v2 cgroup id (8) */
    struct table *strangers;       /* v2 cgroup ids of wakers that were looked up later */
    struct probe *probe;
    struct sideband *sideband;
    struct scene *scene;
    struct unwind *unwind;  /* NULL: by frame pointers */
    bool unwound;           /* there was one */
    double overhead;        /* of the probe, in percent; negative: it has no budget */
    uint64_t left_out;      /* processes that found no room in it */
    struct remarks remarks; /* of the report */
    struct profile *profile;
    struct states *states;   /* NULL unless the probe follows threads' time */
    struct latency *latency; /* likewise */
    struct records *records; /* of a view of I/O, or NULL */
    const struct records_ops *records_ops;
    struct quality *quality;
    const char *lacks;              /* what the kernel does not tell the probe, or NULL */
    struct event_counters counters; /* as last read */
    uint64_t sideband_lost;
    unsigned adopted; /* processes looked at before they were sampled */

    struct source *tick, *deadline, *news;
    struct source *ring, *ring_timer; /* events wait to be taken; NULL without any */
    size_t stack_cursor, frame_cursor, record_cursor; /* delivering */
    uint32_t slice_cursor;                            /* likewise */
};

/* ---- capture_begin.c ---- */

/* For discovery_refresh(): resolves the target and begins to observe, or fails. */
void capture_begin(void *data, const struct containers *cs, const struct err *error);

/* Ends the capture with an error line. candidates may be NULL. */
void capture_fail(struct capture *c, const struct err *e, const struct candidates *candidates);

/* Side-band records up to until were fed: lets the scene go on and tells the program of it. */
void capture_advance(struct capture *c, uint64_t until);

/* Reads the side-band and advances; for timers and rings. */
void capture_read_sideband(void *data);

/* ---- capture_events.c ---- */

/* For a view of I/O: makes its records and looks for its events from now on. Returns 0 or -errno.
 */
int capture_open_records(struct capture *c);

/* Takes events out of the ring, as long as the client keeps up. last: all that are left, and the
 * aggregates. */
void capture_take_events(struct capture *c, bool last);
void capture_close_events(struct capture *c);

/* ---- capture_names.c ---- */

/* The container that a process is in, or NULL; for profile_setup, data is the capture. */
const char *capture_container_of(void *data, uint32_t tgid, uint64_t cgroup_id);

/* The same by a cgroup of any hierarchy; for records_setup. */
const char *capture_container_by(void *data, uint32_t tgid, enum records_hierarchy h,
                                 uint64_t cgroup_id);
int capture_waker_name(void *data, const struct event_waker *w, bool may_wait, struct buf *out);

/* Keeps the names of all these, beside those that are known. */
void capture_name_containers(struct capture *c, const struct containers *cs);

/* ---- capture_stream.c ---- */

void stream_started(struct capture *c);
void stream_progress(struct capture *c);
void stream_error(struct capture *c, const struct err *e, const struct candidates *candidates);

/* Appends the next part of the result; false when all of it is out. */
bool stream_result(struct capture *c, struct buf *out);

/* ---- capture_records.c ---- */

/* Takes threads' times from the probe before it is closed. Returns 0 or -errno. */
int capture_take_times(struct capture *c, const struct profile_setup *setup);

/* What of that which was taken the records will hold. */
void capture_count_records(const struct capture *c, struct quality_setup *setup);

/* Appends the next record; false when there is none left. */
bool stream_record(struct capture *c, struct buf *out);
