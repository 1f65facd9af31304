/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of .eh_frame and .debug_frame: which addresses they describe, and by which program.
 *
 * Knows nothing of files: ehframe.c finds the section and reads it.
 */
#pragma once

#include "nsresolve/cfi.h"

/* The bytes of a section, or of what is left of it. Borrowed. */
struct cfi_section {
    const uint8_t *data;
    size_t size;
    uint64_t vaddr;     /* where the bytes are when the file is mapped; 0 for .debug_frame */
    uint64_t data_base; /* what DW_EH_PE_datarel is relative to; 0: nothing */
    bool is_debug;      /* .debug_frame */
    bool is_open;       /* its end is not known: the terminator is */
};

/* Where code may be. */
struct cfi_range {
    uint64_t start, end;
};

/* Adds the rows of all entries for code that starts in one of the ranges to the table, whose base
 * is set. Broken entries are left out and flagged, like all that follows when a length cannot be
 * true. Returns 0, -EFBIG when a bound cut it short, -ENOMEM. */
int cfi_entries(const struct cfi_section *s, const struct cfi_range *ranges, size_t range_count,
                struct unwindtab_builder *table);
