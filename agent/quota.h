/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a quota of CPU time may throttle a target: only then its waits for a CPU are looked into
 * for what of them was the quota's, which costs each wait something.
 *
 * Asked once, when a capture begins. Used by capture_begin.
 */
#pragma once

#include "agent/containers.h"
#include "agent/target.h"

/* True when one is set in this directory, above it as far as the mount point, or below it; and when
 * that cannot be told. */
bool quota_is_set(const char *mount, const char *directory);

/* True also for targets that are no cgroup: their processes may be in any. */
bool quota_may_throttle(const struct containers *cs, const struct target *t);
