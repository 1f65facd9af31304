/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process as a pinned /proc/PID directory plus its start time, never a bare number.
 *
 * Once pinned, a reused pid cannot be mistaken for it: reads through the fd answer ESRCH when the
 * process is gone.
 */
#pragma once

#include "base/cleanup.h"

#include <stdint.h>
#include <sys/types.h>

/* Opens /proc/PID (below proc_fd, an fd of /proc). Returns the fd or -errno. */
int process_pin(int proc_fd, pid_t pid);

/* Start time in clock ticks after boot: field 22 of stat (proc(5)). Returns 0 or -errno. */
int process_start_time(int pid_fd, uint64_t *ret);

/* Reads a small file such as "cgroup" or "stat" below the pinned directory into text, truncated at
 * size - 1, NUL-terminated. Returns the length or -errno. */
ssize_t process_read(int pid_fd, const char *file, char *text, size_t size);

/* In the text of "status": what follows key, such as "\nNSpid:", or NULL; borrowed. */
const char *process_status_line(const char *status, const char *key);

/* The last number of such a line: of NSpid, the pid in the innermost namespace. 0: none. */
int process_last_number(const char *line);

/* Inode number of a namespace, ns such as "mnt"; needs ptrace access. Returns 0 or -errno. */
int process_namespace(int pid_fd, const char *ns, uint64_t *ret);
