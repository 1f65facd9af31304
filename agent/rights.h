/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rights agent and monitor keep: their users, capabilities, limits and system calls.
 *
 * Those of opener, parser and fetcher stand in their own mains. Used by main.c and monitor.c; the
 * agent raises and lowers single capabilities by jail_raise() and jail_lower() of base/jail.h.
 */
#pragma once

#include "agent/config.h"
#include "base/jail.h"

/* The capabilities that portholed cannot be started without: its processes could not be apart. */
extern const int rights_needed[];

/* Those without which it does less. */
extern const int rights_wanted[];

/* Becomes the agent for good: CAP_BPF and CAP_PERFMON on, CAP_IPC_LOCK in reserve. 0 or -errno. */
int rights_enter_agent(uid_t uid, gid_t gid, pid_t parent, struct err *e);

/* Becomes the monitor: may start the children that the configuration wants with their rights, and
 * nothing of its own. */
int rights_enter_monitor(const struct config *config, struct err *e);
