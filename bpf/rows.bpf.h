/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which unwind row holds for an address of a process: two binary searches, in what the agent wrote
 * down, and what earlier ones on this CPU have found.
 *
 * A sample comes long after the last one, and by then every line of memory that a search touches is
 * cold. What was found lies close together: one line instead of a search's four to ten. Nothing of
 * it needs to be thrown away: a place is looked at before it is believed, and a table of rows has a
 * number that no other one ever gets.
 */
#pragma once

#include "bpf/hash.bpf.h"
#include "bpf/maps.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_row);
} unwind_rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct event_range);
} unwind_ranges SEC(".maps");

#define MEMORY_PLACES_SHIFT 8
#define MEMORY_ROWS_SHIFT 10 /* a well-known program is sampled at some hundred addresses */
#define MEMORY_SPAN_SHIFT 20 /* bytes that share a place, as a power of two */

struct memory {
    struct {
        __u64 key; /* number of the table, and pc */
        struct event_row row;
    } rows[1 << MEMORY_ROWS_SHIFT];
    __u32 places[1 << MEMORY_PLACES_SHIFT]; /* where the search for a range ended */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct memory);
} memories SEC(".maps");

/* Of one walk. In a map, so that the verifier sees unknown numbers and visits each loop once. */
struct search {
    __u32 first, count; /* the process's ranges */
    __u32 range;        /* the last one that held an address: the next is mostly the same */
    __u32 lo, hi;
};

static __always_inline int range_holds(const struct event_range *r, __u64 address)
{
    return r->start <= address && address < r->end;
}

/* Whether a search for the address would end at that place: the first range with a higher end. *ret
 * is that range, when it holds the address. */
static __always_inline int is_place(const struct search *s, __u32 at, __u64 address,
                                    struct event_range **ret)
{
    __u32 before = at - 1;
    struct event_range *r;

    if (at < s->first || at > s->first + s->count)
        return 0;
    if (at < s->first + s->count) {
        r = bpf_map_lookup_elem(&unwind_ranges, &at);
        if (!r || r->end <= address)
            return 0;
        if (r->start <= address) {
            *ret = r;
            return 1;
        }
    }
    if (at == s->first)
        return 1;
    r = bpf_map_lookup_elem(&unwind_ranges, &before);
    return r && r->end <= address;
}

static __always_inline __u32 search_place(struct search *s, __u64 address)
{
    s->lo = s->first;
    s->hi = s->first + s->count;
    for (int i = 0; i < 11; i++) {
        __u32 mid = s->lo + ((s->hi - s->lo) >> 1);
        struct event_range *r;

        if (s->lo >= s->hi)
            break;
        r = bpf_map_lookup_elem(&unwind_ranges, &mid);
        if (!r)
            break;
        if (r->end <= address)
            s->lo = mid + 1;
        else
            s->hi = mid;
    }
    return s->lo;
}

/* The range that holds this address, or NULL. */
static __always_inline struct event_range *find_range(struct search *s, struct memory *memory,
                                                      __u64 address)
{
    struct event_range *r = bpf_map_lookup_elem(&unwind_ranges, &s->range);
    __u32 slot =
        hash_bits(address >> MEMORY_SPAN_SHIFT | (__u64)s->first << 32, MEMORY_PLACES_SHIFT);
    __u32 *place = &memory->places[slot & ((1 << MEMORY_PLACES_SHIFT) - 1)], at;

    if (r && range_holds(r, address))
        return r;
    r = NULL;
    at = *place;
    if (!is_place(s, at, address, &r)) {
        at = *place = search_place(s, address);
        is_place(s, at, address, &r);
    }
    if (r)
        s->range = at;
    return r;
}

/* The last row at or before pc, or NULL. The block leaves few rows to search. */
static __always_inline struct event_row *search_row(struct search *s,
                                                    const struct event_range *range, __u32 pc)
{
    __u32 at = pc >> (range->shift & 31), last = range->blocks - 1;
    const struct event_block *block;
    struct event_row *row;

    at = range->index + (at < last ? at : last);
    block = bpf_map_lookup_elem(&unwind_rows, &at);
    if (!block)
        return NULL;
    s->lo = block->begin;
    s->hi = block->end;
    for (int i = 0; i < 24; i++) {
        __u32 mid = s->lo + ((s->hi - s->lo) >> 1);

        if (s->lo >= s->hi)
            break;
        at = range->first + mid;
        row = bpf_map_lookup_elem(&unwind_rows, &at);
        if (!row)
            return NULL;
        if (row->pc <= pc)
            s->lo = mid + 1;
        else
            s->hi = mid;
    }
    if (s->lo == 0 || s->lo > range->count)
        return NULL;
    at = range->first + s->lo - 1;
    return bpf_map_lookup_elem(&unwind_rows, &at);
}

static __always_inline struct event_row *find_row(struct search *s, struct memory *memory,
                                                  const struct event_range *range, __u32 pc)
{
    __u64 key = (__u64)range->number << 32 | pc;
    __u32 slot = hash_bits(key, MEMORY_ROWS_SHIFT) & ((1 << MEMORY_ROWS_SHIFT) - 1);
    struct event_row *row;

    if (memory->rows[slot].key == key)
        return &memory->rows[slot].row;
    row = search_row(s, range, pc);
    if (row) {
        memory->rows[slot].row = *row;
        memory->rows[slot].key = key;
    }
    return row;
}
