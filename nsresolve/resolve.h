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
#include "nsresolve/fetch.h"
#include "nsresolve/frame.h"
#include "nsresolve/language.h"
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

/* A BPF program of ours, or a part of one, has this tag: its frames say so ("porthole:on_…")
 * instead of passing for somebody else's. Beyond RESOLVER_OWN_MAX they look as others' do. */
#define RESOLVER_TAG_SIZE 8
#define RESOLVER_OWN_MAX 64
void resolver_own_program(struct resolver *r, const uint8_t tag[RESOLVER_TAG_SIZE]);

struct resolver_stats {
    struct unwinds_stats unwinds;
    struct cache_stats cache;
    struct fetches_stats fetches;
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

/* BPF programs and other code of the kernel that comes and goes is followed from now on; without
 * this, its frames stay without names. Returns 0 or -ENOMEM. */
int scene_follow_ksymbols(struct scene *s);

/* Such code came or went; missed: some may have, unseen. */
void scene_ksymbol(struct scene *s, uint64_t start, uint64_t size, const char *name);
void scene_ksymbols_missed(struct scene *s);

/* Only processes that were sampled, and their descendants, get their files opened as they are
 * mapped; for captures whose side-band follows the whole host. */
void scene_be_choosy(struct scene *s);

/* Names are not cut short (shorten.h). */
void scene_keep_names_full(struct scene *s);

/* Inlined functions are to be shown, too. To be called before the first record. */
int scene_want_inlines(struct scene *s);

/* All records up to until_ns were fed: snapshots from before can be merged, files be asked for, and
 * processes that ended before keep_ns be forgotten. */
void scene_advance(struct scene *s, uint64_t until_ns, uint64_t keep_ns);

/* A mapped range and its unwind rows, as the capture's program wants to know them. */
struct scene_range {
    uint64_t start, end, bias;
    struct unwind_place place; /* count 0: the rules are still awaited */
};

/* Calls fn for every process whose ranges changed since the last call, sorted by start; none:
 * forget the process. */
typedef void (*scene_ranges_fn)(void *data, uint32_t tgid, const struct scene_range *ranges,
                                size_t count);
void scene_changed_ranges(struct scene *s, scene_ranges_fn fn, void *data);

/* When unwind tables found no room: gives back those of files that no living process has mapped any
 * more. Costs a look at all processes then, so now and then is enough. */
void scene_make_room(struct scene *s);

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
    bool may_wait;              /* -EAGAIN instead of a location that will soon be known better */
};

/* Locations are small numbers, the same for the same place. leaf: the address itself was executing;
 * otherwise it is a return address. Return 0, -ENOMEM, or -EAGAIN: try again after the next
 * advance, with the same times. */
int scene_locate_user(struct scene *s, const struct scene_where *w, uint64_t address, bool leaf,
                      uint32_t *ret);
int scene_locate_kernel(struct scene *s, uint64_t address, bool leaf, uint32_t *ret);

/* ---- programs that make code or interpret ---- */

/* From now on JVMs are asked for their perf maps when they are first looked at. It acts on the
 * target: only for whoever asked for it, and only with an attacher. */
void scene_attach(struct scene *s);

/* Once more, those that still run: what was compiled meanwhile. Then wait for idle. */
void scene_attach_again(struct scene *s);

/* Looks which runtimes the processes that were sampled have, and asks how they were started. Every
 * now and then. */
void scene_look_around(struct scene *s);

/* One of them, as far as it is known. */
struct scene_program {
    uint32_t tgid, ns_tgid; /* ns_tgid 0: unknown */
    struct language language;
    bool sampled;
    bool made_code;       /* samples fell into code without a file */
    uint64_t methods;     /* of its perf map; 0: none was read */
    uint32_t arguments;   /* enum arguments (arguments.h) */
    bool arguments_known; /* otherwise nothing can be said of them */

    unsigned asked;                 /* how often for its perf map; the rest only if > 0 */
    enum wire_status attach_status; /* WIRE_OK: attached says what came of the last time */
    struct wire_attached attached;
    bool signalled; /* one of the times */
};

/* After scene_collect() has come to rest. Start with *cursor = NULL; NULL at the end. */
struct program;
const struct scene_program *scene_next_program(struct scene *s, struct program **cursor);

/* A location that is no place but a word in a picture, copied; the same word is the same. */
int scene_locate_label(struct scene *s, const char *text, uint32_t *ret);

/* ---- at the end ---- */

/* No more samples come: what waits for a look at names need not wait for its turn. */
void scene_hurry(struct scene *s);

/* True when no question is under way. */
bool scene_idle(const struct scene *s);

/* fn is called, once, when no question is under way any more (maybe at once, never inside this
 * call's caller twice). NULL forgets an earlier wish. */
void scene_when_idle(struct scene *s, void (*fn)(void *data), void *data);

/* Looks what of the code that comes and goes is there now, where it was sampled. Records that were
 * made meanwhile are to be fed afterwards. */
void scene_look_at_ksymbols(struct scene *s);

/* Asks for all that names still need: tables not yet there, another look at perf maps and jitdump
 * files. Then wait for idle. */
void scene_collect(struct scene *s);

/* Asks what was inlined where, if that is wanted. Then wait for idle; what is not known by
 * scene_name() counts as not expanded. */
void scene_expand(struct scene *s);

/* fn is called, once, when no debug file is awaited from debuginfod any more: after idle, and
 * likewise maybe at once. NULL forgets an earlier wish. */
void scene_when_fetched(struct scene *s, void (*fn)(void *data), void *data);

/* Turns all locations into frames with raw names and asks for the demangled ones. Then wait for
 * idle; scene_frame() is valid afterwards. Returns 0 or -errno. */
int scene_name(struct scene *s);

/* For when the wait was cut short: goes on with the raw names where the demangled ones are missing.
 */
void scene_settle_names(struct scene *s);

/* All frames of a location, innermost first: what was inlined there, then the function itself.
 * *ids is borrowed, UINT32_MAX for what there was no memory for. */
size_t scene_frames(const struct scene *s, uint32_t location, const uint32_t **ids);

/* The frame of the function at a location; frames are numbered from 0 to scene_frame_count() - 1.
 * Borrowed. */
const struct frame *scene_frame(const struct scene *s, uint32_t location);
size_t scene_frame_count(const struct scene *s);
const struct frame *scene_frame_by_id(const struct scene *s, uint32_t id);

void scene_get_stats(const struct scene *s, struct scene_stats *ret);
