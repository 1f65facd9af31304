/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jitdump files (jit-PID.dump), in which runtimes log the code that they write, move and drop, with
 * times. The format is that of perf's tools/perf/Documentation/jitdump-specification.txt.
 *
 * Read forwards, record by record; the code itself is skipped. Runs in the parser; whoever owns the
 * file may write anything, at any time.
 */
#pragma once

#include "nsresolve/codetab.h"

#define JITDUMP_MAX_RECORDS (8u << 20)

/* Layout of the file: a header, then records, each led by a struct jitdump_record. */
#define JITDUMP_MAGIC 0x4A695444u /* "JiTD" */
#define JITDUMP_VERSION 1
#define JITDUMP_ARCH_TIMES 1u /* flag: times are the processor's, not CLOCK_MONOTONIC */

struct jitdump_header {
    uint32_t magic, version;
    uint32_t total_size; /* of the header */
    uint32_t machine, padding, pid;
    uint64_t time_ns, flags;
};

enum jitdump_id {
    JITDUMP_LOAD,
    JITDUMP_MOVE,
    JITDUMP_DEBUG_INFO,
    JITDUMP_CLOSE,
    JITDUMP_UNWINDING_INFO,
};

struct jitdump_record {
    uint32_t id, total_size; /* record included */
    uint64_t time_ns;
};

/* The name follows, with its NUL, then the code. */
struct jitdump_load {
    struct jitdump_record record;
    uint32_t pid, tid;
    uint64_t vma, address, size, index;
};

struct jitdump_move {
    struct jitdump_record record;
    uint32_t pid, tid;
    uint64_t vma, old_address, new_address, size, index;
};

/* Fills the builder. Records that make no sense are counted in bad_records; a last one that is not
 * all there is left for the next time. Returns 0 (a bound that was hit is marked
 * CODETAB_TRUNCATED), -EBADMSG for what is no jitdump file of this machine's byte order, -errno. */
int jitdump_parse(int fd, struct codetab_builder *b);
