/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long threads wait for a CPU: one histogram for all, one for each thread, one for each slice
 * of the capture; throttled time apart.
 *
 * Fed with the cells that a probe counted. Belongs to one capture.
 */
#pragma once

#include "agent/histogram.h"
#include "agent/probe.h"

struct latency;

enum latency_part { LATENCY_RUNNABLE, LATENCY_THROTTLED, LATENCY_PART_COUNT };

int latency_new(struct latency **ret);
void latency_free(struct latency *l); /* NULL is fine */
DEFINE_FREEP(struct latency, latency_free)

/* A probe_cell_fn; data is the latency. */
int latency_add_cell(void *data, const struct event_cell *cell, const struct event_value *value);

/* Of all threads together. */
const struct histogram *latency_total(const struct latency *l, enum latency_part part);

/* Of one thread, NULL when it never waited. */
const struct histogram *latency_of_thread(const struct latency *l, uint32_t tid,
                                          enum latency_part part);

/* Of slice number n, counted from 0; NULL when nobody waited in it. slices: how many there are. */
const struct histogram *latency_of_slice(const struct latency *l, uint32_t n,
                                         enum latency_part part);
uint32_t latency_slices(const struct latency *l);
