/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The one header that BPF programs and user space both see: keys, values and counters of the maps.
 *
 * Fixed widths, no padding, sizes asserted. Included after vmlinux-like types in BPF programs and
 * after <stdint.h> in user space.
 */
#pragma once

#ifdef __BPF__
typedef __u64 event_u64;
typedef __u32 event_u32;
typedef __u8 event_u8;
typedef __s16 event_s16;
#else
#include <stdint.h>
typedef uint64_t event_u64;
typedef uint32_t event_u32;
typedef uint8_t event_u8;
typedef int16_t event_s16;
#endif

/* What the kernel's own walker allows (kernel.perf_event_max_stack). */
#define EVENT_STACK_MAX 127
#define EVENT_COMM_SIZE 16

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

enum event_stack_flags {
    EVENT_STACK_WHOLE = 1,     /* the unwinder reached the start of the thread */
    EVENT_STACK_TABLES = 2,    /* walked by unwind tables, frame pointers where there are none */
    EVENT_STACK_NO_TABLE = 4,  /* by frame pointers alone: the tables were not there yet */
    EVENT_STACK_BAD_FRAME = 8, /* ended where no rule led on, or memory could not be read */
};

/* Addresses of one stack, innermost first. Keyed by their hash. */
struct event_stack {
    event_u32 depth;
    event_u32 flags; /* enum event_stack_flags */
    event_u64 ip[EVENT_STACK_MAX];
};

/* One row of the profile as the kernel counts it: who, where. Hash 0: that part is empty. */
struct event_key {
    event_u64 user_stack, kernel_stack; /* keys of the stack map */
    event_u64 start_boottime_ns;        /* of the process: tells reused pids apart */
    event_u64 cgroup_id;                /* v2 */
    event_u32 tgid, tid;                /* as the host numbers them; tid 0 unless per thread */
    event_u32 ns_tgid, ns_tid;          /* as the innermost pid namespace numbers them */
    event_u32 exec_id;                  /* changes with every exec */
    event_u32 padding;
    char comm[EVENT_COMM_SIZE];
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
    EVENT_LOST_COUNT,
};

/* Per CPU. taken = sum of the rows' counts + sum of lost, at any moment without a sample under way.
 */
struct event_counters {
    event_u64 taken;
    event_u64 lost[EVENT_LOST_COUNT];
    event_u64 runs;   /* of the program, filtered ones included */
    event_u64 run_ns; /* inside the program, for samples that passed the filter */
    event_u64 first_ns;
};

/* A mapped range of a process and where its unwind rows are. */
struct event_range {
    event_u64 start, end;   /* addresses */
    event_u64 bias;         /* address - bias = pc of the rows */
    event_u32 first, count; /* rows; count 0: not there yet */
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

#pragma GCC diagnostic pop

#define EVENT_RANGES_PER_PROCESS_MAX 1024

_Static_assert(sizeof(struct event_stack) == 1024, "event_stack");
_Static_assert(sizeof(struct event_key) == 72, "event_key");
_Static_assert(sizeof(struct event_value) == 24, "event_value");
_Static_assert(sizeof(struct event_range) == 32, "event_range");
_Static_assert(sizeof(struct event_row) == 8, "event_row");
_Static_assert(sizeof(struct event_counters) == 56, "event_counters");

/* How the kernel decides whether a task belongs to the target. */
enum event_filter {
    EVENT_FILTER_ALL,
    EVENT_FILTER_CGROUP_V2,
    EVENT_FILTER_CGROUP_V1,
};
