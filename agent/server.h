/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening socket: who may come in, how many, and what the agent says of itself.
 */
#pragma once

#include "agent/context.h"

struct server;

/* listen_fd stays the caller's. Returns 0 or -errno. */
int server_new(struct context *ctx, int listen_fd, struct server **ret);
void server_free(struct server *s); /* ends all sessions; NULL is fine */
DEFINE_FREEP(struct server, server_free)
