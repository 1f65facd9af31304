/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking which functions were inlined at the sampled addresses of one file: finds the file that its
 * DWARF shares with others, where it has one, and hands all of it to the parser.
 *
 * A shared file counts only if its build ID is the one in .gnu_debugaltlink; the parser checks
 * that.
 */
#pragma once

#include "nsresolve/asks.h"
#include "nsresolve/frame.h"
#include "nsresolve/inlinetab.h"
#include "nsresolve/processes.h"
#include "nsresolve/symtab.h"

struct expansion;

struct expansion_setup {
    struct asks *asks;
    struct pin *pin; /* whose root the shared file is looked for in; borrowed likewise, or NULL */
    int fd;          /* with the DWARF; borrowed as long as the expansion lives */
    const struct symtab_header *header; /* of that file; borrowed during the call */
    const uint64_t *addresses;          /* ELF virtual addresses, ascending; likewise */
    size_t count;
};

/* Addresses beyond INLINETAB_MAX_ADDRESSES are left out. Returns 0 or -errno. */
int expansion_new(const struct expansion_setup *setup, struct expansion **ret);

/* Asks. From now on it may be freed only after the asks are gone. */
void expansion_start(struct expansion *e);

void expansion_free(struct expansion *e); /* NULL is fine */
DEFINE_FREEP(struct expansion, expansion_free)

/* What is known of an address by now. On INLINES_EXPANDED, *table and *functions (borrowed) list
 * what was inlined there; otherwise *detail gets words to the cause, or NULL. */
enum frame_inlines expansion_find(const struct expansion *e, uint64_t address,
                                  const struct inlinetab **table,
                                  const struct inline_address **functions, const char **detail);
