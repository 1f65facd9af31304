/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a capture, shared by capture.c (its life), capture_begin.c (its beginning)
 * and capture_stream.c (its lines) only.
 */
#pragma once

#include "agent/capture.h"
#include "agent/containers.h"
#include "agent/cost.h"
#include "agent/profile.h"
#include "agent/quality.h"
#include "agent/sideband.h"
#include "agent/target.h"
#include "base/table.h"

enum capture_phase {
    PHASE_FINDING,    /* the target */
    PHASE_RUNNING,    /* samples come */
    PHASE_LOCATING,   /* ended; the last processes are looked at */
    PHASE_COLLECTING, /* tables and perf maps come in */
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
    uint64_t finding; /* ticket of the discovery, 0 when it is over */

    struct target *target;
    struct table *container_names; /* by tgid (4 bytes) and v2 cgroup id (8) */
    struct probe *probe;
    struct sideband *sideband;
    struct scene *scene;
    struct unwind *unwind; /* NULL: by frame pointers */
    bool unwound;          /* there was one */
    uint64_t left_out;     /* processes that found no room in it */
    char remarks[2][128];  /* of the report, with numbers in them */
    struct profile *profile;
    struct quality *quality;
    struct event_counters counters; /* as last read */
    uint64_t sideband_lost;
    unsigned adopted; /* processes looked at before they were sampled */

    struct source *tick, *deadline, *news;
    size_t stack_cursor, frame_cursor; /* delivering */
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

/* ---- capture_stream.c ---- */

void stream_started(struct capture *c);
void stream_progress(struct capture *c);
void stream_error(struct capture *c, const struct err *e, const struct candidates *candidates);

/* Appends the next part of the result; false when all of it is out. */
bool stream_result(struct capture *c, struct buf *out);
