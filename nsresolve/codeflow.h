/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stretches of code, and what is known of the frame at each instruction that can be reached from
 * the functions in them.
 *
 * uncovered.c chooses the stretches and asks for the rows. The work is bounded by the bytes: at
 * each of them what is known can only become less, a few times.
 */
#pragma once

#include "base/cleanup.h"
#include "nsresolve/prologue.h"

struct codeflow;

int codeflow_new(struct codeflow **ret); /* 0 or -ENOMEM */
void codeflow_free(struct codeflow *c);  /* NULL is fine */
DEFINE_FREEP(struct codeflow, codeflow_free)

/* A stretch of code behind the last one, with size bytes to fill in at *ret, which is borrowed up
 * to the next call. Returns 0, -EFBIG, -ENOMEM. */
int codeflow_add(struct codeflow *c, uint64_t vaddr, uint32_t size, uint8_t **ret);

/* When all are there: makes room for what will be known. Returns 0 or -ENOMEM. */
int codeflow_ready(struct codeflow *c);

/* A function starts here. Addresses outside of the stretches are ignored. */
void codeflow_start(struct codeflow *c, uint64_t vaddr);

void codeflow_run(struct codeflow *c);

/* Adds each stretch as a range with its rows. Returns as unwindtab_builder_row(). */
int codeflow_rows(const struct codeflow *c, struct unwindtab_builder *b);
