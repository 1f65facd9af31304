/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The requests that are followed, found by their address.
 *
 * A hash of sets, as caches have them: an address is in one of the few places of one set, or
 * nowhere. Looking takes one line of memory and no call, taking and giving back a place copies
 * nothing, and a request is filled where it stays; the kernel's own hash costs more than all else
 * that is done to a request.
 */
#pragma once

#include "bpf/event_block.h"
#include "bpf/kernel.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, EVENT_BLOCK_SETS);
    __type(key, __u32);
    __type(value, struct event_block_set);
} request_sets SEC(".maps");

/* Of the places of all sets, in their order. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, EVENT_BLOCK_SETS *EVENT_BLOCK_PLACES);
    __type(key, __u32);
    __type(value, struct event_block_request);
} requests SEC(".maps");

/* While there are none nothing is looked for, as on most hosts most of the time. */
__s64 open_count = 0;

/* Where a request is. */
struct place {
    __u64 *address; /* NULL: nowhere */
    __u32 index;
};

/* Fibonacci hashing (Knuth, TAOCP 3, 6.4): what differs in low bits differs in high ones. The
 * verifier knows that the address is a pointer, with which it lets nobody reckon; half of it copied
 * is a number. */
static __always_inline __u32 set_of(__u64 address)
{
    __u32 low;

    asm volatile("%0 = %1" : "=w"(low) : "w"((__u32)address));
    return (low * 0x9e3779b1u) >> (32 - EVENT_BLOCK_SETS_LOG2);
}

static __always_inline struct place find_place(__u64 address)
{
    struct event_block_set *set;
    struct place place = {};
    __u32 n = set_of(address);

    set = open_count ? bpf_map_lookup_elem(&request_sets, &n) : NULL;
    if (!set)
        return place;
#pragma unroll
    for (__u32 i = 0; i < EVENT_BLOCK_PLACES; i++)
        if (set->address[i] == address) {
            place.address = &set->address[i];
            place.index = n * EVENT_BLOCK_PLACES + i;
            break;
        }
    return place;
}

static __always_inline struct event_block_request *request_at(const struct place *place)
{
    return place->address ? bpf_map_lookup_elem(&requests, &place->index) : NULL;
}

static __always_inline struct event_block_request *find(__u64 address)
{
    struct place place = find_place(address);

    return request_at(&place);
}

/* A place for a request that has none; what is in it is another's. NULL: all are taken. */
static __always_inline struct event_block_request *obtain_place(__u64 address)
{
    struct event_block_set *set;
    struct place place = {};
    __u32 n = set_of(address);

    set = bpf_map_lookup_elem(&request_sets, &n);
    if (!set)
        return NULL;
#pragma unroll
    for (__u32 i = 0; i < EVENT_BLOCK_PLACES; i++)
        if (!set->address[i] && !__sync_val_compare_and_swap(&set->address[i], 0, address)) {
            place.address = &set->address[i];
            place.index = n * EVENT_BLOCK_PLACES + i;
            __sync_fetch_and_add(&open_count, 1);
            break;
        }
    return request_at(&place);
}

static __always_inline void give_back(const struct place *place)
{
    *place->address = 0;
    __sync_fetch_and_add(&open_count, -1);
}
