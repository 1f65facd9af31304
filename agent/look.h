/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at all tasks by a program, and where those wait that have done so since before a capture
 * (bpf/look.bpf.c).
 *
 * The capture's own programs see a thread's stack when it is switched out; of one that slept
 * already they have the kernel's part alone. Linux 5.18; on older ones it stays so.
 */
#pragma once

#include "base/buf.h"

#include <bpf/libbpf.h>
#include <stdint.h>

/* Has the program (iter/task, iter.s/task) look at every task of the host. Returns 0 or -errno. */
int look_at_tasks(struct bpf_program *program);

/* Has the program (iter/…) look at everything there is of its kind, and appends what it writes to
 * out, which may be NULL. Returns 0 or -errno. */
int look_through(struct bpf_program *program, struct buf *out);

/* What it shares with the capture's object, which must live longer. */
struct look_setup {
    int threads_fd, stacks_fd, rows_fd, ranges_fd, processes_fd; /* of maps; rows: unwind rows */
    uint32_t stack_bytes, stack_max;
    uint64_t stack_seed; /* as in the capture's program */
    const char *types;   /* agent/kernel_types.h, or NULL */
};

struct look;

/* Loads the program. Returns 0 or -errno, where the kernel does not take it. */
int look_new(const struct look_setup *setup, struct look **ret);
void look_free(struct look *l); /* NULL is fine */
DEFINE_FREEP(struct look, look_free)

/* Notes where threads wait that have done so since before begin_ns, as far as unwind tables are
 * there. Returns how many it could not walk for want of them, or -errno. */
int look_run(struct look *l, uint64_t begin_ns);
