/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probe of block I/O has besides events: read once, after the last drain.
 */
#pragma once

#include "agent/probe.h"
#include "bpf/event_block.h"

/* Requests that became part of others, that the device gave back to be issued again, and that ended
 * without the program being called; and begins that it was not called for, as it was running. */
struct probe_block_counts {
    uint64_t merged, requeued, unseen, missed;
};

void probe_block_counts(const struct probe *p, struct probe_block_counts *ret);

/* Each calls fn until it returns non-zero, which is returned; 0 or -errno otherwise. */
int probe_block_rows(const struct probe *p,
                     int (*fn)(void *data, const struct event_block_key *key,
                               const struct event_block_value *value),
                     void *data);
int probe_block_slices(const struct probe *p,
                       int (*fn)(void *data, uint32_t n, const struct event_block_slice *slice),
                       void *data);

/* Requests that have not ended. */
int probe_block_open_requests(const struct probe *p,
                              int (*fn)(void *data, const struct event_block_request *request),
                              void *data);
