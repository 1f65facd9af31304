/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unwind table of an ELF file, from its .eh_frame and .debug_frame.
 *
 * For x86-64 alone; other files have a table without rows. Called by the parser with bytes that may
 * lie in every field.
 */
#pragma once

#include "nsresolve/unwindtab.h"

#define EHFRAME_MAX_BYTES (64u << 20) /* of a section, uncompressed */

/* Fills the table of the file behind fd. Returns 0, -EBADMSG for what is not an executable or a
 * library, -ENOMEM, -errno. Whatever is broken or beyond a bound is left out and flagged. */
int ehframe_parse(int fd, struct unwindtab_builder *b);
