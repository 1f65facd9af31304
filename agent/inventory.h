/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What discovery remembers between two censuses: parsed state files by stamp, and roots found.
 *
 * Writes questions, takes answers, makes lists of containers; does no talking. Used by discovery,
 * and by tests, which put a census of their own in between.
 */
#pragma once

#include "agent/containers.h"
#include "agent/roots.h"

struct inventory;

struct inventory_stats {
    uint64_t files;        /* known now */
    uint64_t files_parsed; /* since the start */
    uint64_t files_bad;    /* of these: not what they should be */
    uint64_t processes;    /* in the last answer */
    uint64_t roots;        /* asked for in the last question */
};

/* configured may be NULL; copied. with_defaults: look at the default roots too. cg is borrowed.
 * Returns 0 or -ENOMEM. */
int inventory_new(const struct roots *configured, bool with_defaults, const struct cgroups *cg,
                  struct inventory **ret);
void inventory_free(struct inventory *inv); /* NULL is fine */
DEFINE_FREEP(struct inventory, inventory_free)

/* Appends the next question. Returns 0 or -errno. */
int inventory_question(struct inventory *inv, struct buf *question);

/* Takes in the answer to the last question: 1 when it gives away roots that the question did not
 * have, so that asking again would find more; 0; -EBADMSG for an answer that lies; -ENOMEM. */
int inventory_take(struct inventory *inv, const void *answer, size_t size);

/* The containers of that answer. self as in containers_new(). Returns 0 or -errno. */
int inventory_containers(struct inventory *inv, const void *answer, size_t size, int32_t self,
                         struct containers **ret);

void inventory_get_stats(const struct inventory *inv, struct inventory_stats *ret);
