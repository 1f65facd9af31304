/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Multiplicative hashing: the upper bits of a number times 2^64 divided by the golden ratio (Knuth,
 * The Art of Computer Programming, volume 3, 6.4).
 */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

static __always_inline __u64 hash_multiply(__u64 x)
{
    return x * 0x9e3779b97f4a7c15ull;
}

/* 1 to 32 bits of it, for a place in an array. */
static __always_inline __u32 hash_bits(__u64 x, int bits)
{
    return (__u32)(hash_multiply(x) >> (64 - bits));
}

/* Of several numbers, one after the other; the first hash is a seed. */
static __always_inline __u64 hash_step(__u64 hash, __u64 x)
{
    hash = hash_multiply(hash ^ x);
    return hash ^ hash >> 32;
}
