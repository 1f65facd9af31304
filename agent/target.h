/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the word a user says to what the kernel filters by.
 *
 * A target is resolved once, from one list of containers, and then stands on its own: ids and
 * start times, never names. Used by sessions and captures.
 */
#pragma once

#include "agent/containers.h"
#include "base/err.h"

enum target_kind {
    TARGET_ALL,
    TARGET_CGROUP_V2, /* cgroup_id at cgroup_level and everything below it */
    TARGET_CGROUP_V1, /* the same in the hierarchy of v1_subsystem */
    TARGET_PROCESSES, /* the tgids alone */
};

struct target_process {
    int32_t tgid;
    uint64_t start_time; /* clock ticks after boot */
};

/* Plain facts; strings and container are owned by the target. */
struct target {
    enum target_kind kind;
    uint64_t cgroup_id;
    unsigned cgroup_level;            /* below the hierarchy's root, which is 0 */
    char v1_subsystem[16];            /* "memory", "cpu", …; empty unless TARGET_CGROUP_V1 */
    char *cgroup_dir;                 /* absolute; NULL unless a cgroup */
    char *cgroup_path;                /* within its hierarchy; NULL unless a cgroup */
    struct container *container;      /* NULL: no container */
    struct target_process *processes; /* only these, also within a cgroup; NULL: all of them */
    size_t process_count;
    char *word;   /* as the user said it */
    char *prefix; /* where /proc is found; "" on the host */
};

#define TARGET_CANDIDATES_MAX 16

/* Words that would have been understood; owned. */
struct candidates {
    char *items[TARGET_CANDIDATES_MAX];
    size_t count;
};
void candidates_clear(struct candidates *c);

/* Resolves a word, and ns_pid (0: none) to one process as the container numbers it. Errors:
 * ERR_TARGET_UNKNOWN with the nearest names, ERR_TARGET_AMBIGUOUS, ERR_USAGE, as -errno; then
 * candidates (may be NULL) holds the words to choose from. */
int target_resolve(const struct containers *cs, const char *word, int64_t ns_pid,
                   struct target **ret, struct err *e, struct candidates *candidates);
void target_free(struct target *t); /* NULL is fine */
DEFINE_FREEP(struct target, target_free)

/* Calls fn for every process (host's tgid) that is in the target now, until fn returns non-zero,
 * which is returned; 0 or -errno otherwise. A tgid may come twice. */
int target_processes(const struct target *t, int (*fn)(void *data, pid_t tgid), void *data);
