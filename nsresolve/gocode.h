/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine code of a Go program, as far as it tells what its tables do not: from where on a
 * function's caller's rbp is saved, where one goes to another stack, and where the runtime's
 * structures have what is needed there, which differs from version to version.
 *
 * A few instructions that Go's assembler always writes alike say so. Used by pclntab.c and gotab.c;
 * all but the bytes is of x86-64 alone.
 */
#pragma once

#include "nsresolve/elf_file.h"

struct gocode;

/* Reads the executable segments, at most max bytes of them. Returns 0, -ENOMEM, -errno. */
int gocode_new(const struct elf_file *f, size_t max, struct gocode **ret);
void gocode_free(struct gocode *c); /* NULL is fine */

/* Borrowed; NULL when not all of these are at hand. */
const uint8_t *gocode_bytes(const struct gocode *c, uint64_t vaddr, size_t size);

/* All addresses where a program's code may start, in order; 0: no more. */
uint64_t gocode_first(const struct gocode *c);
uint64_t gocode_after(const struct gocode *c, uint64_t vaddr);

/* The address from which on the caller's rbp is in the word below the return address and rbp points
 * there, given where and by how much the prologue first moves the stack pointer; 0: no such code.
 */
uint64_t gocode_frame_pointer(const struct gocode *c, uint64_t moved_at, int32_t moved_by);

/* The first and the second place in [start, end) behind an instruction that loads the stack pointer
 * from elsewhere; 0: there is none. */
void gocode_stack_loads(const struct gocode *c, uint64_t start, uint64_t end, uint64_t ret[2]);

/* Where a thread's structure (m) points to its goroutine: that runtime.systemstack compares with.
 * Where a goroutine's structure (g) keeps rbp while it does not run: runtime.morestack writes it
 * there. In words; 0: not seen. */
uint8_t gocode_goroutine_at(const struct gocode *c, uint64_t start, uint64_t end);
uint8_t gocode_saved_rbp_at(const struct gocode *c, uint64_t start, uint64_t end);
