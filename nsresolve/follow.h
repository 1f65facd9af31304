/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that a process goes on writing while it is watched: looked at again and again, parsed anew
 * when it changed. For perf maps and jitdump files; knows nothing of what is in them.
 *
 * A look is one question to the opener, and one to the parser when size, time or inode differ from
 * those of the last look. The file's owner must be the process's own user or root in its user
 * namespace, and nobody may have written to it after the program ended: the name may be another
 * program's then.
 */
#pragma once

#include "nsresolve/asks.h"
#include "nsresolve/frame.h"
#include "nsresolve/processes.h"

struct follow;

/* What all followed files of a scene take together. */
struct follow_budget {
    uint64_t bytes; /* of tables */
    unsigned files;
};

/* When the file had changed: none of it happened before after_ns, all of it before before_ns. */
struct follow_change {
    uint64_t after_ns, before_ns;
    uint64_t size;
    bool other_file; /* another inode than last time */
};

struct follow_setup {
    struct asks *asks;
    struct pin *pin; /* of the process */
    struct wire_open_item item;
    const char *path;
    enum wire_op parse;
    struct follow_budget *budget; /* outlives it */

    /* The parser's payload for this change, at most FOLLOW_PAYLOAD_MAX bytes; may be NULL. */
    size_t (*payload)(void *data, const struct follow_change *change, void *to);
    /* A table came (to be taken from *memfd); false when it could not be used. */
    bool (*parsed)(void *data, const struct follow_change *change, int *memfd);
    void *data;
};

#define FOLLOW_PAYLOAD_MAX 64

int follow_new(const struct follow_setup *setup, struct follow **ret);
void follow_free(struct follow *f); /* only once its asks are gone; NULL is fine */

/* Looks at the file, unless it was looked at just now; hurry: in any case, and once more when a
 * look is under way. */
void follow_look(struct follow *f, bool hurry);

/* Whether all that was written before that time (CLOCK_MONOTONIC) has been seen. */
bool follow_covers(const struct follow *f, uint64_t time_ns);

/* Whether the last look led to what the file held then. */
bool follow_is_current(const struct follow *f);

/* Whether the last look failed, so that waiting for another is in vain for now. */
bool follow_failed(const struct follow *f);

/* The program ended then. */
void follow_end(struct follow *f, uint64_t time_ns);

/* Why there is no table: for a file that gave none. *detail gets words to it or NULL. */
enum frame_reason follow_trouble(const struct follow *f, const char **detail);
