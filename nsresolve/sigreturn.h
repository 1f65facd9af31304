/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code by which signal handlers return to the kernel, where .eh_frame does not know it.
 *
 * glibc and the vdso describe theirs; musl and Go do not, and a walk from a handler would end
 * there. It is a known pair of instructions, so it can be found. Called by ehframe.c.
 */
#pragma once

#include "nsresolve/elf_file.h"
#include "nsresolve/unwindtab.h"

/* Looks into programs and C libraries that need no other library. To be called before anything else
 * is added to the table. Returns 0 or -errno. */
int sigreturn_add(const struct elf_file *f, struct unwindtab_builder *b);
