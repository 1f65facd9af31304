/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we cost ourselves: CPU time of the agent and of opener and parser with their dead children.
 */
#pragma once

#include "agent/agent.h"

#include <stdint.h>

struct cost {
    uint64_t agent_us, children_us;
};

/* Since the processes began. What cannot be read counts as zero. */
void cost_read(const struct agent_setup *setup, struct cost *ret);

/* What was added since before; not less than nothing, for a child that was replaced meanwhile. */
void cost_subtract(struct cost *c, const struct cost *before);

/* Resident memory of one process in KiB; 0 when it cannot be read. */
uint64_t cost_rss_kb(int pid);
