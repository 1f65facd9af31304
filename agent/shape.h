/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How whole a stack is, and if it is not, why: from what the program noted at the walk's end and
 * from the frame that the walk ended in.
 */
#pragma once

#include "bpf/event.h"
#include "nsresolve/frame.h"

enum shape {
    SHAPE_WHOLE,     /* reaches the start of its thread */
    SHAPE_TRUNCATED, /* has more frames than were to be walked */
    SHAPE_BROKEN,    /* ended elsewhere */
    SHAPE_COUNT,
};

enum shape_cause {
    CAUSE_NONE,           /* whole or truncated */
    CAUSE_NO_TABLE,       /* by frame pointers: the process's tables were not there yet */
    CAUSE_FRAME_POINTERS, /* this kernel has nothing else */
    CAUSE_NO_USER,        /* no registers of the user's: the thread was about to end */
    CAUSE_NO_RULE,        /* its file has no rule for the address, nor did frame pointers lead on */
    CAUSE_UNSUPPORTED,    /* a rule that rows cannot express, likewise */
    CAUSE_JIT,            /* code made at run time that keeps no frame pointers */
    CAUSE_ASTRAY,         /* the caller's address is where no code is */
    CAUSE_UNREADABLE,     /* a part of the stack that memory did not hold */
    CAUSE_BACKWARDS,      /* the caller's frame would lie below its callee's */
    CAUSE_SIGNALS,        /* more signal frames than are followed */
    CAUSE_ENDED,          /* a return address of zero in a function that starts no thread */
    CAUSE_COUNT,
};

struct shape_walk {
    uint32_t flags; /* enum event_stack_flags of the user's part */
    uint32_t user_depth, kernel_depth;
    uint32_t user_max;             /* frames that were to be walked */
    bool astray;                   /* frames beyond the outermost were cut off as not real */
    const struct frame *outermost; /* NULL: none */
};

/* *cause is CAUSE_NONE unless the stack is broken. */
enum shape shape_judge(const struct shape_walk *w, enum shape_cause *cause);

/* As the protocol spells it. */
const char *shape_cause_name(enum shape_cause cause);
