/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of perf events, as perf-list(1) spells them, and opening them.
 */
#pragma once

#include "base/err.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

struct perf_event_name {
    uint32_t type;
    uint64_t config;
    bool clock;          /* ticks by itself: sampled by frequency */
    char tracepoint[64]; /* not empty: a tracepoint, opened by this name instead */
};

/* Understands software, hardware and cache events, raw events ("r01c2") and tracepoints
 * ("sched:sched_switch"). Returns 0, or -EINVAL with ERR_USAGE and the names that there are. */
int perf_event_parse(const char *word, struct perf_event_name *ret, struct err *e);

/* perf_event_open(2) with CLOEXEC, switching CAP_SYS_ADMIN on for the moment where the kernel
 * insists and it is permitted. Returns the fd or -errno. */
int perf_event_open(struct perf_event_attr *attr, int pid, int cpu, unsigned long flags);

/* Whether kernel.perf_event_paranoid is 3, a level of Debian's and Ubuntu's kernels (Debian 12
 * starts with it) at which CAP_PERFMON alone opens no event. */
bool perf_event_wants_admin(void);
#define PERF_EVENT_ADMIN_REMEDY \
    "sysctl kernel.perf_event_paranoid=2, or give portholed CAP_SYS_ADMIN at its start"

/* Opens an event for all processes of a CPU; returns the fd or -errno. cgroup_fd: -1, or the
 * directory of a v2 cgroup. */
int perf_event_open_cpu(struct perf_event_attr *attr, int cpu, int cgroup_fd);

/* Explains a failed open of an event called word: what is missing and how to get it. Returns the
 * -errno that fits. */
int perf_event_explain(const char *word, int error, struct err *e);

/* The CPUs that are online. Returns their number (at most max) or -errno. */
int perf_event_cpus(int *cpus, int max);
#define PERF_EVENT_CPUS_MAX 1024
