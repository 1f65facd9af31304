/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks x value, merged as they come: the one structure below tree, folded lines, SVG and pprof.
 *
 * A radix tree over frame numbers: a run of frames that nothing branches off is one node, so a
 * million stacks cost tens of bytes each, not a kilobyte. Knows numbers only; names, kinds and
 * labels are the model's. Used by cli/model and, read-only after stacks_finish(), the renderers.
 */
#pragma once

#include "base/cleanup.h"

#include <stdint.h>

#define STACKS_ROOT 0
#define STACKS_DEPTH_MAX 16384 /* frames in one stack */

/* A run of frames, outermost first. Inner nodes always branch or carry a value of their own. */
struct stack_node {
    uint32_t parent;
    uint32_t head;                     /* first frame of the run; the root's is meaningless */
    uint32_t frames, frame_count;      /* the run, in stacks.pool; the root's is empty */
    uint32_t child_start, child_count; /* in stacks.children; after stacks_finish() */
    uint64_t self;                     /* value of stacks that end with this run's last frame */
    uint64_t total;                    /* self and all below; after stacks_finish() */
};

struct stacks_step;
struct stacks_slot;

/* Fields are for reading; only stacks.c writes them. */
struct stacks {
    struct stack_node *nodes;
    uint32_t node_count, node_room;
    uint32_t *pool; /* the runs' frames */
    uint32_t pool_count, pool_room;
    uint64_t total;

    uint32_t *children; /* after stacks_finish(): node numbers, siblings together and sorted */
    uint32_t *order;    /* after stacks_finish(): all nodes, parents first, siblings in order */

    struct stacks_slot *slots; /* hash of (parent, head) to node */
    uint32_t slot_count;
    struct stacks_step *path; /* where the previous stack's frames lie */
    uint32_t path_count, path_room;
};

/* Returns 0 or -ENOMEM; *ret is unchanged on failure. */
int stacks_new(struct stacks **ret);
void stacks_free(struct stacks *s); /* NULL is fine */
DEFINE_FREEP(struct stacks, stacks_free)

/* Adds value to the stack of these frames, outermost first. Returns 0, -ENOMEM, -E2BIG (too deep,
 * or too many for 32-bit numbers) or -EOVERFLOW (the sum does not fit 64 bits). */
int stacks_add(struct stacks *s, const uint32_t *frames, uint32_t count, uint64_t value);

/* Computes totals and orders siblings by rank[frame]. Call once, after the last stacks_add().
 * Returns 0 or -ENOMEM. */
int stacks_finish(struct stacks *s, const uint32_t *rank);
