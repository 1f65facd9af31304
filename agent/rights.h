/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rights agent and monitor keep: their users, capabilities, limits and system calls.
 *
 * Those of opener and parser stand in their own mains. Used by main.c and monitor.c; the agent
 * raises and lowers single capabilities by jail_raise() and jail_lower() of base/jail.h.
 */
#pragma once

#include "base/jail.h"

/* The capabilities that portholed must be started with, all of them. */
extern const int rights_needed[];

/* Becomes the agent for good: CAP_BPF and CAP_PERFMON on, CAP_IPC_LOCK in reserve. 0 or -errno. */
int rights_enter_agent(uid_t uid, gid_t gid, pid_t parent, struct err *e);

/* Becomes the monitor: may start its children with their rights, and nothing of its own. */
int rights_enter_monitor(struct err *e);
