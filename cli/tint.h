/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which family of colours frames take by what stands below them in their stack: labels of a view
 * say where a thread waits and where a waker begins. For the renderers of stacks.
 */
#pragma once

#include "cli/model.h"

enum tint {
    TINT_PLAIN, /* the colours of the frames' kinds */
    TINT_COLD,  /* below on the stack stands that the thread waited here */
    TINT_WAKER, /* not the thread's own stack but that of who woke it */
    TINT_COUNT,
};

/* The tint of a frame, that of the frame below it being known; TINT_PLAIN at the root. */
enum tint tint_next(enum tint below, const struct model_frame *frame);

/* Whether the frame is where a waker begins. */
bool tint_is_separator(const struct model_frame *frame);
