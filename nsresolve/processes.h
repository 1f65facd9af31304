/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of one capture over time: forks, execs, exits, and what each had mapped when.
 *
 * Pure bookkeeping of records in time order: asks nobody and opens nothing. A process is a tgid in
 * one life; a tgid that is used again is another process.
 */
#pragma once

#include "nsresolve/mappings.h"
#include "nsresolve/wire.h"

#include <stdbool.h>

/* A process directory and root that were opened while it lived. Shared by reference. */
struct pin {
    unsigned refs;
    int proc_fd; /* -1: only the root is held */
    int root_fd;
    uint64_t started_ns; /* CLOCK_MONOTONIC, cut to a clock tick */
    struct wire_pinned info;
};

struct pin *pin_ref(struct pin *p);
void pin_unref(struct pin *p); /* NULL is fine */

enum adoption {
    ADOPT_NONE,  /* nobody asked yet */
    ADOPT_ASKED, /* opener or parser are at it */
    ADOPT_DONE,
    ADOPT_FAILED, /* gone before it could be seen, or unreadable */
};

/* What the process ran between two execs. */
struct image {
    struct mappings *mappings; /* owned reference */
    uint64_t born_ns;
    void *jit;        /* of the resolver: names of the code that it made, borrowed */
    void *program;    /* of the resolver: which runtime it is, borrowed; NULL: none that we know */
    size_t looked_at; /* mappings that there were when the resolver looked for one */
    bool sampled;
    bool complete; /* seen from its exec on, or inherited, or filled from a snapshot */
};

#define PROCESS_IMAGES_MAX 8 /* older ones are forgotten: their samples show as unnamed */

struct process {
    uint32_t tgid;
    uint64_t born_ns, died_ns; /* died_ns 0: alive */
    struct pin *pin;           /* its own, or NULL */
    struct pin *root;          /* its own or inherited; NULL when unknown */
    enum adoption adoption;
    bool changed;    /* its mappings, since processes_next_changed() said so */
    bool told;       /* of the scene: the program knows ranges of it */
    uint32_t parent; /* tgid that it was forked from; 0: not seen */
    bool relevant;   /* sampled, or descends from one that was */
    unsigned files;  /* of the scene: those that it was the first to map */
    struct image images[PROCESS_IMAGES_MAX]; /* oldest first */
    unsigned image_count;
    struct process *previous; /* an earlier life of the same tgid */
};

struct processes;

int processes_new(struct processes **ret);
void processes_free(struct processes *ps);
DEFINE_FREEP(struct processes, processes_free)

/* The last life of that tgid, or NULL. Borrowed until processes_prune(). */
struct process *processes_get(const struct processes *ps, uint32_t tgid);

/* The last life that had begun at that time, or NULL. Whether it was still on is the caller's to
 * ask: threads may outlive the one whose exit was taken for the process's. */
struct process *processes_at(const struct processes *ps, uint32_t tgid, uint64_t time_ns);

/* The last life, made with an empty, incomplete image when there is none. NULL: out of memory. */
struct process *processes_obtain(struct processes *ps, uint32_t tgid);

/* Records, in time order. Return 0 or -ENOMEM. */
int processes_fork(struct processes *ps, uint32_t tgid, uint32_t parent, uint64_t time_ns);
int processes_exec(struct processes *ps, uint32_t tgid, uint64_t time_ns);
int processes_mmap(struct processes *ps, uint32_t tgid, const struct mapping *mapping);
void processes_exit(struct processes *ps, uint32_t tgid, uint64_t time_ns);

/* Another process has that tgid since some time after the death of the last life: its beginning was
 * not seen. Returns it, empty and incomplete, or NULL when out of memory. */
struct process *processes_succeed(struct processes *ps, uint32_t tgid);

/* From that time on nothing is known any more: begins an empty, incomplete image for every process
 * that lived then or later. Those that still do are to be adopted anew. */
void processes_distrust(struct processes *ps, uint64_t time_ns);

/* The image that the process ran at that time; the oldest that is known for earlier times. */
struct image *process_image(struct process *p, uint64_t time_ns);

/* A forked process that went before it could be seen ran what its parent runs, until it execs:
 * fills its first image from the parent's. False when the parent is not known well enough. */
bool process_inherit(const struct processes *ps, struct process *p);

/* Forgets lives that ended before that time; sampled ones that are not known yet stay 2 s longer.
 */
void processes_prune(struct processes *ps, uint64_t before_ns);

/* Iterates over the last life of every process; start with *cursor = 0. */
struct process *processes_next(const struct processes *ps, size_t *cursor);

size_t processes_count(const struct processes *ps);
