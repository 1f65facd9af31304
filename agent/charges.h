/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the kernel charges a target's memory and block I/O: its cgroups in those two hierarchies.
 *
 * The same cgroup has another number in each hierarchy, and the target is known by one of them
 * alone. For the views of I/O; asked once, when a capture begins.
 */
#pragma once

#include "agent/containers.h"
#include "agent/target.h"

/* cgroup is the id, at that level below its hierarchy's root; 0: the target has none there. */
struct charge {
    uint64_t cgroup;
    unsigned level;
};

struct charges {
    struct charge memory, blkio;
};

void charges_find(const struct containers *cs, const struct target *t, struct charges *ret);
