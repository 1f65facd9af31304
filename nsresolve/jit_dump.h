/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jitdump file of one process: jit-PID.dump, wherever it lies. The runtime maps it executable,
 * so that whoever follows mappings finds it; it is opened through that mapping.
 *
 * Its records carry times, so that a sample is named by what stood there just then. When more than
 * one thing stood there while an address was sampled, it is not named. Belongs to a struct jit.
 */
#pragma once

#include "nsresolve/follow.h"
#include "nsresolve/frame.h"
#include "nsresolve/mappings.h"

struct jit_dump;

/* Whether a mapped file with that path is the dump of the process with that number (in its own
 * namespace). */
bool jit_dump_is_one(const char *path, uint32_t ns_tgid);

int jit_dump_new(struct asks *asks, struct pin *pin, const struct wire_open_item *mapped,
                 const char *path, struct follow_budget *budget, struct jit_dump **ret);
void jit_dump_free(struct jit_dump *d); /* only once its asks are gone; NULL is fine */

struct follow *jit_dump_follow(const struct jit_dump *d);

/* Whether there is a table. */
bool jit_dump_is_read(const struct jit_dump *d);

/* When that which stood at an address between two times was written there, as far as is known now:
 * 0: nothing stood there, JIT_DUMP_MOVED: several things did. */
#define JIT_DUMP_MOVED UINT64_MAX
uint64_t jit_dump_born(const struct jit_dump *d, uint64_t address, uint64_t first_ns,
                       uint64_t last_ns);

/* The name of what was written at an address then; NULL: none. Borrowed. */
const char *jit_dump_name(const struct jit_dump *d, uint64_t address, uint64_t born_ns,
                          uint64_t *start);

/* The name when nothing is known of the time: REASON_NONE, REASON_JIT_MOVED when several things
 * ever stood there, REASON_JIT_NOT_IN_MAP. */
enum frame_reason jit_dump_only(const struct jit_dump *d, uint64_t address, const char **name,
                                uint64_t *start);

/* How many pieces of code it has rows for. */
size_t jit_dump_symbols(const struct jit_dump *d);

uint64_t jit_dump_bad_records(const struct jit_dump *d);
