/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client: reads its request, writes the answer, never waits for it longer than the limits say.
 *
 * Closing the connection cancels what it asked for; shutting down only its writing side does not.
 */
#pragma once

#include "agent/context.h"

#include <sys/types.h>

struct session;

/* May this uid begin another capture now? Fills e with ERR_LIMIT when not. */
typedef int (*session_admit_fn)(void *data, uid_t uid, struct err *e);

struct session_setup {
    struct context *ctx;
    uid_t uid; /* as the kernel vouches for it */
    session_admit_fn admit;
    void (*status)(void *data, struct buf *out);   /* writes the status record */
    void (*closed)(void *data, struct session *s); /* the last call; the owner frees it */
    void *data;
};

/* The fd becomes the session's, also on failure. Returns 0 or -errno. */
int session_new(const struct session_setup *setup, int fd, struct session **ret);
void session_free(struct session *s);

uid_t session_uid(const struct session *s);

/* The capture under way, or NULL. Borrowed. */
const struct capture *session_capture(const struct session *s);
