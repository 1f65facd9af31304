/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/histogram.h"

#include "base/cleanup.h"

uint32_t histogram_bucket(uint64_t value)
{
    uint32_t log;

    if (value < 2)
        return (uint32_t)value;
    log = 63 - (uint32_t)__builtin_clzll(value);
    return 2 * log + (uint32_t)(value >> (log - 1) & 1);
}

void histogram_bounds(uint32_t bucket, uint64_t *low, uint64_t *high)
{
    uint32_t log = bucket / 2;
    uint64_t half;

    if (bucket < 2) {
        *low = bucket;
        *high = bucket + 1;
        return;
    }
    half = 1ull << (log - 1);
    *low = (1ull << log) + (bucket & 1) * half;
    *high = bucket >= HISTOGRAM_BUCKETS - 1 ? UINT64_MAX : *low + half;
}

void histogram_add(struct histogram *h, uint32_t bucket, uint64_t count, uint64_t sum, uint64_t max)
{
    if (bucket >= HISTOGRAM_BUCKETS)
        return;
    h->counts[bucket] += count;
    h->count += count;
    h->sum += sum;
    h->max = MAX(h->max, max);
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->counts[i] += other->counts[i];
    h->count += other->count;
    h->sum += other->sum;
    h->max = MAX(h->max, other->max);
}

uint64_t histogram_permille(const struct histogram *h, unsigned permille)
{
    uint64_t below = 0, rank = (uint64_t)((double)h->count * permille / 1000), low, high;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t in = h->counts[i];

        if (in == 0 || below + in <= rank) {
            below += in;
            continue;
        }
        histogram_bounds(i, &low, &high);
        low += (uint64_t)((double)(MIN(high, h->max + 1) - MIN(low, h->max)) *
                          ((double)(rank - below) / (double)in));
        return MIN(low, h->max);
    }
    return h->max;
}

void histogram_add_json(const struct histogram *h, struct buf *out)
{
    bool first = true;

    buf_addf(out, "\"count\":%llu,\"sum\":%llu,\"max\":%llu", (unsigned long long)h->count,
             (unsigned long long)h->sum, (unsigned long long)h->max);
    buf_addf(out, ",\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"buckets\":[",
             (unsigned long long)histogram_permille(h, 500),
             (unsigned long long)histogram_permille(h, 900),
             (unsigned long long)histogram_permille(h, 990));
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t low, high;

        if (!h->counts[i])
            continue;
        histogram_bounds(i, &low, &high);
        buf_addf(out, "%s[%llu,%llu,%llu]", first ? "" : ",", (unsigned long long)low,
                 (unsigned long long)high, (unsigned long long)h->counts[i]);
        first = false;
    }
    buf_addc(out, ']');
}
