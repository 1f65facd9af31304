/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a scene, shared by the files that implement resolve.h and by nobody else:
 * resolve.c (records and locations), adopt.c (processes that were there before), names.c (frames).
 */
#pragma once

#include "base/table.h"
#include "nsresolve/asks.h"
#include "nsresolve/files.h"
#include "nsresolve/jit.h"
#include "nsresolve/kernel.h"
#include "nsresolve/processes.h"
#include "nsresolve/resolve.h"

struct resolver {
    struct client *client;
    struct kernel *kernel;
    struct cache *cache;
    struct unwinds *unwinds; /* NULL: frame pointers only */
    int vdso_fd;
};

enum location_kind { LOCATION_KERNEL, LOCATION_FILE, LOCATION_JIT, LOCATION_NONE };

/* A place in the code, apart from processes and time. The key of the table of locations. */
struct location {
    uint64_t kind; /* enum location_kind */
    union {
        struct file *file;
        struct jit *jit;
        uint64_t reason; /* enum frame_reason */
    };
    uint64_t address; /* file offset for files */
};

/* The maps of an adopted process, until the side-band has been read that far. */
struct snapshot {
    struct snapshot *next;
    struct scene *scene;
    uint32_t tgid;
    uint64_t born_ns; /* of the life that was asked about */
    struct pin *pin;
    uint64_t sent_ns, replied_ns; /* replied_ns 0: under way */
    char *mappings;               /* struct wire_mapping with paths, as the parser wrote them */
    size_t size;
    bool failed;
};

struct scene {
    struct resolver *resolver;
    struct asks *asks;
    struct processes *processes;
    struct files *files;
    struct snapshot *snapshots;
    struct pin *init; /* root of last resort; NULL until pinned, or for good */
    bool addresses, choosy;
    bool rules_changed; /* of some file: every process's ranges are to be told again */

    struct location *locations;
    uint32_t location_count, location_allocated;
    struct table *location_ids; /* struct location -> (void *)(id + 1) */
    struct jit **jits;
    size_t jit_count, jit_allocated;

    struct naming *naming; /* names.c */
    void (*on_news)(void *data);
    void *on_news_data;
    void (*when_idle)(void *data);
    void *when_idle_data;
    uint64_t adopted;
    uint64_t jit_bytes;      /* of perf maps */
    uint64_t snapshot_bytes; /* of snapshots that wait */
};

/* Asks for the pin of the container's init. */
void adopt_init(struct scene *s, uint32_t init_pid);

/* Asks for a process's directory, root and mappings. */
void adopt_process(struct scene *s, struct process *p, uint64_t start_boottime_ns);

/* Merges the snapshots that came before until_ns. */
void adopt_merge(struct scene *s, uint64_t until_ns);
void adopt_free(struct scene *s);

/* Wants a mapped file opened through the best pin that there is. */
void scene_want_file(struct scene *s, struct process *p, struct file *f, uint64_t start,
                     uint64_t end);

/* CLOCK_MONOTONIC for a time since boot, which goes on while the machine sleeps. */
uint64_t scene_monotonic(uint64_t boottime_ns);

/* Tells the capture that an advance is worth while. */
void scene_tell_news(struct scene *s);

void naming_free(struct naming *n);
