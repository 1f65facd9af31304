/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one instruction does to a function's frame: where the caller's frame (the CFA) is from rsp
 * and rbp, and where the caller's rbp is kept.
 *
 * For code whose compiler wrote no unwind table. Whatever is not understood makes that part
 * unknown, never a guess. uncovered.c carries states along the code.
 */
#pragma once

#include "nsresolve/unwindtab.h"
#include "nsresolve/x86.h"

#define PROLOGUE_UNKNOWN INT32_MIN

struct prologue {
    int32_t depth; /* CFA - rsp, bytes; PROLOGUE_UNKNOWN */
    int32_t frame; /* CFA - rbp where rbp is a frame pointer, bytes; PROLOGUE_UNKNOWN */
    int32_t saved; /* the caller's rbp stands so far below the CFA; 0: in rbp; PROLOGUE_UNKNOWN */
    bool is_outermost; /* nobody called it */
};

/* Where a function starts. */
extern const struct prologue prologue_start;

/* From before insn to behind it. */
void prologue_step(struct prologue *p, const struct x86_insn *insn);

/* What holds where both may be true; whether that is less than *p said. */
bool prologue_meet(struct prologue *p, const struct prologue *other);

bool prologue_is(const struct prologue *p, const struct prologue *other); /* the same */

/* The row for it, without its pc; UNWIND_NONE when too little is known. */
struct unwind_row prologue_row(const struct prologue *p);
