/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which waits have their stacks taken: all of them, until that costs more than the capture may.
 *
 * Then those of threads that wait often are drawn by lot, one in `thin_every`, and the amounts of
 * the others are owed by the thread. A wait that is drawn pays so much of what is owed as the
 * others of its kind would make on average: its own amount times those left out. So each amount is
 * counted exactly once, and long and short waits get what is theirs. What is owed at the end goes
 * to a row without a stack.
 */
#pragma once

#include "bpf/hash.bpf.h"
#include "bpf/thread.bpf.h"

__u32 thin_every = 1; /* a power of two; the agent raises it while the capture runs */

#define THIN_EPOCH_SHIFT 29 /* half a second */
#define THIN_SPARED 64      /* waits of a thread in that time which are taken in any case */

/* Chains are only whole when several threads' waits are drawn: there, all of a millisecond are. */
static __always_inline __u32 thin_lot(int together, __u64 now)
{
    return together ? hash_bits(now >> 20, 32) : bpf_get_prandom_u32();
}

/* Decides over the wait, or the switch, that begins now. True when its stacks are to be taken. */
static __always_inline int thin_draw(struct event_thread *t, int together, __u64 now)
{
    __u32 every = thin_every, epoch = now >> THIN_EPOCH_SHIFT;

    t->thin = 1;
    if (every <= 1)
        return 1;
    if (t->epoch != epoch) {
        t->epoch = epoch;
        t->drawn = 0;
    }
    if (t->drawn++ < THIN_SPARED)
        return 1;
    t->thin = thin_lot(together, now) & (every - 1) ? EVENT_THIN_OWES : every;
    return t->thin != EVENT_THIN_OWES;
}

/* What to count for it, of which kind: nothing when it was not drawn. */
static __always_inline __u64 thin_charge(struct event_thread *t, enum event_owed kind, __u64 amount)
{
    __u64 pays = 0;

    if (t->thin == EVENT_THIN_OWES) {
        t->owed[kind] += amount;
        return 0;
    }
    if (t->thin > 1)
        pays = amount * (t->thin - 1);
    if (pays > t->owed[kind])
        pays = t->owed[kind];
    t->owed[kind] -= pays;
    return amount + pays;
}
