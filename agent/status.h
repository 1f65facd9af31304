/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent about itself: what `porthole status` shows.
 */
#pragma once

#include "agent/capture.h"
#include "agent/context.h"

/* Appends the record of kind "status". */
void status_write(const struct context *ctx, const struct capture *const *captures, size_t count,
                  size_t connections, struct buf *out);
