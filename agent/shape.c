/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shape.h"

#include "base/table.h"

static const enum shape_cause of_walks[] = {
    [EVENT_BROKEN_NO_RULE] = CAUSE_NO_RULE,     [EVENT_BROKEN_UNSUPPORTED] = CAUSE_UNSUPPORTED,
    [EVENT_BROKEN_NO_FILE] = CAUSE_JIT,         [EVENT_BROKEN_UNREADABLE] = CAUSE_UNREADABLE,
    [EVENT_BROKEN_BACKWARDS] = CAUSE_BACKWARDS, [EVENT_BROKEN_SIGNALS] = CAUSE_SIGNALS,
    [EVENT_BROKEN_ENDED] = CAUSE_ENDED,
};

/* A frame of a file that has no rules at all looks to the program like code without a file. */
static bool is_of_file(const struct frame *f)
{
    return f && f->file && f->file[0] == '/' && f->reason != REASON_NO_MAPPING;
}

static enum shape_cause why_broken(const struct shape_walk *w)
{
    uint32_t noted = w->flags >> EVENT_BROKEN_SHIFT;
    enum shape_cause cause = noted < ARRAY_SIZE(of_walks) ? of_walks[noted] : CAUSE_NONE;

    if (w->user_depth == 0)
        return CAUSE_NO_USER;
    if (w->flags & EVENT_STACK_NO_TABLE)
        return CAUSE_NO_TABLE;
    if (!(w->flags & EVENT_STACK_TABLES))
        return CAUSE_FRAME_POINTERS;
    if (w->astray)
        return CAUSE_ASTRAY;
    if (cause == CAUSE_JIT && is_of_file(w->outermost))
        return CAUSE_NO_RULE;
    return cause == CAUSE_NONE ? CAUSE_NO_RULE : cause;
}

/* Without tables it is the kernel that walks, and has its own bound. */
static uint32_t deepest(const struct shape_walk *w)
{
    return w->flags & EVENT_STACK_TABLES ? w->user_max
                                         : MIN(w->user_max, (uint32_t)EVENT_STACK_MAX);
}

static bool is_start(const struct shape_walk *w)
{
    const uint32_t bare = EVENT_STACK_TABLES | EVENT_BROKEN_NO_RULE << EVENT_BROKEN_SHIFT;

    if (w->flags & EVENT_STACK_WHOLE)
        return true;
    /* A walk by frame pointers can step over callers: where tables are to be had, only they tell.
     */
    if (!w->outermost || (w->flags & EVENT_STACK_NO_TABLE))
        return false;
    return w->outermost->starts_thread ||
           (w->outermost->starts_thread_if_bare && !w->astray && w->flags == bare);
}

enum shape shape_judge(const struct shape_walk *w, enum shape_cause *cause)
{
    *cause = CAUSE_NONE;
    if (is_start(w))
        return SHAPE_WHOLE;
    if (!w->astray && (w->user_depth >= deepest(w) || w->kernel_depth >= EVENT_STACK_MAX))
        return SHAPE_TRUNCATED;
    *cause = why_broken(w);
    return SHAPE_BROKEN;
}

const char *shape_cause_name(enum shape_cause cause)
{
    static const char *const names[CAUSE_COUNT] = {
        [CAUSE_NONE] = "",
        [CAUSE_NO_TABLE] = "no-table-yet",
        [CAUSE_FRAME_POINTERS] = "frame-pointers-only",
        [CAUSE_NO_USER] = "no-user-stack",
        [CAUSE_NO_RULE] = "no-rule",
        [CAUSE_UNSUPPORTED] = "unsupported-rule",
        [CAUSE_JIT] = "jit-without-frame-pointers",
        [CAUSE_ASTRAY] = "astray",
        [CAUSE_UNREADABLE] = "unreadable",
        [CAUSE_BACKWARDS] = "backwards",
        [CAUSE_SIGNALS] = "too-many-signals",
        [CAUSE_ENDED] = "ended-early",
    };

    return names[cause];
}
