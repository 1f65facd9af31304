/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which functions the compiler inlined at given addresses of one file, from its DWARF by libdw.
 *
 * Runs in the parser's jail. Memory is bounded by dwarf_image.h and by the jail, time by a budget
 * of CPU seconds: what it leaves undone is marked INLINE_CUT. Names are linkage names where the
 * DWARF has them.
 */
#pragma once

#include "nsresolve/wire.h"

#include <stddef.h>

#define INLINES_CPU_SECONDS 3 /* of the jail's 5 */

struct inlines_input {
    int fd;             /* the file with the DWARF */
    int addresses_fd;   /* uint64_t: ELF virtual addresses, ascending */
    const int *alt_fds; /* candidates for the file that its .gnu_debugaltlink names */
    size_t alt_count;
};

/* Writes an inlinetab to out_fd. Returns 0, -EBADMSG for what is no DWARF, -EFBIG beyond a bound,
 * -errno. */
int inlines_parse(const struct inlines_input *in, const struct wire_parse_inlines *want,
                  int out_fd);
