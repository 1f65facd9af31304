/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the code that the processes of one capture made at run time, as the runtimes tell them:
 * by a jitdump file, which says when, or by a perf map, which does not.
 *
 * Both are looked at again while such code is sampled, because runtimes move and replace it. What
 * stands at an address is therefore asked twice: when a sample is located, for the version that
 * held then, and at the end, for its name.
 */
#pragma once

#include "nsresolve/follow.h"
#include "nsresolve/frame.h"

struct jit;

/* Starts the first look. pin and ns_tgid are those of the process; the budget is that of the scene
 * and outlives it. dump: its jitdump file is mapped there and has that path; NULL: none is. Returns
 * 0 or -errno. */
int jit_new(struct asks *asks, struct pin *pin, uint32_t ns_tgid, struct follow_budget *budget,
            const struct wire_open_item *dump, const char *path, struct jit **ret);
void jit_free(struct jit *j); /* only once its asks are gone */

/* The program ended then (CLOCK_MONOTONIC). */
void jit_end(struct jit *j, uint64_t time_ns);

/* Looks whether the runtime wrote more; hurry: even when that was done just now. */
void jit_look(struct jit *j, bool hurry);

/* Whether a sample of that time is better located after the next look. */
bool jit_should_wait(const struct jit *j, uint64_t time_ns);

/* The version of the code that was sampled at an address between two times: for jit_symbol(). */
uint64_t jit_version(const struct jit *j, uint64_t address, uint64_t first_ns, uint64_t last_ns);

struct jit_symbol {
    const char *name; /* borrowed */
    uint64_t start;
    enum frame_source source;
};

/* The name at an address in one version. Returns REASON_NONE or why there is none; *detail as for
 * file_symbol(). */
enum frame_reason jit_symbol(const struct jit *j, uint64_t address, uint64_t version,
                             struct jit_symbol *ret, const char **detail);

/* How many pieces of code are named; 0: nothing was read. */
size_t jit_symbols(const struct jit *j);

/* Lines and records that were no valid entries. */
uint64_t jit_bad_lines(const struct jit *j);
