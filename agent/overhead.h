/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps what a probe's programs take of a CPU's time within a budget: says which waits' stacks they
 * are to take, from how long they ran since it was asked last. bpf/thin.bpf.h does it.
 *
 * Used by probe_sched.
 */
#pragma once

#include <stdint.h>

#define OVERHEAD_EVERY_MAX 64u /* fewer stacks would cost hardly less, and tell little */

struct overhead;

/* max_percent: of each CPU's time. Returns 0 or -errno. */
int overhead_new(unsigned max_percent, uint64_t now_ns, struct overhead **ret);
void overhead_free(struct overhead *o); /* NULL is fine */

/* Of how many waits one's stacks are to be taken from now on, a power of two. run_ns: how long the
 * programs have run on each of so many CPUs since the beginning. */
unsigned overhead_adjust(struct overhead *o, const uint64_t *run_ns, int cpus, uint64_t now_ns);

/* What a budget calls for: every when the programs took that share while they took one in every.
 */
unsigned overhead_every(unsigned every, double percent, unsigned max_percent);

/* What the programs took of the CPU where they ran most, in percent, from the beginning to the last
 * time that overhead_adjust() was asked. */
double overhead_percent(const struct overhead *o);
