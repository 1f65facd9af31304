/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A census answer, indexed: processes by tgid, cgroup texts taken apart.
 *
 * Says what the kernel said, nothing about containers. Used by the builder of containers alone.
 * Borrows from the answer, which must outlive it.
 */
#pragma once

#include "agent/cgroup.h"
#include "nsresolve/census.h"

/* One distinct /proc/PID/cgroup. */
struct snapshot_cgroups {
    struct cgroup_line *lines; /* v2 first, then v1 as targets prefer them */
    size_t count;
    char *text;    /* that the lines borrow from, where it is not the answer's; or NULL */
    int container; /* index of the container that it belongs to, or -1 */
    bool hosts;    /* a process on the host's root is in it */
};

struct snapshot_process {
    const struct census_process *p; /* borrowed from the answer */
    struct snapshot_cgroups *cgroups;
    bool foreign; /* root directory and mount namespace are not the host's */
    bool ours;    /* the agent, its parent, or a descendant of these */
    int container;
};

struct snapshot {
    const struct census_header *header;
    struct snapshot_cgroups *cgroups;
    size_t cgroup_count;
    struct snapshot_process *processes; /* by tgid */
    size_t process_count;
};

/* cg: makes paths of cgroups absolute; NULL leaves them. self: a process of ours, or 0. Returns 0,
 * -EBADMSG for an answer that lies, -ENOMEM. */
int snapshot_load(struct snapshot *s, const void *census, size_t size, const struct cgroups *cg,
                  int32_t self);
void snapshot_clear(struct snapshot *s);

struct snapshot_process *snapshot_find(const struct snapshot *s, int32_t tgid);

/* The process is neither in the host's mount namespace nor is that unknown. */
bool snapshot_own_mounts(const struct snapshot *s, const struct snapshot_process *p);
