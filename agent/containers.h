/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running containers at one moment: claims of runtimes held against processes that there are.
 *
 * Every running container is one row with the best name anybody gives it. A claim counts only if
 * its process lives, was started when the claim says, and sits in the container's cgroup. A cgroup
 * that nobody claims and whose processes all have a root directory and mount namespace other than
 * the host's is a container too, under its cgroup's name. Processes inside a claimed container's
 * cgroup belong to it, whatever they nest.
 *
 * Built by discovery, read by target, sessions and captures. Immutable.
 */
#pragma once

#include "agent/cgroup.h"
#include "agent/runtimes.h"

/* A cgroup of the container's own in one hierarchy. */
struct container_cgroup {
    bool v2;
    char *controllers; /* as in /proc/PID/cgroup; "" for v2 */
    char *path;        /* within the hierarchy, never "/" */
};

struct container_process {
    int32_t tgid;
    int32_t ns_tgid; /* as the container numbers it; 0 when it cannot see it */
    uint64_t start_time;
};

struct container {
    char *name; /* never NULL */
    char *id;   /* never NULL; the cgroup's name where nobody gave one */
    enum runtime runtime;
    char *image, *pod, *namespace, *pod_uid; /* NULL: not known */
    bool sandbox;                            /* a pod's pause container: not listed */
    int32_t init_pid;
    uint64_t init_start_time; /* clock ticks after boot */
    uint64_t mount_ns;
    uint32_t root_uid;                /* host uid of the container's root; ~0 when unmapped */
    char *cgroup;                     /* to show; NULL when it has none of its own */
    int64_t started_ns;               /* CLOCK_REALTIME */
    struct container_cgroup *cgroups; /* v2 first, then v1 as targets prefer them */
    size_t cgroup_count;
    struct container_process *processes; /* by tgid */
    size_t process_count;
};

struct containers;

/* A state file's claims, with the directory that makes ids unique which need not be (runc, ctr). */
struct containers_source {
    const char *directory;
    const struct claims *claims;
};

/* Builds the list from a census answer (process and cgroup records) and the claims of its files.
 * cg is borrowed as long as the list lives; self is a process of ours, whose relatives are left
 * out (0: nobody). Returns 0, -EBADMSG for an answer that lies, -ENOMEM. */
int containers_new(const void *census, size_t size, const struct containers_source *sources,
                   size_t source_count, const struct cgroups *cg, int32_t self,
                   struct containers **ret);
void containers_free(struct containers *cs); /* NULL is fine */
DEFINE_FREEP(struct containers, containers_free)

/* All containers, sandboxes too, sorted by name; borrowed. */
const struct container *containers_all(const struct containers *cs, size_t *count);
const struct cgroups *containers_cgroups(const struct containers *cs);

/* The container that this process (host's tgid) is in, or NULL. Borrowed. */
const struct container *containers_of_process(const struct containers *cs, int32_t tgid);

/* The word that names this container and no other, such as "web1", "docker:web1", "ns/pod/app",
 * "cri:3fa…"; appended raw. */
void containers_add_word(const struct containers *cs, const struct container *c, struct buf *b);

/* Appends the members of protocol's container object, without braces, no comma at either end. */
void container_add_json(const struct container *c, struct buf *b);

/* A deep copy. Returns 0 or -ENOMEM. */
int container_copy(const struct container *c, struct container **ret);
void container_free(struct container *c); /* NULL is fine; only for copies */
DEFINE_FREEP(struct container, container_free)
