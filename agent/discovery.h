/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the running containers, whenever somebody asks; never in between.
 *
 * One refresh is one census by the opener; more only when command lines or state files give away
 * roots that were not known. Parsed state files are kept by stamp, so that hundreds of
 * containers cost no more than the look at their files. No daemon is asked. Belongs to the agent's
 * event loop.
 */
#pragma once

#include "agent/containers.h"
#include "agent/roots.h"
#include "base/err.h"
#include "nsresolve/client.h"

struct discovery;

/* configured may be NULL; copied. The client is borrowed. Returns 0 or -errno. */
int discovery_new(struct client *client, const struct roots *configured, struct discovery **ret);
void discovery_free(struct discovery *d); /* cancels what is under way; NULL is fine */
DEFINE_FREEP(struct discovery, discovery_free)

/* Called once per refresh: cs with the containers of a moment after the call of
 * discovery_refresh(), borrowed until the callback returns, or NULL with e filled. */
typedef void (*discovery_fn)(void *data, const struct containers *cs, const struct err *e);

/* Returns 0 or -errno, in which case fn is not called. fn is never called before this returns.
 * ticket may be NULL. */
int discovery_refresh(struct discovery *d, discovery_fn fn, void *data, uint64_t *ticket);

/* fn of this ticket will not be called. Unknown tickets are fine. */
void discovery_cancel(struct discovery *d, uint64_t ticket);

struct discovery_stats {
    uint64_t refreshes, censuses, failed;
    uint64_t files, files_parsed, files_bad; /* known now; parsed and malformed since the start */
    uint64_t containers, processes;          /* at the last refresh */
};
void discovery_get_stats(const struct discovery *d, struct discovery_stats *ret);
