/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whose the bytes of a request are that several bios were merged into: where their data are
 * neighbours on the disk, what is written back or swapped out together may be several owners'.
 */
#pragma once

#include "bpf/owner.bpf.h"

#define BIOS_MAX 256 /* that are looked at; where the verifier follows each, fewer */
#define BIOS_MAX_UNROLLED 16

/* Each calls a function for one bio after the other until it returns 1. Without bpf_loop(), Linux
 * 5.17, the verifier follows them one by one. */
#define FOR_EACH_BIO(function, state)                                          \
    do {                                                                       \
        if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop))       \
            bpf_loop(BIOS_MAX, function, state, 0);                            \
        else                                                                   \
            for (int i = 0; i < BIOS_MAX_UNROLLED && !function(i, state); i++) \
                ;                                                              \
    } while (0)

static __always_inline void forget_owner(struct event_block_share *share)
{
    share->owner_kind = EVENT_OWNER_UNKNOWN;
    share->owner = 0;
}

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
            if (!before->charged || filter_kind == EVENT_FILTER_ALL)
                forget_owner(before);
            *last = *share;
            return;
        }
    }
    to->bytes += share->bytes;
    if (!share->charged || filter_kind == EVENT_FILTER_ALL)
        forget_owner(to);
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

struct division {
    struct bio *bio; /* the next one */
    struct event_block_request *request;
    struct event_block_share first;
    __u32 left;
};

static long divide_bio(__u32 i, struct division *d)
{
    struct event_block_share share = d->first;
    struct bio *bio = d->bio;

    (void)i;
    if (!bio)
        return 1;
    share.bytes = bio->bi_iter.bi_size;
    if (share.bytes > d->left)
        share.bytes = d->left;
    d->left -= share.bytes;
    own(bio, bio->bi_opf, NULL, &share);
    add_share(d->request, &share);
    d->bio = bio->bi_next;
    return 0;
}

/* What no bio tells of itself is whose the request was. Bios that were not looked at may be
 * anybody's. */
static __noinline void divide(struct request *rq, struct event_block_request *r)
{
    struct division d = {rq->bio, r, r->share[0], r->bytes};

    r->shares = 0;
    FOR_EACH_BIO(divide_bio, &d);
    d.first.bytes = d.left;
    if (d.first.owner_kind == EVENT_OWNER_PAGE) {
        forget_owner(&d.first);
        d.first.charged = 0;
    }
    if (d.left || !r->shares)
        add_share(r, &d.first);
    lead_with_target(r);
}

struct hunt {
    struct bio *bio;
    __u64 memcg; /* of the last one */
    struct event_block_share share;
};

static long look_at_bio(__u32 i, struct hunt *h)
{
    struct bio *bio = h->bio;
    struct seen_page page;

    (void)i;
    if (!bio)
        return 1;
    if (see_page(bio, &page) && page.memcg != h->memcg && is_written_back(&page)) {
        own_by_page(&page, 0, &h->share);
        /* Metadata that is in the target's memory tells nothing of its files. */
        if (h->share.owner_kind != EVENT_OWNER_KERNEL)
            h->memcg = page.memcg;
    }
    h->bio = bio->bi_next;
    return h->share.charged ? 1 : 0;
}

/* Whether something of the target's was merged into a request that began as somebody else's. */
static __noinline int has_target(struct request *rq)
{
    struct hunt h = {.bio = rq->bio};

    if (!owns_pages())
        return 0;
    FOR_EACH_BIO(look_at_bio, &h);
    return h.share.charged;
}
