/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The requests that are followed, found by their address.
 *
 * A hash of sets, as caches have them: a request is in one of the few places of one set, or
 * nowhere. Looking takes no call, taking and giving back a place copies nothing, and a request is
 * filled where it stays; the kernel's own hash costs more than all else that is done to one.
 */
#pragma once

#include "bpf/event_block.h"
#include "bpf/kernel.bpf.h"

/* Such an array begins where a page does, so that places are whole lines of memory. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, EVENT_BLOCK_SETS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct event_block_set);
} requests SEC(".maps");

/* 1: there was a request to follow. Until then nothing is looked for, as on most hosts most of the
 * time; a count of them would be one more line that CPUs take from each other. */
__u8 followed = 0;

/* Requests of a device are neighbours in memory and are used in turn. So are their places: a
 * quarter of a kilobyte, which no request is smaller than, has its own, and the other three of its
 * set where something far away has taken that. The verifier knows that the address is a pointer,
 * with which it lets nobody reckon; half of it copied is a number. */
static __always_inline __u32 home_of(__u64 address)
{
    __u32 low;

    asm volatile("%0 = %1" : "=w"(low) : "w"((__u32)address));
    return low >> 8;
}

static __always_inline struct event_block_set *set_of(__u32 home)
{
    __u32 n = home / EVENT_BLOCK_PLACES % EVENT_BLOCK_SETS;

    return bpf_map_lookup_elem(&requests, &n);
}

static __always_inline struct event_block_request *place_of(struct event_block_set *set, __u32 n)
{
    __u64 at = n % EVENT_BLOCK_PLACES;

    asm volatile("" : "+r"(at)); /* or the verifier does not see that it is bounded */
    return &set->place[at & (EVENT_BLOCK_PLACES - 1)];
}

static __always_inline struct event_block_request *find(__u64 address)
{
    __u32 home = home_of(address);
    struct event_block_set *set = followed ? set_of(home) : NULL;

    if (!set)
        return NULL;
    for (__u32 i = 0; i < EVENT_BLOCK_PLACES; i++)
        if (place_of(set, home + i)->address == address)
            return place_of(set, home + i);
    return NULL;
}

/* A place for a request that begins, with start_ns 0; or its last life's, which was not seen to
 * end. NULL: all are taken. */
static __always_inline struct event_block_request *obtain(__u64 address)
{
    __u32 home = home_of(address);
    struct event_block_set *set = set_of(home);

    if (!set)
        return NULL;
    if (!followed)
        followed = 1;
    for (__u32 i = 0; i < EVENT_BLOCK_PLACES; i++) {
        struct event_block_request *r = place_of(set, home + i);

        if (r->address == address)
            return r;
        if (!r->address && !__sync_val_compare_and_swap(&r->address, 0, address)) {
            r->start_ns = 0;
            return r;
        }
    }
    return NULL;
}

static __always_inline void give_back(struct event_block_request *r)
{
    r->address = 0;
}
