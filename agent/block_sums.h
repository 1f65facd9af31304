/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of requests that have ended, as BPF programs keep them (bpf/event_block.h): of several CPUs
 * together, and of requests that are told of one by one. Owns no memory.
 */
#pragma once

#include "bpf/event_block.h"

/* Adds what another one has. */
void block_sums_add(struct event_block_value *to, const struct event_block_value *more);
void block_sums_add_slice(struct event_block_slice *to, const struct event_block_slice *more);

/* Adds the latencies of one request; nothing, where nobody saw when it ended. */
void block_sums_count(struct event_block_value *to, const struct event_block_done *done);
void block_sums_count_slice(struct event_block_slice *to, const struct event_block_done *done);
