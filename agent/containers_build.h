/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of containers.h: shared by the files that build the list and those that read it.
 */
#pragma once

#include "agent/containers.h"
#include "agent/identity.h"
#include "agent/snapshot.h"
#include "base/table.h"

struct containers {
    struct container *items; /* sorted by name once built */
    size_t count, room;
    const struct cgroups *cg;
};

struct builder {
    struct snapshot snapshot;
    struct identity *identities;
    size_t identity_count;
    struct table *hosted; /* cgroups with host processes in or below: "controllers:path" */
    struct table *owners; /* the same of containers -> index + 1, or SHARED */
    struct containers *cs;
};

/* A container of this identity (may be without one: all NULL) with that init; name and id NULL:
 * the identity's. Its cgroups are still empty. Returns 0 or -ENOMEM. */
int builder_add(struct builder *b, const struct identity *identity, const char *id,
                const char *name, const struct snapshot_process *init);

/* Gives the container added last a cgroup, path_size bytes of the line's path. */
int builder_add_cgroup(struct builder *b, const struct cgroup_line *line, size_t path_size);

/* A host's process is in this cgroup or below. */
bool builder_hosted(const struct builder *b, const struct cgroup_line *line, size_t path_size);

/* containers_orphans.c: containers that nobody claims. Returns 0 or -ENOMEM. */
int builder_add_orphans(struct builder *b);

void container_clear(struct container *c);
