/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whose the bytes of a request are that several bios were merged into: where their data are
 * neighbours on the disk, what is written back or swapped out together may be several owners'.
 */
#pragma once

#include "bpf/owner.bpf.h"

#define BIOS_MAX 256

/* More owners than there are places: whose a share is is not known then, but what is the target's
 * stays apart from what is not. */
static __noinline void crowd_share(struct event_block_request *r,
                                   const struct event_block_share *share)
{
    struct event_block_share *last = &r->share[EVENT_BLOCK_SHARES - 1];
    struct event_block_share *before = &r->share[EVENT_BLOCK_SHARES - 2], *to = last;

    if (last->charged != share->charged) {
        to = before;
        if (before->charged != share->charged) {
            before->bytes += last->bytes;
            before->owner_kind = EVENT_OWNER_UNKNOWN;
            *last = *share;
            return;
        }
    }
    to->bytes += share->bytes;
    if (!share->charged || filter_kind == EVENT_FILTER_ALL)
        to->owner_kind = EVENT_OWNER_UNKNOWN;
}

/* Adds a bio's bytes to whoever is charged for it. */
static __always_inline void add_share(struct event_block_request *r,
                                      const struct event_block_share *share)
{
    for (__u32 i = 0; i < EVENT_BLOCK_SHARES; i++) {
        struct event_block_share *to = &r->share[i];

        if (i >= r->shares) {
            *to = *share;
            r->shares = i + 1;
            return;
        }
        if (to->owner == share->owner && to->owner_kind == share->owner_kind) {
            to->bytes += share->bytes;
            return;
        }
    }
    crowd_share(r, share);
}

/* The first one has the request itself: one that is the target's, if there is any. */
static __always_inline void lead_with_target(struct event_block_request *r)
{
    struct event_block_share first = r->share[0];

    for (__u32 i = 1; i < EVENT_BLOCK_SHARES && i < r->shares && !r->share[0].charged; i++)
        if (r->share[i].charged) {
            r->share[0] = r->share[i];
            r->share[i] = first;
        }
}

/* What no bio tells of itself is whose the request was, as far as it has been looked at. */
static __noinline void divide(struct request *rq, struct event_block_request *r)
{
    struct bio *bio = BPF_CORE_READ(rq, bio);
    struct event_block_share first = r->share[0];
    __u32 left = r->bytes;

    r->shares = 0;
    for (int i = 0; i < BIOS_MAX && bio; i++) {
        struct event_block_share share = first;

        share.bytes = BPF_CORE_READ(bio, bi_iter.bi_size);
        if (share.bytes > left)
            share.bytes = left;
        left -= share.bytes;
        own(bio, BPF_CORE_READ(bio, bi_opf), NULL, &share);
        add_share(r, &share);
        bio = BPF_CORE_READ(bio, bi_next);
    }
    first.bytes = left;
    if (left || !r->shares)
        add_share(r, &first);
    lead_with_target(r);
}

/* Whether something of the target's was merged into a request that began as somebody else's. */
static __noinline int has_target(struct request *rq)
{
    struct bio *bio = BPF_CORE_READ(rq, bio);
    struct event_block_share share = {};
    unsigned long owner, last = 0;

    for (int i = 0; i < BIOS_MAX && bio && !share.charged; i++) {
        struct page *page = first_page(bio);

        owner = page ? BPF_CORE_READ(page, memcg_data) : last;
        if (owner != last && is_written_back(page))
            own_by_page(page, &share);
        last = owner;
        bio = BPF_CORE_READ(bio, bi_next);
    }
    return share.charged;
}
