/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups: which hierarchies are mounted where, which directory is which id, who is in it.
 *
 * Works on v1, v2 and hybrid hosts. Knows nothing of containers except how their ids look in a
 * path. All readers take a prefix, so that a test's plain tree can stand for the host. Used by
 * containers, target and doctor.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_ID_LENGTH 64         /* hex digits of a container's id in a path */
#define CGROUP_PROCESSES_MAX 262144 /* told by one cgroup_processes() */
#define CGROUP_DIRS_MAX 16384       /* directories walked by one call */

enum cgroup_mode { CGROUP_MODE_NONE, CGROUP_MODE_V1, CGROUP_MODE_V2, CGROUP_MODE_HYBRID };

struct cgroup_mount {
    bool v2;
    char *controllers; /* v1: "cpu,cpuacct" or "name=systemd"; v2: "" */
    char *path;        /* mount point, prefix included */
    char *root;        /* cgroup that is mounted there, "/" but for a namespace's part */
    char *own; /* where our cgroup namespace begins, if not at the hierarchy's root; or NULL */
};

struct buf;
struct cgroups;

/* Reads PREFIX/proc/self/mountinfo; prefix "" is the host. Returns 0 or -errno. A host without any
 * hierarchy is not an error. */
int cgroups_new(const char *prefix, struct cgroups **ret);
void cgroups_free(struct cgroups *cg); /* NULL is fine */
DEFINE_FREEP(struct cgroups, cgroups_free)

enum cgroup_mode cgroups_mode(const struct cgroups *cg);
const char *cgroup_mode_name(enum cgroup_mode mode);
const char *cgroups_prefix(const struct cgroups *cg);

/* Mounted hierarchies, borrowed: v2 first, then v1 in the order in which targets prefer them. */
const struct cgroup_mount *cgroups_mounts(const struct cgroups *cg, size_t *count);

/* The mount of the hierarchy with this field of /proc/PID/cgroup ("" is v2, "memory",
 * "cpu,cpuacct", "name=systemd"), or NULL. Borrowed. */
const struct cgroup_mount *cgroups_find(const struct cgroups *cg, const char *controllers);

/* The v1 hierarchy that has this controller, whichever it shares it with; NULL: none, so that v2
 * has it, or nobody. Borrowed. */
const struct cgroup_mount *cgroups_of_controller(const struct cgroups *cg, const char *controller);

/* The controller that BPF knows a v1 hierarchy by ("memory" of "memory", "cpu" of "cpu,cpuacct"),
 * NUL-terminated into name; false for named hierarchies, which have none. */
bool cgroup_subsystem(const char *controllers, char name[16]);

/* How much a v1 hierarchy is preferred as a filter: 0 best. */
unsigned cgroup_preference(const char *controllers);

/* Directory of a cgroup: the mount point and path, owned by the caller; NULL when out of memory,
 * when path has "..", or lies outside of what is mounted. */
char *cgroup_directory(const struct cgroup_mount *m, const char *path);

/* The cgroup's id, which is its directory's inode number. Returns 0 or -errno. */
int cgroup_id(const char *directory, uint64_t *ret);

/* Levels below the hierarchy's root: 0 for "/", 2 for "/a/b". */
unsigned cgroup_level(const char *path);

/* In a cgroup namespace the kernel writes paths relative to where that begins ("/../../x"). Where a
 * mount shows the whole hierarchy, these two turn them into what they are on the host; elsewhere
 * they leave them. Paths are owned by the caller; NULL when out of memory, or path leads above the
 * root. */
char *cgroup_absolute(const struct cgroup_mount *m, const char *path, size_t size);
/* A whole text of /proc/PID/cgroup; *ret stays empty where nothing is to be turned. 0 or -ENOMEM.
 */
int cgroups_absolute(const struct cgroups *cg, const char *text, size_t size, struct buf *ret);
/* Finds out m->own, and makes m->root "/", where m->root is above our namespace ("/../.."). path:
 * ours in this hierarchy, as /proc/self/cgroup has it. 0 or -ENOMEM; m stays when it cannot be
 * told. */
int cgroup_find_own(struct cgroup_mount *m, const char *path, size_t size, pid_t self);

/* Calls fn for every process (host's tgid) in the cgroup and its descendants, each at least once,
 * until fn returns non-zero, which is returned; 0 or -errno otherwise. Descendants that vanish
 * meanwhile are skipped. */
int cgroup_processes(const char *directory, int (*fn)(void *data, pid_t tgid), void *data);

/* The first directory called name below the mount (breadth first), as a path within the
 * hierarchy, owned by the caller; NULL when there is none. */
char *cgroup_search(const struct cgroup_mount *m, const char *name);

/* The cgroup that many levels below the mount with this process in it, as a path within the
 * hierarchy, owned by the caller; NULL when there is none. */
char *cgroup_search_process(const struct cgroup_mount *m, unsigned level, pid_t tgid);

/* The container's id in a cgroup path: the last run of exactly 64 hex digits, unless it belongs to
 * a monitor (conmon). Borrowed from path, not NUL-terminated; NULL when there is none. */
const char *cgroup_container_id(const char *path, size_t size);

/* ---- /proc/PID/cgroup ---- */

struct cgroup_line {
    bool v2;
    const char *controllers; /* borrowed from the text, with its size */
    size_t controllers_size;
    const char *path;
    size_t path_size;
};

/* The next line of a text; *at starts at 0. False at the end; lines that make no sense are left
 * out. */
bool cgroup_line_next(const char *text, size_t size, size_t *at, struct cgroup_line *ret);
