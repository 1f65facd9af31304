/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opener's requests: pinning a process, a snapshot of its maps, opening files that it sees.
 *
 * Runs in a child per request (workers.h), which may be killed at any moment and may hang in a
 * container's file system. It hands back read-only fds or a reason and interprets no content.
 */
#pragma once

#include "nsresolve/workers.h"

#define OPENER_MAPS_MAX (64u << 20) /* bytes of one process's maps */

/* Once, before the first request: proc_fd is an fd of /proc and stays open. */
void opener_setup(int proc_fd);

/* Carries out one request (workers_spec.handle). */
void opener_handle(const struct work *work, struct work_answer *answer);
