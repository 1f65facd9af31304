/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rows for Go's code, which has no .eh_frame, from its function table.
 *
 * The table says for each instruction how far the stack pointer has moved, so it serves stripped
 * programs and says more than their .debug_frame: that one knows nothing of rbp, nor of the few
 * functions that go on on another stack. Runs in the parser, called by ehframe.c; x86-64 alone.
 */
#pragma once

#include "nsresolve/elf_file.h"
#include "nsresolve/unwindtab.h"

/* Adds the ranges of all functions. Returns 1 when there were some, 0 for what is no Go program,
 * -errno. Where a bound cut them short, the table is flagged. */
int gotab_add(const struct elf_file *f, struct unwindtab_builder *b);
