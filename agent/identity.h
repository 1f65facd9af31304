/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All claims of all runtimes held against a snapshot: who says the same container, who is stale.
 *
 * Used by the builder of containers alone. Strings are borrowed from the claims, processes from
 * the snapshot.
 */
#pragma once

#include "agent/containers.h"
#include "agent/snapshot.h"

struct identity {
    enum runtime runtime; /* the best of those that claim it */
    bool sandbox;
    bool merged; /* another identity has its process and took over what it said */
    const char *id, *name, *image, *pod, *namespace, *pod_uid, *cgroup;
    const struct snapshot_process *init; /* NULL: no claim's process is there */
};

/* Returns 0 or -ENOMEM; *ret is the caller's to free. */
int identities_merge(const struct snapshot *s, const struct containers_source *sources,
                     size_t source_count, struct identity **ret, size_t *ret_count);

/* The text is a container's id as most runtimes make it: 64 hex digits. */
bool identity_is_long_id(const char *id);

/* This line's path has a component that names the container, or is the path that was recorded for
 * it (NULL: none). */
bool identity_in_path(const struct cgroup_line *line, const char *id, const char *recorded);
