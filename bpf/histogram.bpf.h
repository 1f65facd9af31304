/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The buckets of agent/histogram.h: two an octave.
 */
#pragma once

#include "bpf/kernel.bpf.h"

/* Of a number from 1 to 2^63. Without branches, which what is counted would have a CPU guess wrong
 * and the verifier follow each: the difference is negative where n has more bits. */
static __always_inline __u32 histogram_log2(__u64 n)
{
    __u32 log = 0;

#pragma unroll
    for (int bits = 5; bits >= 0; bits--) {
        __u64 shift = ((1ull << (1u << bits)) - 1 - n) >> 63 << bits;

        n >>= shift;
        log += shift;
    }
    return log;
}

static __always_inline __u32 histogram_bucket(__u64 value)
{
    __u32 log;

    if (value < 2)
        return (__u32)value;
    log = histogram_log2(value);
    return 2 * log + ((value >> (log - 1)) & 1);
}
