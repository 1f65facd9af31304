/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a profile, shared by profile.c (rows in), profile_locate.c (from addresses to
 * places), profile_wakers.c (who ended the waits) and profile_result.c (frames out) only.
 */
#pragma once

#include "agent/profile.h"
#include "base/buf.h"

#define NO_LABEL UINT32_MAX

/* Addresses of one stack, kept from its first row on: the kernel may forget it, rows may wait. */
struct addresses {
    uint32_t depth, flags; /* enum event_stack_flags */
    uint64_t ip[];
};

/* A row and how much of its count has been located. */
struct row {
    struct event_key key;
    uint64_t first_ns, last_ns; /* of the counts not located yet */
    uint64_t count, located;    /* since the kernel's last forgetting */
    uint64_t pending;           /* counts from before it */
    uint64_t located_last_ns;
    uint64_t read_ns; /* since then at least, what the kernel counts is new to us */

    /* Counts that were set aside, so that their times stay narrow, until more is known of the code.
     */
    uint64_t waiting, waiting_first_ns, waiting_last_ns;
};

/* Counts of a row and the times between which they were taken. */
struct portion {
    uint64_t count, first_ns, last_ns;
};

/* Who a stack belongs to, as far as the client wants to know; followed by location ids, innermost
 * first: the user's part last. A key of the table of located stacks. */
struct owner {
    uint32_t tgid, tid, ns_tgid, ns_tid;
    uint32_t user_depth, kernel_depth;
    uint64_t flags; /* of the user's part */
    const char *container;
    uint32_t label; /* location of a word above the stack, or NO_LABEL */
    uint32_t tail;  /* how many words follow the locations: profile_wakers.c */
    uint32_t waits; /* 1: it was off its CPU there */
    uint32_t unused;
    char comm[EVENT_COMM_SIZE];
};

struct profile {
    struct profile_setup setup;
    struct table *rows;        /* event_key -> row */
    struct table *addresses;   /* hash -> addresses */
    struct table *located;     /* owner + locations + wakers -> count */
    struct table *wakers;      /* key of a row's wakers -> struct waker_list; profile_wakers.c */
    struct table *stacks;      /* the result */
    struct event_stack *stack; /* the last one that was read */
    struct buf scratch;
    uint64_t drain_ns; /* when the drain under way began */
    uint64_t shown, lost[PROFILE_LOST_COUNT];
    size_t bytes;
};

/* Whether so many bytes more would be too many. */
bool profile_over_budget(const struct profile *p, size_t more);

/* Keeps the addresses of a stack, unless they are there or hash is 0. */
int profile_keep_addresses(struct profile *p, struct probe *probe, uint64_t hash);

/* Appends the locations of a stack to scratch, innermost first; *depth is how many they are.
 * Returns 0; -EAGAIN when it had better wait; -ENOENT, -ENOSPC for the two losses; -ENOMEM. */
int profile_add_locations(struct profile *p, const struct scene_where *where, uint64_t hash,
                          bool user, uint32_t *depth);

/* Appends all frames of a location to scratch, outermost first. Returns 0 or -ENOMEM. */
int profile_add_frames(struct profile *p, uint32_t location, uint32_t *count);

/* ---- profile_wakers.c ---- */

/* Takes what the probe knows of a row's wakers while it knows it. */
void wakers_keep(struct profile *p, struct probe *probe, uint64_t key);

/* Appends a row's wakers to scratch; *words is how many words that is. As
 * profile_add_locations(); -EAGAIN only if it may wait. */
int wakers_locate(struct profile *p, const struct row *row, const struct portion *portion,
                  bool may_wait, uint32_t *words);

/* Appends the frames of wakers that were so located, outermost first, behind those of the stack
 * itself. Returns 0 or -ENOMEM. */
int wakers_add_frames(struct profile *p, const uint32_t *words, uint32_t word_count, bool upright,
                      uint32_t *count);
