/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The samples of one capture: rows as the kernel counts them, turned into located stacks while
 * their processes are fresh, merged into what the client asked for at the end.
 *
 * Every count that it was given ends up in a stack or in a loss with a cause. Belongs to one
 * capture.
 */
#pragma once

#include "agent/probe.h"
#include "agent/shape.h"
#include "base/buf.h"
#include "base/table.h"
#include "nsresolve/resolve.h"

struct profile;

enum profile_lost {
    PROFILE_LOST_STACK,  /* the stack was no longer in the map */
    PROFILE_LOST_MEMORY, /* beyond the capture's memory */
    PROFILE_LOST_COUNT,
};

struct profile_setup {
    struct scene *scene; /* borrowed */
    bool per_process, per_thread;
    bool labels;         /* rows of several parts (enum event_part): each stack says which */
    bool wakers_upright; /* wakers stand by themselves, instead of upside down on a stack */
    uint32_t stack_max;  /* frames of a user stack that were asked for */
    size_t memory_max;   /* bytes of stacks and rows */

    /* The container of a sample, when the target spans several; NULL: nobody's. May be NULL. */
    const char *(*container_of)(void *data, uint32_t tgid, uint64_t cgroup_id);

    /* Appends who a waker is, as people call it: for those that do not belong to the target.
     * Returns 0, or -EAGAIN when that is not known yet and may wait. */
    int (*waker_name)(void *data, const struct event_waker *waker, bool may_wait, struct buf *out);
    void *data;
};

int profile_new(const struct profile_setup *setup, struct profile **ret);
void profile_free(struct profile *p);
DEFINE_FREEP(struct profile, profile_free)

/* A drain begins: what its rows say is true of this time or later. */
void profile_draining(struct profile *p, uint64_t time_ns);

/* Takes a row's count as it stands now; reads its stacks from the probe when they are new. */
int profile_row(struct profile *p, struct probe *probe, const struct event_key *key,
                const struct event_value *value);

/* The kernel forgot all rows and stacks: counts begin at zero again. Rows that are located are
 * forgotten here, too, so that long captures stay small. */
void profile_rows_forgotten(struct profile *p);

/* Locates what came since the last time. last: also rows whose processes are not known by now, and
 * those that wait for names. */
void profile_locate(struct profile *p, bool last);

/* A stack of the result: frames by id, outermost first. Borrowed from the profile. */
struct profile_stack {
    uint64_t value;
    const char *comm;                    /* NUL-terminated */
    const char *container;               /* or NULL */
    uint32_t tgid, tid, ns_tgid, ns_tid; /* 0 unless asked for */
    enum shape shape;
    enum shape_cause cause;
    uint32_t by_tables;   /* walked by unwind tables; 0: by frame pointers alone */
    uint32_t frame_count; /* no padding before: stacks are compared as bytes */
    uint32_t frames[];
};

/* Merges the located stacks by their frames; the scene has named them. Returns 0 or -ENOMEM. */
int profile_finish(struct profile *p);

/* After profile_finish(), in a stable order. Start with *cursor = 0; NULL at the end. */
const struct profile_stack *profile_next(const struct profile *p, size_t *cursor);

/* As it was given to profile_new(). */
const struct profile_setup *profile_get_setup(const struct profile *p);

uint64_t profile_shown(const struct profile *p); /* sum of the values */
uint64_t profile_lost(const struct profile *p, enum profile_lost cause);
size_t profile_bytes(const struct profile *p);
