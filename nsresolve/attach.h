/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a HotSpot JVM for its perf map, the way jcmd does: an empty file and SIGQUIT make it open
 * a Unix socket, over which it takes the command Compiler.perfmap.
 *
 * This acts on the target, and to whom SIGQUIT is news it is death. So nothing is signalled that
 * does not map libjvm.so, does not catch SIGQUIT, or was told not to take attachments; nothing is
 * spoken to but a socket on which that very process listens. Runs in a child per request
 * (workers.h) of the attacher, as the JVM's own user and with no capability, from the moment it
 * touches a file of the container.
 */
#pragma once

#include "nsresolve/workers.h"

/* One request, carried out within this time; a JVM on a loaded machine takes seconds. */
#define ATTACH_TIMEOUT_NS (9 * NS_PER_SEC)

/* Once, before the first request: the second, narrower filter of the children. 0 or -errno. */
struct err;
int attach_setup(struct err *e);

/* Carries out one request (workers_spec.handle). */
void attach_handle(const struct work *work, struct work_answer *answer);

/* Words for what came of it, such as "it is no HotSpot JVM". Never NULL. */
const char *attach_outcome_text(enum attach_outcome outcome);
