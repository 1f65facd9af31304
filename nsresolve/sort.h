/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting in the parser: qsort() asks the system for its memory, which the parser's jail refuses.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Stable; takes as much memory again. Returns 0 or -ENOMEM. */
int sort_stable(void *data, size_t count, size_t size,
                int (*compare)(const void *a, const void *b));

/* Sorts by a number of 32 or 64 bits that stands at key_at in each element: stable, by digits, in
 * time that grows with count alone. *data is from malloc() and may be replaced; it then has room
 * for exactly count. Returns 0 or -ENOMEM. */
int sort_by_u32(void **data, size_t count, size_t size, size_t key_at);
int sort_by_u64(void **data, size_t count, size_t size, size_t key_at);
