/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling BPF programs how to unwind: the memory of all unwind rows, which captures share, and each
 * capture's list of which process has what mapped where.
 *
 * What is in the tables is the resolver's business; how they are used, bpf/unwind.bpf.h's.
 */
#pragma once

#include "base/err.h"
#include "nsresolve/resolve.h"

/* ---- the rows, once for the agent ---- */

struct unwind_rows;

/* Makes the memory. -EOPNOTSUPP where this kernel or CPU cannot unwind by tables. */
int unwind_rows_new(struct unwind_rows **ret);
void unwind_rows_free(struct unwind_rows *r); /* NULL is fine */
DEFINE_FREEP(struct unwind_rows, unwind_rows_free)

int unwind_rows_fd(const struct unwind_rows *r); /* of the map, borrowed */

/* For resolver_use_rows(). */
struct unwind_sink unwind_rows_sink(struct unwind_rows *r);

/* ---- the processes, once for each capture ---- */

#define UNWIND_RANGES_MAX 16384u
#define UNWIND_PROCESSES_MAX 4096u

struct unwind;

/* The maps of the capture's loaded object; fds are borrowed. */
int unwind_new(int ranges_fd, int processes_fd, struct unwind **ret);
void unwind_free(struct unwind *u); /* NULL is fine */
DEFINE_FREEP(struct unwind, unwind_free)

/* Tells the program of all processes that changed in the scene. */
void unwind_tell(struct unwind *u, struct scene *s);

/* Processes that had to be left out for want of room. */
uint64_t unwind_left_out(const struct unwind *u);
