/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each container runtime leaves on disk: one table of runtimes, roots and parsers.
 *
 * A parser turns a state file into claims: "container X has pid Y". Claims may be stale or wrong;
 * containers.h holds them against the processes that there are. Used by discovery and containers.
 */
#pragma once

#include "nsresolve/census.h"

#define RUNTIMES_CLAIMS_MAX 16384 /* in one file */
#define RUNTIMES_TEXT_MAX 1024    /* bytes of one name, image, path; longer ones are left out */

/* From the best name to the least: where several claim a process, the first gives the name. */
enum runtime {
    RUNTIME_DOCKER,
    RUNTIME_CRI,
    RUNTIME_PODMAN,
    RUNTIME_CONTAINERD,
    RUNTIME_CRUN,
    RUNTIME_RUNC,
    RUNTIME_UNKNOWN,
    RUNTIME_COUNT,
};

/* Such as "docker". Never NULL. */
const char *runtime_name(enum runtime runtime);
/* False when nothing is called so. */
bool runtime_from_name(const char *name, size_t size, enum runtime *ret);

/* What one state file says of one container. Strings are owned; NULL: not said. */
struct claim {
    enum runtime runtime;
    char *id;
    char *name, *image;
    char *pod, *namespace, *pod_uid;
    char *cgroup;        /* path or systemd's slice:prefix:name, as recorded */
    char *docker_root;   /* data-root that this file gives away */
    bool sandbox;        /* holds a pod's namespaces and does no work */
    int32_t pid;         /* 0: not said */
    uint64_t start_time; /* clock ticks after boot; 0: not said */
};

struct claims {
    struct claim *items;
    size_t count;
};

void claims_clear(struct claims *cs); /* cs itself is the caller's */

/* Parses one state file (path NUL-terminated, data not). Returns 0 with *ret filled (possibly with
 * none), -EBADMSG when it is not what it should be, -ENOMEM. */
int runtimes_parse(enum census_file_kind kind, const char *path, const char *data, size_t size,
                   struct claims *ret);

/* The same for a monitor's command line, which names its container (conmon). 0 or -ENOMEM. */
int runtimes_parse_command(const struct census_item *command, struct claims *ret);

/* Value of an option in a command line ("--root X", "-root X", "--root=X"): a string within the
 * arguments, or NULL. */
const char *runtimes_option(const struct census_item *command, const char *option);

/* Roots where runtimes keep their state unless told otherwise. Borrowed for ever. */
const struct census_root *runtimes_default_roots(size_t *count);
