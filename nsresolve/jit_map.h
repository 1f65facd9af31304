/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The perf map of one process over time: /tmp/perf-PID.map in its own root, PID being that of the
 * innermost namespace.
 *
 * Each reading that brought something is a version: lines that were appended, or a map that was
 * written anew. A line says nothing about when it began to hold, but it did so after the reading
 * that did not have it. So a sample is named when all that may have held at its time agrees, and
 * otherwise it is not. Belongs to a struct jit.
 */
#pragma once

#include "nsresolve/follow.h"
#include "nsresolve/frame.h"

struct jit_map;

/* Most bytes of tables that one scene keeps for code made at run time. */
#define JIT_BYTES_MAX (256u << 20)

int jit_map_new(struct asks *asks, struct pin *pin, uint32_t ns_tgid, struct follow_budget *budget,
                struct jit_map **ret);
void jit_map_free(struct jit_map *m); /* only once its asks are gone; NULL is fine */

struct follow *jit_map_follow(const struct jit_map *m);

/* The version that names an address sampled between two times, as far as is known now: 0: none,
 * JIT_MAP_MOVED: two that differ. */
#define JIT_MAP_MOVED UINT32_MAX
uint32_t jit_map_version(const struct jit_map *m, uint64_t address, uint64_t first_ns,
                         uint64_t last_ns);

/* The name of an address whose version was found earlier; settled: when all that had been written
 * until the sample was known. Returns REASON_NONE or why there is none; *detail as for
 * file_symbol(). Strings are borrowed. */
enum frame_reason jit_map_symbol(const struct jit_map *m, uint64_t address, uint32_t version,
                                 bool settled, const char **name, uint64_t *start,
                                 const char **detail);

/* How many pieces of code it names. */
size_t jit_map_symbols(const struct jit_map *m);

/* Lines that were no valid entries. */
uint64_t jit_map_bad_lines(const struct jit_map *m);
