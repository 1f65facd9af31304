/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent's parts share: made by agent.c, borrowed by everybody else, changed by nobody
 * except the totals.
 */
#pragma once

#include "agent/agent.h"
#include "agent/discovery.h"
#include "agent/kernel_orc.h"
#include "agent/unwind.h"
#include "base/loop.h"
#include "nsresolve/resolve.h"

struct totals {
    uint64_t captures, refused, connections, dropped;
    uint64_t taken, shown, lost; /* of captures that ended */
};

struct context {
    const struct agent_setup *setup;
    struct loop *loop;
    struct client *client;
    struct resolver *resolver;
    struct discovery *discovery;
    struct kernel_types *types;      /* NULL: the kernel tells of none */
    struct unwind_rows *unwind_rows; /* made with the first capture; NULL: frame pointers only */
    struct kernel_orc orc; /* likewise, with the first that follows threads; count 0: not there */
    bool unwind_tried, orc_tried;
    unsigned captures; /* under way */
    uint64_t started_ns;
    struct totals totals;
};
