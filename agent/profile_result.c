/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From located stacks to stacks of frames, with what is not the target's doing left out.
 */
#include "agent/profile_inside.h"

#include <errno.h>
#include <string.h>

#define PLUMBING_MAX 8u
#define FRAMES_MAX 8192u /* of one stack, with those that were inlined */

/* A caller where nothing is mapped: the walk had lost its way before. */
static bool is_astray(const struct frame *f)
{
    return f && f->source == SOURCE_NONE && f->reason == REASON_NO_MAPPING && !f->file;
}

/* How many frames of the stack are real. Most code is built without frame pointers, so that a walk
 * goes on past libc's start routine, or through a program too young for its tables, into whatever
 * the register held. */
static uint32_t real_depth(const struct profile *p, const struct owner *o,
                           const uint32_t *locations)
{
    uint32_t depth = o->user_depth + o->kernel_depth;
    bool started = false;

    for (uint32_t i = o->kernel_depth; i < depth; i++) {
        const struct frame *f = scene_frame(p->setup.scene, locations[i]);

        /* The innermost one was executing: it is real wherever it is. */
        if (i > o->kernel_depth && is_astray(f))
            return i;
        if (o->flags & EVENT_STACK_TABLES)
            continue;
        if (started && !(f && f->starts_thread))
            return i;
        started = f && f->starts_thread;
    }
    return depth;
}

/* How many of the innermost frames are the kernel's tracing, and where the thread waits the
 * scheduler's: a thread that was asleep before the capture is found without them. */
static uint32_t plumbing_depth(const struct profile *p, const struct owner *o,
                               const uint32_t *locations)
{
    const struct frame *f;
    uint32_t depth = 0;

    for (uint32_t i = 0; i < MIN(o->kernel_depth, PLUMBING_MAX); i++) {
        f = scene_frame(p->setup.scene, locations[i]);
        if (f && f->plumbing)
            depth = i + 1;
    }
    while (o->waits && depth < o->kernel_depth) {
        f = scene_frame(p->setup.scene, locations[depth]);
        if (!f || !f->scheduler)
            break;
        depth++;
    }
    return depth;
}

/* All frames of a location, outermost first. */
int profile_add_frames(struct profile *p, uint32_t location, uint32_t *count)
{
    const uint32_t *ids;
    size_t n = scene_frames(p->setup.scene, location, &ids);

    if (n == 0)
        return -ENOMEM;
    /* Too deep to be shown with what was inlined: the function itself must do. */
    if (*count + n > FRAMES_MAX) {
        ids += n - 1;
        n = 1;
    }
    for (size_t i = n; i > 0; i--) {
        if (ids[i - 1] == UINT32_MAX)
            return -ENOMEM;
        buf_add(&p->scratch, &ids[i - 1], sizeof(*ids));
    }
    *count += (uint32_t)n;
    return 0;
}

/* One located stack as frames, outermost first, in scratch: a struct profile_stack. */
static int to_frames(struct profile *p, const struct owner *o, const uint32_t *locations)
{
    uint32_t depth = real_depth(p, o, locations), skip = plumbing_depth(p, o, locations);
    struct profile_stack head = {
        .comm = NULL,
        .container = o->container,
        .tgid = o->tgid,
        .tid = o->tid,
        .ns_tgid = o->ns_tgid,
        .ns_tid = o->ns_tid,
        .by_tables = !!(o->flags & EVENT_STACK_TABLES),
    };
    const struct shape_walk walk = {
        .flags = (uint32_t)o->flags,
        .user_depth = o->user_depth,
        .kernel_depth = o->kernel_depth,
        .user_max = p->setup.stack_max,
        .astray = depth < o->user_depth + o->kernel_depth,
        .outermost = depth ? scene_frame(p->setup.scene, locations[depth - 1]) : NULL,
    };

    p->scratch.size = 0;
    head.shape = shape_judge(&walk, &head.cause);
    buf_add(&p->scratch, &head, sizeof(head));
    if (o->label != NO_LABEL && profile_add_frames(p, o->label, &head.frame_count) < 0)
        return -ENOMEM;
    for (uint32_t i = depth; i > skip; i--) {
        int r = profile_add_frames(p, locations[i - 1], &head.frame_count);

        if (r < 0)
            return r;
    }
    if (wakers_add_frames(p, locations + o->kernel_depth + o->user_depth, o->tail,
                          p->setup.wakers_upright, &head.frame_count) < 0)
        return -ENOMEM;
    /* The comm is part of the key, and the stack points to it behind its frames. */
    buf_add(&p->scratch, o->comm, sizeof(o->comm));
    if (buf_error(&p->scratch) < 0)
        return -ENOMEM;
    memcpy(p->scratch.data, &head, sizeof(head));
    return 0;
}

static void add_stack(struct profile *p, uint64_t count)
{
    struct profile_stack *s = table_get(p->stacks, p->scratch.data, p->scratch.size);

    if (!s) {
        s = malloc(p->scratch.size);
        if (!s || table_put(p->stacks, p->scratch.data, p->scratch.size, s) < 0) {
            free(s);
            p->lost[PROFILE_LOST_MEMORY] += count;
            return;
        }
        memcpy(s, p->scratch.data, p->scratch.size);
        s->comm = (const char *)&s->frames[s->frame_count];
    }
    s->value += count;
    p->shown += count;
}

int profile_finish(struct profile *p)
{
    const void *key;
    const uint64_t *count;
    size_t cursor = 0;

    while ((count = table_next(p->located, &cursor, &key, NULL))) {
        struct owner o;
        const uint32_t *locations = (const void *)((const char *)key + sizeof(o));

        memcpy(&o, key, sizeof(o));
        if (to_frames(p, &o, locations) < 0) {
            p->lost[PROFILE_LOST_MEMORY] += *count;
            p->scratch.failed = false;
            continue;
        }
        add_stack(p, *count);
    }
    return 0;
}

const struct profile_stack *profile_next(const struct profile *p, size_t *cursor)
{
    return table_next(p->stacks, cursor, NULL, NULL);
}
