/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a capture of block I/O adds up to, for its quality report: who was charged with how much,
 * and how much could not be attributed. Owned by its records.
 */
#pragma once

#include "agent/probe_block.h"
#include "base/buf.h"

struct block_totals {
    uint64_t requests; /* that lines tell of */
    uint64_t charged_bytes, kernel_bytes, others_bytes;
    uint64_t unattributed_bytes, unattributed_requests;
    uint64_t errors, open;
    struct probe_block_counts counts;
};

void block_totals_add(struct block_totals *t, const struct event_block_key *key, uint64_t requests,
                      uint64_t bytes, uint64_t errors);

/* Appends ,"block":{…} to a quality line. */
void block_totals_write(const struct block_totals *t, struct buf *out);
