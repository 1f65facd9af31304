/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What BPF programs and user space both see: keys, values and counters of the maps.
 *
 * Fixed widths, no padding, sizes asserted. What single views have of their own is in
 * bpf/event_block.h and bpf/event_tcp.h.
 */
#pragma once

#ifdef __BPF__
#include <linux/types.h>

typedef __u64 event_u64;
typedef __u32 event_u32;
typedef __u8 event_u8;
typedef __u16 event_u16;
typedef __s16 event_s16;
#else
#include <stdint.h>
typedef uint64_t event_u64;
typedef uint32_t event_u32;
typedef uint8_t event_u8;
typedef uint16_t event_u16;
typedef int16_t event_s16;
#endif

/* Frames that the kernel's own walker allows (kernel.perf_event_max_stack), and the default. */
#define EVENT_STACK_MAX 127
#define EVENT_STACK_DEEPEST 1024 /* that a user stack may have, when asked for */
#define EVENT_COMM_SIZE 16

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

enum event_stack_flags {
    EVENT_STACK_WHOLE = 1,    /* the unwinder reached the start of the thread */
    EVENT_STACK_TABLES = 2,   /* walked by unwind tables, frame pointers where there are none */
    EVENT_STACK_NO_TABLE = 4, /* by frame pointers alone: the tables were not there yet */
};

/* Why a walk by tables ended before the thread's start: bits of the flags from here on. */
#define EVENT_BROKEN_SHIFT 8
enum event_broken {
    EVENT_BROKEN_NOT,
    EVENT_BROKEN_NO_RULE,     /* none for the address, and its frame pointer leads nowhere */
    EVENT_BROKEN_UNSUPPORTED, /* one that rows cannot express, likewise */
    EVENT_BROKEN_NO_FILE,     /* the address is in no file with rules, likewise */
    EVENT_BROKEN_UNREADABLE,  /* user memory that is not there */
    EVENT_BROKEN_BACKWARDS,   /* the caller's frame would lie below */
    EVENT_BROKEN_SIGNALS,     /* too many of them */
    EVENT_BROKEN_ENDED,       /* the return address is zero */
};

/* Addresses of one stack, innermost first. Keyed by their hash. */
struct event_stack {
    event_u32 depth;
    event_u32 flags; /* enum event_stack_flags */
    event_u64 ip[];  /* as many as the capture asked for, but EVENT_STACK_MAX at least */
};

#define EVENT_STACK_BYTES(frames) \
    (8 + 8 * (event_u64)((frames) > EVENT_STACK_MAX ? (frames) : EVENT_STACK_MAX))
/* What a row counts, in views that tell several things apart. */
enum event_part {
    EVENT_PART_ALL,
    EVENT_PART_ON_CPU,
    EVENT_PART_BLOCKED,
    EVENT_PART_RUNNABLE,
    EVENT_PART_THROTTLED,
    EVENT_PART_VOLUNTARY,
    EVENT_PART_INVOLUNTARY,
    EVENT_PART_READ, /* block I/O, up to EVENT_PART_OTHER */
    EVENT_PART_WRITE,
    EVENT_PART_FLUSH,
    EVENT_PART_DISCARD,
    EVENT_PART_OTHER,
    EVENT_PART_CONNECT, /* TCP, up to EVENT_PART_RETRANSMIT */
    EVENT_PART_ACCEPT,
    EVENT_PART_SEND,
    EVENT_PART_RECEIVE,
    EVENT_PART_RETRANSMIT,
    EVENT_PART_COUNT,
};

/* One row of the profile as the kernel counts it: who, where. Hash 0: that part is empty. */
struct event_key {
    event_u64 user_stack, kernel_stack; /* keys of the stack map */
    event_u64 waker; /* key of the map of wakers, in `chain` of that of chains; 0: none */
    event_u64 start_boottime_ns; /* of the process: tells reused pids apart */
    event_u64 cgroup_id;         /* v2 */
    event_u32 tgid, tid;         /* as the host numbers them; tid 0 unless per thread */
    event_u32 ns_tgid, ns_tid;   /* as the innermost pid namespace numbers them */
    event_u32 exec_id;           /* changes with every exec */
    event_u32 part;              /* enum event_part */
    char comm[EVENT_COMM_SIZE];
};

/* Who ended a wait. Keyed by its hash. */
struct event_waker {
    event_u64 user_stack,
        kernel_stack; /* keys of the stack map; the user's only inside the target */
    event_u64 start_boottime_ns, cgroup_id;
    event_u32 tgid, tid, ns_tgid;
    event_u32 flags; /* enum event_waker_flags */
    char comm[EVENT_COMM_SIZE];
};

enum event_waker_flags {
    EVENT_WAKER_INTERRUPT = 1, /* whoever ran there had no part in it */
    EVENT_WAKER_KERNEL = 2,    /* a kernel thread */
    EVENT_WAKER_TARGET = 4,    /* belongs to the target */
    EVENT_WAKER_IDLE = 8,      /* nobody ran there */
    EVENT_WAKER_UNSURE = 16,   /* an interrupt, unless the stack says that the task did it itself */
};

#define EVENT_CHAIN_MAX 8

/* Keys of wakers: who ended the wait, who ended that one's last wait, and so on; then 0. */
struct event_chain {
    event_u64 wakers[EVENT_CHAIN_MAX];
};

/* Where a thread's time goes. */
enum event_state {
    EVENT_ON_CPU,
    EVENT_RUNNABLE,  /* ready, but another thread has the CPU */
    EVENT_THROTTLED, /* ready, but the cgroup's quota is used up */
    EVENT_BLOCKED,
    EVENT_STATE_COUNT,
};

/* Sums within the capture. wall_ns = sum of time_ns but for what the counting itself misses. */
struct event_times {
    event_u64 wall_ns, time_ns[EVENT_STATE_COUNT];
    event_u64 voluntary, involuntary; /* switches */
    event_u64 threads;
};

/* Which of the views of threads' time it is. */
enum event_view {
    EVENT_VIEW_OFFCPU,
    EVENT_VIEW_SWITCHES,
    EVENT_VIEW_RUNQ,
    EVENT_VIEW_WAKEUP,
    EVENT_VIEW_OFFWAKE,
    EVENT_VIEW_CHAIN,
    EVENT_VIEW_HOTCOLD,
    EVENT_VIEW_STATES,
};

/* A cell of the histograms of waits for a CPU: by thread (slice 0) or over time (tid 0). */
struct event_cell {
    event_u32 tid, slice, bucket; /* bucket: agent/histogram.h */
    event_u32 part;               /* EVENT_PART_RUNNABLE or EVENT_PART_THROTTLED */
};

/* What waits that were not drawn (bpf/thin.bpf.h) leave to later ones. */
enum event_owed {
    EVENT_OWED_BLOCKED,  /* nanoseconds, or switches of its own will */
    EVENT_OWED_RUNNABLE, /* or against it */
    EVENT_OWED_COUNT,
};

#define EVENT_THIN_OWES (~0u)

/* A thread of the target. */
struct event_thread {
    struct event_key key;         /* who, and where it waits */
    event_u64 born_ns;            /* when it was seen first */
    event_u64 since_ns;           /* when the state began */
    event_u64 queue;              /* address of the run queue that it waits in */
    event_u64 queue_throttled_ns; /* that queue's total when the wait began */
    event_u64 carry_ns;           /* part of a microsecond that is in no row yet */
    struct event_times times;
    event_u64 exec_ns; /* what the kernel says it has executed, when it was switched out last */
    event_u64 uncharged_ns;   /* on a CPU since the last sample took it to a row */
    event_u64 waker;          /* of the last wait, as in the key; 0: not known */
    struct event_chain chain; /* likewise */
    event_u32 state;          /* enum event_state */
    event_u32 why;            /* bits of the kernel's task state while blocked */
    event_u64 owed[EVENT_OWED_COUNT];
    event_u32 thin; /* this wait stands for so many, 0: for itself, or it is EVENT_THIN_OWES */
    event_u32 epoch, drawn; /* waits in that stretch of time */
    event_u32 padding;
};

/* CLOCK_MONOTONIC nanoseconds of the first and the last sample. */
struct event_value {
    event_u64 count;
    event_u64 first_ns, last_ns;
};

enum event_lost {
    EVENT_LOST_KEYS_FULL,   /* no room for another row */
    EVENT_LOST_STACKS_FULL, /* no room for another stack */
    EVENT_LOST_BUSY,        /* the maps were locked by what the sample interrupted */
    EVENT_LOST_RING_FULL,   /* nobody took events out as fast as they came */
    EVENT_LOST_OPEN_FULL,   /* no room to follow another operation to its end */
    EVENT_LOST_COUNT,
};

/* Per CPU. taken = sum of the rows' counts + sum of lost, at any moment without a sample under way.
 */
struct event_counters {
    event_u64 taken;
    event_u64 lost[EVENT_LOST_COUNT];
    event_u64 runs;   /* of the program, filtered ones included */
    event_u64 run_ns; /* inside the program, for samples that passed the filter */
    event_u64 timed;  /* the last of the runs that was timed, for those before it, too */
    event_u64 timed_next;
    event_u64 unwind_ns; /* of run_ns: walking user stacks by tables */
    event_u64 first_ns;
    event_u64 first_whole_ns; /* the first user stack that reached its thread's start */
    event_u64 left_out;       /* waits outside of the bounds that were asked for, like taken */
    event_u64 no_room;        /* switches and wakings of threads that there was no room for */
    event_u64 drawn, owing;   /* waits whose stacks were to be taken, and those that were not */
    event_u64 kernel_known, kernel_walked; /* stacks at tracepoints: known again, walked by it */
};

/* A mapped range of a process and where its unwind rows are. */
struct event_range {
    event_u64 start, end;   /* addresses */
    event_u64 bias;         /* address - bias = pc of the rows */
    event_u32 first, count; /* rows; count 0: not there yet */
    event_u32 index;        /* the first of its blocks, in front of the rows */
    event_u32 blocks;
    event_u32 shift;  /* a block is 1 << shift bytes of pc */
    event_u32 number; /* of these rows; no others ever have it */
};

/* The ranges of a process, sorted by start. */
struct event_process {
    event_u32 first, count;
};

/* One rule; see nsresolve/unwindtab.h. */
struct event_row {
    event_u32 pc;
    event_u8 kind;
    event_u8 rbp;     /* 0: unchanged; n: saved at CFA - 8n */
    event_s16 offset; /* CFA = register + 8 * offset */
};

/* Where the rows of one block of pc begin and end, counted from the range's first row. In the same
 * map as the rows, so that most of a search is one look-up. */
struct event_block {
    event_u32 begin, end;
};

#pragma GCC diagnostic pop

#define EVENT_RANGES_PER_PROCESS_MAX 1024

_Static_assert(sizeof(struct event_stack) == 8, "event_stack");
_Static_assert(sizeof(struct event_key) == 80, "event_key");
_Static_assert(sizeof(struct event_waker) == 64, "event_waker");
_Static_assert(sizeof(struct event_times) == 64, "event_times");
_Static_assert(sizeof(struct event_thread) == 312, "event_thread");
_Static_assert(sizeof(struct event_value) == 24, "event_value");
_Static_assert(sizeof(struct event_range) == 48, "event_range");
_Static_assert(sizeof(struct event_row) == 8, "event_row");
_Static_assert(sizeof(struct event_block) == sizeof(struct event_row), "they share a map");
_Static_assert(sizeof(struct event_counters) == 152, "event_counters");

/* How the kernel decides whether a task belongs to the target. */
enum event_filter {
    EVENT_FILTER_ALL,
    EVENT_FILTER_CGROUP_V2,
    EVENT_FILTER_CGROUP_V1,
};
