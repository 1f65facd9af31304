/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a process is a HotSpot JVM that takes attachments, by what the kernel says of it.
 *
 * Looks only; attach.c acts. All of it is read through the pinned /proc/PID, so it is about that
 * process or about nobody.
 */
#pragma once

#include "nsresolve/wire.h"

#include <stddef.h>
#include <sys/types.h>

/* As whom it runs, effectively. */
struct attach_target {
    uid_t uid;
    gid_t gid;
};

/* ATTACH_DONE: it may be signalled, and *ret is filled. Otherwise why not. */
enum attach_outcome attach_check(int proc_fd, int ns_pid, struct attach_target *ret);

/* The same for what its arguments and environment say; *ret's user must be asking. */
enum attach_outcome attach_check_options(int proc_fd);

/* The parts, on texts as in /proc/PID. Both texts end in NUL. */
enum attach_outcome attach_check_status(const char *status, int ns_pid, struct attach_target *ret);

/* What one line of maps says: libjvm.so as code, a library that only other JVMs have, neither. */
enum attach_mapping { ATTACH_MAPPING_OTHER, ATTACH_MAPPING_HOTSPOT, ATTACH_MAPPING_FOREIGN };
enum attach_mapping attach_check_mapping(const char *line);
