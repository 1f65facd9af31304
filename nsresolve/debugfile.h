/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for the separate debug file of one binary: by build ID, then by debuglink, in the
 * container's own root first and then on the host.
 *
 * The places are those of GDB's manual, "Debugging Information in Separate Files". A debug file
 * counts only if its build ID (or, without one, its CRC) is the binary's; the parser checks that.
 */
#pragma once

#include "nsresolve/asks.h"
#include "nsresolve/cache.h"
#include "nsresolve/processes.h"

struct debugfile;

/* Starts the search; *ret is to be freed also while it runs only after the asks are gone. Returns 0
 * (there may be nothing to search: *ret stays NULL) or -errno. */
int debugfile_search(struct asks *asks, struct cache *cache, struct pin *pin, const char *binary,
                     const struct symtab_header *header, struct debugfile **ret);
void debugfile_free(struct debugfile *d); /* NULL is fine */

/* The table that was found, or NULL (not yet, or none). Borrowed. */
const struct symtab *debugfile_table(const struct debugfile *d);
