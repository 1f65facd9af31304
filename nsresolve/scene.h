/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a scene, shared by the files that implement resolve.h and by nobody else:
 * resolve.c (records and locations), passing.c (BPF programs), adopt.c (processes that were there
 * before), inlining.c (what was inlined where), names.c (frames), programs.c (runtimes and perf
 * maps on demand).
 */
#pragma once

#include "base/buf.h"
#include "base/table.h"
#include "nsresolve/asks.h"
#include "nsresolve/expand.h"
#include "nsresolve/files.h"
#include "nsresolve/jit.h"
#include "nsresolve/kernel.h"
#include "nsresolve/ksymbols.h"
#include "nsresolve/processes.h"
#include "nsresolve/resolve.h"

struct resolver {
    struct client *client;
    struct kernel *kernel;
    char own_tags[RESOLVER_OWN_MAX][2 * RESOLVER_TAG_SIZE + 1]; /* of BPF programs, as text */
    size_t own_count;
    struct cache *cache;
    struct fetches *fetches; /* NULL: there is no fetcher */
    struct unwinds *unwinds; /* NULL: frame pointers only */
    int vdso_fd;
};

enum location_kind {
    LOCATION_KERNEL,
    LOCATION_FILE,
    LOCATION_JIT,
    LOCATION_LABEL,
    LOCATION_NONE,
};

/* A place in the code, apart from processes and time. The key of the table of locations. */
struct location {
    uint64_t kind; /* enum location_kind */
    union {
        struct file *file;
        struct jit *jit;
        const char *label; /* of the scene's labels */
        uint64_t reason;   /* enum frame_reason */
    };
    uint64_t address; /* file offset for files */
    uint64_t version; /* of code made at run time; else 0 */
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
    bool addresses, choosy, full_names;
    struct table *expansions; /* by file; NULL: inlined functions are not wanted */
    bool rules_changed;       /* of some file: every process's ranges are to be told again */

    struct location *locations;
    uint32_t location_count, location_allocated;
    struct table *labels;       /* word -> its copy */
    struct table *location_ids; /* struct location -> (void *)(id + 1) */
    struct jit **jits;
    size_t jit_count, jit_allocated;

    struct program *programs; /* programs.c */
    size_t program_count;
    bool attach; /* JVMs may be asked for their perf maps */

    struct ksymbols *ksymbols; /* NULL: not followed */
    struct naming *naming;     /* names.c */
    void (*on_news)(void *data);
    void *on_news_data;
    void (*when_idle)(void *data);
    void *when_idle_data;
    struct fetch_group fetches;
    void (*when_fetched)(void *data);
    void *when_fetched_data;
    uint64_t adopted;
    struct follow_budget jit_budget;
    bool ending;             /* no more samples come */
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

/* The names of the code that the process made then; asked for at the first sample there. A program
 * that was replaced by exec before that sample was read has none any more: NULL. */
struct jit *scene_obtain_jit(struct scene *s, struct process *p, uint64_t time_ns,
                             uint32_t ns_tgid);

/* CLOCK_MONOTONIC for a time since boot, which goes on while the machine sleeps. */
uint64_t scene_monotonic(uint64_t boottime_ns);

/* Tells the capture that an advance is worth while. */
void scene_tell_news(struct scene *s);

/* What was inlined at a location: as expansion_find(). */
enum frame_inlines inlining_find(const struct scene *s, const struct location *l,
                                 const struct inlinetab **table,
                                 const struct inline_address **functions, const char **detail);

/* What of the kernel's passing code was at address (passing.c): the name as people see it is added
 * to the buffer, f gets address and file. Asked only when it is followed. */
enum ksymbols_answer passing_name(const struct scene *s, uint64_t address, struct buf *name,
                                  struct frame *f);

void naming_free(struct naming *n);
void programs_free(struct scene *s);
