/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stacks.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Frame of the stack added last, and the node and place in its run where it lies. */
struct stacks_step {
    uint32_t frame, node, index;
};

/* A node found by its parent and first frame. The tag, another part of the hash, spares most looks
 * at nodes that are not the one: each would be a miss of the cache. */
struct stacks_slot {
    uint32_t node, tag; /* node 0: free */
};

/* Makes room for want elements; array is the address of the pointer, which may change. */
static int reserve(void *array, uint32_t *room, uint64_t want, size_t size)
{
    uint64_t n = MAX(*room, 64u);
    void *p;

    if (want <= *room)
        return 0;
    while (n < want)
        n += n / 2;
    if (n > UINT32_MAX)
        return -E2BIG;
    memcpy(&p, array, sizeof(p));
    p = reallocarray(p, n, size);
    if (!p)
        return -ENOMEM;
    memcpy(array, &p, sizeof(p));
    *room = (uint32_t)n;
    return 0;
}

int stacks_new(struct stacks **ret)
{
    _cleanup_(stacks_freep) struct stacks *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    r = reserve(&s->nodes, &s->node_room, 1, sizeof(*s->nodes));
    if (r < 0)
        return r;
    s->nodes[STACKS_ROOT] = (struct stack_node){0};
    s->node_count = 1;
    *ret = TAKE_PTR(s);
    return 0;
}

void stacks_free(struct stacks *s)
{
    if (!s)
        return;
    free(s->nodes);
    free(s->pool);
    free(s->children);
    free(s->order);
    free(s->slots);
    free(s->path);
    free(s);
}

/* The slot of the child of parent that starts with frame, or a free one with its tag set. */
static struct stacks_slot *find_slot(const struct stacks *s, uint32_t parent, uint32_t frame)
{
    uint64_t h = ((uint64_t)parent << 32 | frame) * 0x9e3779b97f4a7c15ull;
    uint32_t tag = (uint32_t)(h >> 32), i;

    h = (h ^ h >> 32) * 0xff51afd7ed558ccdull >> 24;
    i = (uint32_t)h & (s->slot_count - 1);
    for (; s->slots[i].node; i = (i + 1) & (s->slot_count - 1)) {
        const struct stack_node *n = &s->nodes[s->slots[i].node];

        if (s->slots[i].tag == tag && n->parent == parent && n->head == frame)
            return &s->slots[i];
    }
    s->slots[i].tag = tag;
    return &s->slots[i];
}

/* Keeps the hash at most two thirds full, with room for two more nodes. */
static int grow_slots(struct stacks *s)
{
    uint64_t want = MAX(s->slot_count, 64u);

    while ((s->node_count + 2ull) * 3 > want * 2)
        want *= 2;
    if (want == s->slot_count)
        return 0;
    if (want > UINT32_MAX)
        return -E2BIG;
    free(s->slots);
    s->slots = calloc(want, sizeof(*s->slots));
    s->slot_count = s->slots ? (uint32_t)want : 0;
    if (!s->slots)
        return -ENOMEM;
    for (uint32_t i = 1; i < s->node_count; i++)
        find_slot(s, s->nodes[i].parent, s->nodes[i].head)->node = i;
    return 0;
}

/* Room for whatever one stacks_add() may need: a split, a new leaf, its frames, its path. */
static int prepare(struct stacks *s, uint32_t count)
{
    int r;

    r = reserve(&s->nodes, &s->node_room, s->node_count + 2ull, sizeof(*s->nodes));
    if (r < 0)
        return r;
    r = reserve(&s->pool, &s->pool_room, (uint64_t)s->pool_count + count, sizeof(*s->pool));
    if (r < 0)
        return r;
    r = reserve(&s->path, &s->path_room, count, sizeof(*s->path));
    if (r < 0)
        return r;
    return grow_slots(s);
}

/* Cuts a run behind its first keep frames. The upper part is a new node, so that the children keep
 * their parent's number. Returns the upper node. */
static uint32_t split(struct stacks *s, uint32_t node, uint32_t keep)
{
    uint32_t top = s->node_count++;
    struct stack_node *lower = &s->nodes[node], *upper = &s->nodes[top];

    *upper = (struct stack_node){
        .parent = lower->parent, .head = lower->head, .frames = lower->frames, .frame_count = keep};
    find_slot(s, lower->parent, lower->head)->node = top;
    lower->parent = top;
    lower->head = s->pool[lower->frames + keep];
    lower->frames += keep;
    lower->frame_count -= keep;
    find_slot(s, top, lower->head)->node = node;

    for (uint32_t i = s->path_count; i > 0 && s->path[i - 1].node == node; i--)
        s->path[i - 1].node = top;
    return top;
}

static uint32_t add_leaf(struct stacks *s, uint32_t parent, const uint32_t *frames, uint32_t count)
{
    uint32_t leaf = s->node_count++;

    s->nodes[leaf] = (struct stack_node){
        .parent = parent, .head = frames[0], .frames = s->pool_count, .frame_count = count};
    memcpy(s->pool + s->pool_count, frames, count * sizeof(*frames));
    s->pool_count += count;
    find_slot(s, parent, frames[0])->node = leaf;
    for (uint32_t i = 0; i < count; i++)
        s->path[s->path_count++] = (struct stacks_step){frames[i], leaf, i};
    return leaf;
}

/* Follows frames from the end of the path; stops where the tree has no such stack yet. On return
 * node and used say how many frames of which run have matched. */
static uint32_t follow(struct stacks *s, const uint32_t *frames, uint32_t count, uint32_t *node,
                       uint32_t *used)
{
    uint32_t at = s->path_count;

    for (; at < count; at++) {
        const struct stack_node *n = &s->nodes[*node];

        if (*used < n->frame_count) {
            if (s->pool[n->frames + *used] != frames[at])
                break;
        } else {
            uint32_t child = find_slot(s, *node, frames[at])->node;

            if (!child)
                break;
            *node = child;
            *used = 0;
        }
        s->path[s->path_count++] = (struct stacks_step){frames[at], *node, *used};
        ++*used;
    }
    return at;
}

int stacks_add(struct stacks *s, const uint32_t *frames, uint32_t count, uint64_t value)
{
    uint32_t common = 0, node = STACKS_ROOT, used = 0, at;
    uint64_t total;
    int r;

    if (count > STACKS_DEPTH_MAX)
        return -E2BIG;
    if (__builtin_add_overflow(s->total, value, &total))
        return -EOVERFLOW;
    r = prepare(s, count);
    if (r < 0)
        return r;

    /* Neighbouring stacks share most of their frames: go on from where the last one left. */
    while (common < count && common < s->path_count && s->path[common].frame == frames[common])
        common++;
    s->path_count = common;
    if (common) {
        node = s->path[common - 1].node;
        used = s->path[common - 1].index + 1;
    }
    at = follow(s, frames, count, &node, &used);
    if (used < s->nodes[node].frame_count)
        node = split(s, node, used);
    if (at < count)
        node = add_leaf(s, node, frames + at, count - at);
    s->nodes[node].self += value;
    s->total = total;
    return 0;
}

struct sorting {
    const struct stacks *s;
    const uint32_t *rank;
};

static int compare_rank(const void *a, const void *b, void *data)
{
    const struct sorting *by = data;
    uint32_t x = by->rank[by->s->nodes[*(const uint32_t *)a].head];
    uint32_t y = by->rank[by->s->nodes[*(const uint32_t *)b].head];

    return (x > y) - (x < y);
}

static void group_children(struct stacks *s, const uint32_t *rank)
{
    struct sorting by = {s, rank};
    uint32_t start = 0;

    for (uint32_t i = 1; i < s->node_count; i++)
        s->nodes[s->nodes[i].parent].child_count++;
    for (uint32_t i = 0; i < s->node_count; i++) {
        s->nodes[i].child_start = start;
        start += s->nodes[i].child_count;
        s->nodes[i].child_count = 0;
    }
    for (uint32_t i = 1; i < s->node_count; i++) {
        struct stack_node *p = &s->nodes[s->nodes[i].parent];

        s->children[p->child_start + p->child_count++] = i;
    }
    for (uint32_t i = 0; i < s->node_count; i++)
        if (s->nodes[i].child_count > 1)
            qsort_r(s->children + s->nodes[i].child_start, s->nodes[i].child_count,
                    sizeof(*s->children), compare_rank, &by);
}

/* Lists all nodes parents first. The tail of the array serves as the stack of nodes to visit: there
 * is always room, since a node leaves it before its children enter. */
static void list_in_order(struct stacks *s)
{
    uint32_t done = 0, top = s->node_count;

    s->order[--top] = STACKS_ROOT;
    while (top < s->node_count) {
        uint32_t node = s->order[top++];
        const struct stack_node *n = &s->nodes[node];

        s->order[done++] = node;
        for (uint32_t i = n->child_count; i > 0; i--)
            s->order[--top] = s->children[n->child_start + i - 1];
    }
}

int stacks_finish(struct stacks *s, const uint32_t *rank)
{
    free(s->slots);
    s->slots = NULL;
    s->slot_count = 0;
    s->children = calloc(s->node_count, sizeof(*s->children));
    s->order = calloc(s->node_count, sizeof(*s->order));
    if (!s->children || !s->order)
        return -ENOMEM;
    group_children(s, rank);
    list_in_order(s);

    for (uint32_t i = 0; i < s->node_count; i++)
        s->nodes[i].total = s->nodes[i].self;
    for (uint32_t i = s->node_count; i-- > 1;) {
        const struct stack_node *n = &s->nodes[s->order[i]];

        s->nodes[n->parent].total += n->total;
    }
    return 0;
}
