/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Perf maps (/tmp/perf-PID.map), with which JIT compilers name the code they wrote.
 *
 * A line is "start size name", hexadecimal, with or without 0x; the name may hold blanks. JITs only
 * append and use addresses again, so the last line that covers an address names it. The file is
 * therefore read backwards: when a bound is reached, it is the outdated lines that are lost. Of a
 * map that was read before, only what was appended is read, unless a fingerprint says that it was
 * written anew. Runs in the parser; whoever owns the file may write anything, at any time.
 */
#pragma once

#include "nsresolve/symtab.h"
#include "nsresolve/wire.h"

#define PERFMAP_MAX_BYTES (256u << 20) /* of the file's end that are read */
#define PERFMAP_MAX_LINES (8u << 20)
#define PERFMAP_MAX_SYMBOLS 1000000u

#define PERFMAP_FINGERPRINT 256u /* bytes before the end of a reading that tell it again */

/* Fills the builder with the lines behind from->read_until; with all of them when that is 0, or
 * when what stands before it is not what was read then (SYMTAB_REWRITTEN). The header's read_until
 * and fingerprint are for the next reading. Lines that make no sense, zero, wrapping and kernel
 * ranges included, are counted in bad_lines; so is a last line without newline (SYMTAB_UNFINISHED),
 * since its writer may not be done. Returns 0 (a bound that was hit is marked SYMTAB_TRUNCATED) or
 * -errno. */
int perfmap_parse(int fd, const struct wire_parse_perfmap *from, struct symtab_builder *b);
