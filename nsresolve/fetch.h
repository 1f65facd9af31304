/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug files from debuginfod, by build ID: one question for all captures, asked of the fetcher,
 * its answer parsed by the parser, and kept in the cache of tables.
 *
 * There is a fetcher only where DEBUGINFOD_URLS was set when portholed started. A question outlives
 * the capture that asked: the next one finds its answer. That there is none is remembered, too.
 */
#pragma once

#include "nsresolve/asks.h"
#include "nsresolve/cache.h"

struct fetches;
struct fetch_wait;

struct fetches_stats {
    uint64_t asked, found, absent, failed, bytes;
    uint32_t open;
};

/* Both are borrowed. Returns 0 or -ENOMEM. */
int fetches_new(struct client *client, struct cache *cache, struct fetches **ret);
void fetches_free(struct fetches *fs); /* after all waits; NULL is fine */
DEFINE_FREEP(struct fetches, fetches_free)

void fetches_get_stats(const struct fetches *fs, struct fetches_stats *ret);

/* The waits of one capture. idle is called when the last one of those that were open is over. */
struct fetch_group {
    struct fetches *fetches; /* NULL: there is no fetcher */
    unsigned open;
    void (*idle)(void *data);
    void *data;
};

/* Waits for a debug file; it may be over at once. Returns 0 or -errno. */
int fetch_begin(struct fetch_group *g, const uint8_t *build_id, size_t size,
                struct fetch_wait **ret);
void fetch_end(struct fetch_wait *w); /* the question stays open for others; NULL is fine */

bool fetch_is_open(const struct fetch_wait *w);

/* The table that came, or NULL. Borrowed. */
const struct symtab *fetch_table(const struct fetch_wait *w);

/* Why there is none. */
const char *fetch_reason(const struct fetch_wait *w);
