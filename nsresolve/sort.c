/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/sort.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Merges the sorted runs [low, middle) and [middle, high) of from into to. */
static void merge(const char *from, char *to, size_t low, size_t middle, size_t high, size_t size,
                  int (*compare)(const void *a, const void *b))
{
    size_t x = low, y = middle;

    for (size_t i = low; i < high; i++) {
        bool left = y == high || (x < middle && compare(from + x * size, from + y * size) <= 0);

        memcpy(to + i * size, from + (left ? x++ : y++) * size, size);
    }
}

int sort_stable(void *data, size_t count, size_t size, int (*compare)(const void *a, const void *b))
{
    _cleanup_free_ char *other = NULL;
    char *from = data, *to, *swap;

    if (count < 2)
        return 0;
    other = reallocarray(NULL, count, size);
    if (!other)
        return -ENOMEM;
    to = other;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width)
            merge(from, to, low, MIN(low + width, count), MIN(low + 2 * width, count), size,
                  compare);
        swap = from;
        from = to;
        to = swap;
    }
    if (from != data)
        memcpy(data, from, count * size);
    return 0;
}

/* ---- by digits ---- */

#define DIGIT_BITS 11
#define DIGITS (1u << DIGIT_BITS)

/* How the elements look to the sort. */
struct shape {
    size_t size, key_at;
    bool wide; /* 64 bits */
};

static uint64_t key_of(const char *element, const struct shape *s)
{
    uint64_t wide;
    uint32_t narrow;

    if (s->wide) {
        memcpy(&wide, element + s->key_at, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, element + s->key_at, sizeof(narrow));
    return narrow;
}

static void sort_by_digit(const char *from, char *to, size_t count, const struct shape *s,
                          unsigned shift)
{
    size_t at[DIGITS] = {0}, sum = 0;

    for (size_t i = 0; i < count; i++)
        at[(key_of(from + i * s->size, s) >> shift) & (DIGITS - 1)]++;
    for (size_t d = 0; d < DIGITS; d++) {
        size_t here = at[d];

        at[d] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) {
        const char *element = from + i * s->size;
        size_t place = at[(key_of(element, s) >> shift) & (DIGITS - 1)]++;

        memcpy(to + place * s->size, element, s->size);
    }
}

/* The bits in which any key differs from the first; 0 when they are sorted already. */
static uint64_t bits_to_sort(const char *data, size_t count, const struct shape *s)
{
    uint64_t first = count ? key_of(data, s) : 0, previous = first, differ = 0;
    bool sorted = true;

    for (size_t i = 1; i < count; i++) {
        uint64_t key = key_of(data + i * s->size, s);

        differ |= key ^ first;
        sorted &= key >= previous;
        previous = key;
    }
    return sorted ? 0 : differ;
}

static int sort_by_number(void **data, size_t count, const struct shape *s)
{
    uint64_t differ = bits_to_sort(*data, count, s);
    _cleanup_free_ char *other = NULL;

    if (!differ)
        return 0;
    other = reallocarray(NULL, count, s->size);
    if (!other)
        return -ENOMEM;
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        char *swap = *data;

        if (((differ >> shift) & (DIGITS - 1)) == 0)
            continue;
        sort_by_digit(*data, other, count, s, shift);
        *data = other;
        other = swap;
    }
    return 0;
}

int sort_by_u32(void **data, size_t count, size_t size, size_t key_at)
{
    const struct shape s = {.size = size, .key_at = key_at};

    return sort_by_number(data, count, &s);
}

int sort_by_u64(void **data, size_t count, size_t size, size_t key_at)
{
    const struct shape s = {.size = size, .key_at = key_at, .wide = true};

    return sort_by_number(data, count, &s);
}
