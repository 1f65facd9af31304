/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The façade of nsresolve: processes, mappings, time and addresses in; frames out.
 *
 * A resolver is the agent's: it holds what captures share (kernel symbols, the cache of tables). A
 * scene is one capture's: its processes and files as they were while it ran. The capture feeds it
 * side-band records in time order, says how far they reach (scene_advance), turns sampled addresses
 * into locations while the processes are fresh (scene_locate_*), and at the end asks for the names
 * (scene_name). Nothing here blocks and nothing here reads a byte that a container wrote.
 */
#pragma once

#include "nsresolve/cache.h"
#include "nsresolve/client.h"
#include "nsresolve/frame.h"
#include "nsresolve/unwinds.h"

#include <stdbool.h>
#include <stddef.h>

struct resolver;
struct scene;

/* The client is borrowed; the fds stay the caller's and must outlive the resolver. */
int resolver_new(struct client *client, int kallsyms_fd, int modules_fd, size_t cache_bytes,
                 struct resolver **ret);
void resolver_free(struct resolver *r);
DEFINE_FREEP(struct resolver, resolver_free)

/* Where unwind rows go, which captures' programs read. Without it, or after an error, no tables are
 * made. */
int resolver_use_rows(struct resolver *r, const struct unwind_sink *sink);

/* Called before the first capture of several begins: forgets unwind tables when little room is
 * left. */
void resolver_make_room(struct resolver *r);

struct resolver_stats {
    struct unwinds_stats unwinds;
    struct cache_stats cache;
    uint64_t kernel_bytes;
};

void resolver_get_stats(const struct resolver *r, struct resolver_stats *ret);

struct scene_stats {
    uint64_t processes, adopted, locations, frames, bad_jit_lines;
};

/* init_pid: a process whose root serves for those that vanish unseen (the container's init), or 0.
 * addresses: unnamed frames show theirs. */
int scene_new(struct resolver *r, uint32_t init_pid, bool addresses, struct scene **ret);
void scene_free(struct scene *s);
DEFINE_FREEP(struct scene, scene_free)

/* ---- while it runs: side-band records, in time order ---- */

struct scene_mmap {
    uint32_t tgid;
    uint64_t start, end, offset; /* bytes */
    uint64_t dev, ino;
    const char *path; /* borrowed during the call */
    size_t path_size;
};

void scene_fork(struct scene *s, uint32_t tgid, uint32_t parent, uint64_t time_ns);
void scene_exec(struct scene *s, uint32_t tgid, uint64_t time_ns);
void scene_exit(struct scene *s, uint32_t tgid, uint64_t time_ns);
void scene_mmap(struct scene *s, const struct scene_mmap *m, uint64_t time_ns);

/* Records were lost: what is known of every process counts only up to time_ns; those that are
 * sampled afterwards are looked at anew. */
void scene_distrust(struct scene *s, uint64_t time_ns);

/* Only processes that were sampled, and their descendants, get their files opened as they are
 * mapped; for captures whose side-band follows the whole host. */
void scene_be_choosy(struct scene *s);

/* All records up to until_ns were fed: snapshots from before can be merged, files be asked for, and
 * processes that ended before keep_ns be forgotten. */
void scene_advance(struct scene *s, uint64_t until_ns, uint64_t keep_ns);

/* A mapped range and its unwind rows, as the capture's program wants to know them. */
struct scene_range {
    uint64_t start, end, bias;
    uint32_t first, count; /* count 0: the rules are still awaited */
};

/* Calls fn for every process whose ranges changed since the last call, sorted by start; none:
 * forget the process. */
typedef void (*scene_ranges_fn)(void *data, uint32_t tgid, const struct scene_range *ranges,
                                size_t count);
void scene_changed_ranges(struct scene *s, scene_ranges_fn fn, void *data);

/* fn is called when answers came that the next scene_advance() makes use of. It must not free the
 * scene.
 */
void scene_on_news(struct scene *s, void (*fn)(void *data), void *data);

/* ---- while it runs: samples ---- */

enum scene_readiness {
    SCENE_READY,   /* its mappings are known (or will never be): locate now */
    SCENE_PENDING, /* being looked at: try again after the next advance */
};

/* Whether the mappings of that process at that time are known; asks for them when not. */
enum scene_readiness scene_process(struct scene *s, uint32_t tgid, uint64_t start_boottime_ns,
                                   uint64_t time_ns);

struct scene_where {
    uint32_t tgid, ns_tgid;
    uint64_t first_ns, last_ns; /* all samples at this address lie between */
    bool in_kernel;             /* the thread was executing in the kernel */
};

/* Locations are small numbers, the same for the same place. leaf: the address itself was executing;
 * otherwise it is a return address. Return 0 or -ENOMEM. */
int scene_locate_user(struct scene *s, const struct scene_where *w, uint64_t address, bool leaf,
                      uint32_t *ret);
int scene_locate_kernel(struct scene *s, uint64_t address, bool leaf, uint32_t *ret);

/* ---- at the end ---- */

/* True when no question is under way. */
bool scene_idle(const struct scene *s);

/* fn is called, once, when no question is under way any more (maybe at once, never inside this
 * call's caller twice). NULL forgets an earlier wish. */
void scene_when_idle(struct scene *s, void (*fn)(void *data), void *data);

/* Asks for all that names still need: tables not yet there, perf maps once more. Then wait for
 * idle. */
void scene_collect(struct scene *s);

/* Turns all locations into frames with raw names and asks for the demangled ones. Then wait for
 * idle; scene_frame() is valid afterwards. Returns 0 or -errno. */
int scene_name(struct scene *s);

/* For when the wait was cut short: goes on with the raw names where the demangled ones are missing.
 */
void scene_settle_names(struct scene *s);

/* The frame of a location; frames are numbered from 0 to scene_frame_count() - 1. Borrowed. */
const struct frame *scene_frame(const struct scene *s, uint32_t location);
size_t scene_frame_count(const struct scene *s);
const struct frame *scene_frame_by_id(const struct scene *s, uint32_t id);

void scene_get_stats(const struct scene *s, struct scene_stats *ret);
