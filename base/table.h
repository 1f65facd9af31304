/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from byte strings to pointers; keys are copied, values are the caller's.
 *
 * Keys may come from hostile input, so the hash is seeded per table. Iteration follows insertion
 * order, which keeps outputs the same from run to run.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table;

/* value_free may be NULL. Returns 0 or -ENOMEM. */
int table_new(struct table **ret, void (*value_free)(void *));
void table_free(struct table *t); /* NULL is fine */
DEFINE_FREEP(struct table, table_free)

/* The value at this key, or NULL. */
void *table_get(const struct table *t, const void *key, size_t key_size);

/* Inserts or replaces (the old value is freed). Returns 0 or -ENOMEM; on failure the value stays
 * the caller's. value must not be NULL. */
int table_put(struct table *t, const void *key, size_t key_size, void *value);

/* Frees the value and forgets the key; false when there was none. */
bool table_remove(struct table *t, const void *key, size_t key_size);

size_t table_count(const struct table *t);

/* Start with *cursor = 0; returns the next value or NULL at the end. The table must not change
 * meanwhile, except that the entry just returned may be removed. key and key_size may be NULL. */
void *table_next(const struct table *t, size_t *cursor, const void **key, size_t *key_size);

/* 64-bit hash of bytes; seed makes collisions unpredictable. */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);
