/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of threads' states: for each thread, process or name, how long it was on a CPU, ready,
 * throttled and blocked, and what it was blocked on.
 *
 * Fed with the times that a probe kept and, for the `states` view, with the stacks of its waits.
 * Belongs to one capture.
 */
#pragma once

#include "agent/profile.h"
#include "agent/waitclass.h"

struct states;

/* Borrowed from the states; numbers are 0 where threads or processes are not kept apart. */
struct states_row {
    const char *container; /* or NULL */
    uint32_t tgid, tid, ns_tgid, ns_tid;
    char comm[EVENT_COMM_SIZE]; /* as last seen */
    struct event_times times;
    uint64_t blocked_us[WAIT_CLASS_COUNT];
};

/* The setup's fields say what is kept apart, as for the profile. */
int states_new(const struct profile_setup *setup, struct states **ret);
void states_free(struct states *s); /* NULL is fine */
DEFINE_FREEP(struct states, states_free)

/* A probe_times_fn; data is the states. */
int states_add_times(void *data, const struct event_key *who, const struct event_times *times);

/* Classes the waits of one stack of the result. */
void states_add_stack(struct states *s, const struct scene *scene,
                      const struct profile_stack *stack);

/* All threads together. */
const struct event_times *states_total(const struct states *s);

/* Waits that no function of their stacks explains, and all classed ones, in microseconds. */
uint64_t states_unclassed_us(const struct states *s);

/* In order of first sight; start with *cursor = 0. NULL at the end. */
const struct states_row *states_next(const struct states *s, size_t *cursor);
