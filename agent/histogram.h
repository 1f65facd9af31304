/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of a quantity (microseconds, bytes) in buckets of which there are two an octave, so that a
 * percentile is right within a half.
 *
 * BPF programs count by the same buckets (bpf/histogram.bpf.h). Owns no memory, draws nothing.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

#define HISTOGRAM_BUCKETS 128 /* covers 64 bits */

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count, sum, max;
};

/* The bucket of a value; buckets 0 and 1 are the values 0 and 1. */
uint32_t histogram_bucket(uint64_t value);

/* The values of a bucket: [low, high). high is UINT64_MAX for the last one. */
void histogram_bounds(uint32_t bucket, uint64_t *low, uint64_t *high);

/* Adds count values of one bucket; sum and max are theirs. Buckets out of range are ignored. */
void histogram_add(struct histogram *h, uint32_t bucket, uint64_t count, uint64_t sum,
                   uint64_t max);
void histogram_merge(struct histogram *h, const struct histogram *other);

/* The value below which that many thousandths of all values lie, interpolated within its bucket and
 * never above the largest; 0 when it is empty. */
uint64_t histogram_permille(const struct histogram *h, unsigned permille);

/* Appends "count":…,"sum":…,"max":…,"p50":…,"p90":…,"p99":…,"buckets":[[low,high,count],…]. */
void histogram_add_json(const struct histogram *h, struct buf *out);
