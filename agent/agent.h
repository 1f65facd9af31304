/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as the monitor starts it: already jailed, with everything it may ever use in hand.
 *
 * main.c binds, splits and drops rights; agent_run() serves until it is told to stop.
 */
#pragma once

#include "agent/config.h"
#include "nsresolve/client.h"

#include <stdbool.h>

struct agent_setup {
    int listen_fd;   /* bound and listening; CLOEXEC and O_NONBLOCK like all of these */
    int kallsyms_fd; /* opened with CAP_SYSLOG, so it shows addresses; -1: not readable */
    int modules_fd;  /* /proc/modules, likewise; both are read again from offset 0 */
    int helper_fds[CLIENT_PEER_COUNT]; /* record sockets, for client_new() */
    int monitor_fd; /* for client_new(), and monitor_say_ready() of agent/monitor.h */
    int helper_pids[CLIENT_PEER_COUNT]; /* at the start, 0: none; their stat tells what they cost */
    int monitor_pid;
    char lacking[256];           /* wanted capabilities that nobody of us has, as "CAP_A, CAP_B" */
    const struct config *config; /* borrowed */
    bool verbose;
};

/* Serves until SIGTERM or SIGINT, which it must handle (loop_add_signals); both may come. It calls
 * monitor_say_ready() once it can serve. The fds become its own. Returns the exit status: 0 after
 * a signal. Rights: agent/rights.h. */
int agent_run(const struct agent_setup *setup);
