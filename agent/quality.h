/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quality report of one capture: what was taken, shown and lost, what is named and what is not,
 * how whole the stacks are, what it cost.
 */
#pragma once

#include "agent/cost.h"
#include "agent/profile.h"
#include "agent/records.h"
#include "agent/remarks.h"
#include "agent/states.h"

struct quality;

struct quality_setup {
    struct event_counters counters;
    struct cost cost;                         /* of this capture */
    uint64_t first_sample_ns, first_whole_ns; /* after the request; 0: none */
    uint64_t sideband_lost;
    const struct remarks *remarks; /* borrowed */
    struct scene *attached;        /* whose JVMs were to be asked; NULL: nobody asked for that */
    double overhead_percent;       /* negative: no budget */
    uint64_t overhead_max;
    bool yields_records;
    uint64_t records_shown;        /* what of taken the records hold, when it yields them */
    const struct records *records; /* of a view of I/O, with what they are; NULL: none */
    const struct records_ops *records_ops;
    const struct states *states; /* threads' time; NULL where it is not followed */
};

int quality_new(const struct quality_setup *setup, struct quality **ret);
void quality_free(struct quality *q);
DEFINE_FREEP(struct quality, quality_free)

/* Counts one stack of the result. */
void quality_add(struct quality *q, const struct scene *scene, const struct profile_stack *s);

/* Appends the "quality" line. */
void quality_write(const struct quality *q, const struct profile *p, struct buf *out);

/* Samples taken, and lost for any cause; taken - lost = shown. */
uint64_t quality_lost(const struct quality *q, const struct profile *p);
