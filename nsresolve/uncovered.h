/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rows for code that no table of its file covers, from the code itself.
 *
 * musl's libc is built without .eh_frame, as are some functions in assembly. Functions are taken
 * from the symbols, the entry point, and what known code calls or takes the address of; from each
 * start the stack pointer's movement is followed along all ways through it. Where ways disagree or
 * do what is not understood, there is no rule. Runs in the parser, called by ehframe.c when all
 * else has been added; x86-64 alone.
 */
#pragma once

#include "nsresolve/elf_file.h"
#include "nsresolve/unwindtab.h"

#define UNCOVERED_MAX_CODE (4u << 20)    /* bytes that are followed */
#define UNCOVERED_MAX_SYMBOLS (1u << 20) /* that are read */

/* Adds what it finds. Returns 0, -ENOMEM, -errno. Beyond a bound the rest has no rules. */
int uncovered_add(const struct elf_file *f, struct unwindtab_builder *b);
