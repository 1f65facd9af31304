/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Perf maps of the processes of one capture: code made at run time, named by the runtime itself.
 *
 * The map is /tmp/perf-PID.map in the container's root, PID being that of the innermost namespace.
 * It is read when such code is first sampled and once more at the end; the later reading wins, the
 * earlier one serves code that was dropped meanwhile. Only a map of the process's own user, or of
 * root in its user namespace, is believed, and only if nobody wrote to it after the program ended:
 * the number, and so the file, may be another program's then.
 */
#pragma once

#include "nsresolve/asks.h"
#include "nsresolve/frame.h"
#include "nsresolve/processes.h"

struct jit;

/* Most bytes of perf maps that one scene keeps. */
#define JIT_BYTES_MAX (256u << 20)

/* Starts the first reading. pin and ns_tgid are those of the process; *bytes is what the perf maps
 * of its scene take, and outlives it. Returns 0 or -errno. */
int jit_new(struct asks *asks, struct pin *pin, uint32_t ns_tgid, uint64_t *bytes,
            struct jit **ret);
void jit_free(struct jit *j); /* only once its asks are gone */

/* The program ended then (CLOCK_MONOTONIC). */
void jit_end(struct jit *j, uint64_t time_ns);

/* Starts the second reading. */
void jit_read_again(struct jit *j);

/* The name at an address. Returns REASON_NONE or why there is none; *detail as for file_symbol().
 */
enum frame_reason jit_symbol(const struct jit *j, uint64_t address, const char **name,
                             uint64_t *start, const char **detail);

/* Lines of the map that were no valid entries. */
uint32_t jit_bad_lines(const struct jit *j);
