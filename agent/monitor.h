/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor: starts opener, parser and, where they are wanted, attacher and fetcher, replaces
 * them when they die, ends when the agent does.
 *
 * It is what portholed's first process becomes. It reads nothing but one byte at a time from the
 * agent, and waits otherwise.
 */
#pragma once

#include "agent/listen.h"
#include "nsresolve/client.h"

#include <sys/types.h>

/* What the agent may say over its monitor_fd: one byte in one record. The first ones are enum
 * client_peer: that process does not answer. */
enum { MONITOR_READY = CLIENT_PEER_COUNT };

/* Agent: all is set up, clients will be served. Returns 0 or -errno. */
int monitor_say_ready(int monitor_fd);

/* The first record to the agent, with the sockets of those that there are: everybody is there. */
struct monitor_start {
    int32_t pids[CLIENT_PEER_COUNT]; /* 0: not wanted */
};

struct monitor_setup {
    const struct config *config;
    struct listener *listener; /* closed, and its files removed, at the end */
    int agent_fd;              /* our end of the agent's monitor_fd */
    pid_t agent_pid;
    int program_fds[CLIENT_PEER_COUNT]; /* O_PATH: the same versions for ever; -1: not wanted */
    int notify_fd;                      /* or -1 */
    bool verbose;
};

/* Finds the programs that the configuration wants: beside us in the build tree, or in
 * ../libexec/porthole. */
int monitor_find_programs(const struct config *config, int program_fds[CLIENT_PEER_COUNT],
                          struct err *e);

/* Starts them, tells the agent, watches. Must have entered its rights (rights.h) before. Returns
 * the exit status of portholed; e is filled when it could not even start. */
int monitor_run(const struct monitor_setup *setup, struct err *e);
