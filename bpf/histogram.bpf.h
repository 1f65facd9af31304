/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The buckets of agent/histogram.h: two an octave.
 */
#pragma once

#include "bpf/kernel.bpf.h"

static __always_inline __u32 histogram_log2(__u64 n)
{
    __u32 log = 0;

    for (__u32 shift = 32; shift; shift >>= 1)
        if (n >> shift) {
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
