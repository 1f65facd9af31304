/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tint.h"

#include <string.h>

static const struct {
    const char *label;
    enum tint tint;
} labels[] = {
    {"--", TINT_WAKER},      {"on-CPU", TINT_PLAIN},   {"blocked", TINT_COLD},
    {"runnable", TINT_COLD}, {"throttled", TINT_COLD},
};

enum tint tint_next(enum tint below, const struct model_frame *frame)
{
    /* A function may be called blocked, or a waker: only the view's own words count. */
    if (frame->kind != MODEL_LABEL || below == TINT_WAKER)
        return below;
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        if (strcmp(frame->name, labels[i].label) == 0)
            return labels[i].tint;
    return below;
}

bool tint_is_separator(const struct model_frame *frame)
{
    return frame->kind == MODEL_LABEL && strcmp(frame->name, "--") == 0;
}
