/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one capture: find the target, load and start the probe, follow processes, end, name,
 * deliver. Asynchronous throughout; a session owns it and reads its lines.
 */
#pragma once

#include "agent/context.h"
#include "agent/request.h"
#include "base/buf.h"

struct capture;

/* wake is called from the loop whenever there may be something for capture_emit(). The request is
 * taken over (and emptied). Returns 0 or -errno. */
int capture_new(struct context *ctx, struct request *request, void (*wake)(void *data), void *data,
                struct capture **ret);

/* Cancels whatever it was at; nothing of it stays in the kernel. NULL is fine. */
void capture_free(struct capture *c);
DEFINE_FREEP(struct capture, capture_free)

/* Ends it early and delivers what there is. */
void capture_stop(struct capture *c);

/* Appends lines while out is below some 256 KiB. Returns true once the last line is in out. */
bool capture_emit(struct capture *c, struct buf *out);

/* One JSON object for the status. */
void capture_describe(const struct capture *c, struct buf *out);
