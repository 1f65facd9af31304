/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Block I/O as programs and user space both see it: rows of sums, slices of time, single requests.
 */
#pragma once

#include "bpf/event.h"

#define EVENT_DEVICE_SIZE 16
/* Of agent/histogram.h, in microseconds: up to an hour and beyond. */
#define EVENT_BLOCK_BUCKETS 64
#define EVENT_BLOCK_SLICES 1024 /* the last one has what comes after it, too */
#define EVENT_BLOCK_ROWS 4096
#define EVENT_BLOCK_OWN_ROWS 64 /* of which each CPU has sums of its own */

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* What becomes of requests. */
enum block_yields { BLOCK_ROWS, BLOCK_EVENTS, BLOCK_STACKS };

/* How it is known to whom a request is charged, and what the owner's number is. */
enum event_owner {
    EVENT_OWNER_UNKNOWN,
    EVENT_OWNER_KERNEL, /* metadata of a file system, its journal; no number */
    EVENT_OWNER_TASK,   /* who asked: a v2 cgroup */
    EVENT_OWNER_PAGE,   /* whose memory is written back: a cgroup of the memory controller */
    EVENT_OWNER_BIO,    /* on whose behalf a thread of the kernel asked: of the block controller */
    EVENT_OWNER_COUNT,
};

/* Who is told of as the one who asked. */
enum event_asker {
    EVENT_ASKER_PROCESS,
    EVENT_ASKER_KERNEL, /* a thread of the kernel */
    EVENT_ASKER_WAITS,  /* a process that waits for what a thread of the kernel asked */
};

/* Whether it is known who waits for it, and whether it counts. */
enum event_pending {
    EVENT_SETTLED,
    EVENT_PENDING,           /* it counts; who waits for it is looked for at its end */
    EVENT_PENDING_IF_MINE,   /* it counts if that is somebody of the target */
    EVENT_PENDING_IF_MERGED, /* it counts if bytes of the target are merged into it */
    EVENT_OTHERS,            /* it is known as somebody else's, or not followed at all */
};

/* One row: who asked for what, on which device, and who is charged. */
struct event_block_key {
    event_u64 owner;         /* a cgroup's id, of the hierarchy that owner_kind says */
    event_u64 cgroup_id;     /* of who asked, v2 */
    event_u32 tgid, ns_tgid; /* 0 unless processes are kept apart */
    event_u8 owner_kind;     /* enum event_owner */
    event_u8 charged;        /* to the target */
    event_u8 op;             /* EVENT_PART_READ to EVENT_PART_OTHER */
    event_u8 asker;          /* enum event_asker */
    event_u32 padding;
    char comm[EVENT_COMM_SIZE];
    char device[EVENT_DEVICE_SIZE];
};

/* Sums; the histograms count requests that ended. */
struct event_block_value {
    event_u64 count, bytes, errors;
    event_u64 queue_ns, device_ns;
    event_u64 queue_max_ns, device_max_ns, max_ns; /* max_ns: of both together */
    event_u32 tgid, ns_tgid;                       /* of who asked last */
    event_u32 busy;                                /* of a CPU's own sums: they are added to */
    event_u32 padding;
    event_u32 queue[EVENT_BLOCK_BUCKETS], device[EVENT_BLOCK_BUCKETS], both[EVENT_BLOCK_BUCKETS];
};

/* Requests that ended within a slice of the capture. */
struct event_block_slice {
    event_u64 sum_us, max_us;
    event_u32 busy; /* as of sums */
    event_u32 padding;
    event_u32 both[EVENT_BLOCK_BUCKETS];
};

/* A share of a request's bytes, of one owner. Requests that were merged may have several. */
struct event_block_share {
    event_u64 owner;
    event_u32 bytes;
    event_u8 owner_kind, charged;
    event_u8 padding[2];
};

#define EVENT_BLOCK_SHARES 4

/* A request that has begun. The program that ends it runs on another CPU as a rule, and fetches
 * every line of memory that it reads: where sums count, that is the first one. */
struct event_block_request {
    event_u64 address;            /* of the kernel's own; 0: none is here */
    event_u64 start_ns, issue_ns; /* issue_ns 0: waits in a queue */
    event_u64 sector;
    event_u32 bytes;
    event_u32 error;         /* 0, the block layer's status, or (before 5.16) a negative errno */
    event_u32 tgid, ns_tgid; /* of who asked, as asker, cgroup_id and comm are */
    event_u32 row;           /* that it counts in, with all its bytes; 0: to be found */
    event_u8 asker;          /* enum event_asker */
    event_u8 op;             /* EVENT_PART_READ to EVENT_PART_OTHER */
    event_u8 shares;         /* how many, at least 1 */
    event_u8 pending;        /* enum event_pending */
    event_u64 cgroup_id;     /* v2 */
    char comm[EVENT_COMM_SIZE];
    char device[EVENT_DEVICE_SIZE];
    struct event_block_share share[EVENT_BLOCK_SHARES];
    struct event_key who; /* with its stacks, where they count */
    event_u64 journal;    /* the kernel's queue of who waits for it, while that is pending */
    event_u32 lost;       /* its stacks: which loss it was, plus one; 0: they are there */
    event_u32 to_a_line;  /* nothing */
};

/* Of a request that others' were merged into, the bytes for which it counts. */
static inline __attribute__((always_inline)) event_u32
event_block_bytes(const struct event_block_request *r)
{
    event_u32 bytes = 0;

    for (event_u32 i = 0; r->shares > 1 && i < EVENT_BLOCK_SHARES && i < r->shares; i++)
        if (r->share[i].charged)
            bytes += r->share[i].bytes;
    return bytes ? bytes : r->bytes;
}

/* A request is in one of the few places of one set, which its address tells. */
#define EVENT_BLOCK_SETS_LOG2 12
#define EVENT_BLOCK_SETS (1u << EVENT_BLOCK_SETS_LOG2)
#define EVENT_BLOCK_PLACES 4

struct event_block_set {
    struct event_block_request place[EVENT_BLOCK_PLACES];
};

/* A request that has ended, told through the ring; end_ns is CLOCK_MONOTONIC. */
struct event_block_done {
    event_u64 end_ns;
    struct event_block_request request;
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct event_block_key) == 64, "event_block_key");
_Static_assert(sizeof(struct event_block_value) == 848, "event_block_value");
_Static_assert(sizeof(struct event_block_request) == 256, "event_block_request");
