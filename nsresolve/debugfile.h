/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for the separate debug file of one binary: by build ID, then by debuglink, in the
 * container's own root first, then on the host, then from debuginfod where there is a fetcher.
 *
 * The places are those of GDB's manual, "Debugging Information in Separate Files". A debug file
 * counts only if its build ID (or, without one, its CRC) is the binary's; the parser checks that.
 */
#pragma once

#include "nsresolve/asks.h"
#include "nsresolve/cache.h"
#include "nsresolve/fetch.h"
#include "nsresolve/frame.h"
#include "nsresolve/processes.h"

struct debugfile;

/* fetches may be NULL: then no server is asked. What is found on this host is known when the asks
 * are idle. */
struct debugfile_setup {
    struct asks *asks;
    struct cache *cache;
    struct fetch_group *fetches;
};

/* Starts the search; setup is copied; *ret is to be freed also while it runs only after the asks
 * are gone. Returns 0 (there may be nothing to search: *ret stays NULL) or -errno. */
int debugfile_search(const struct debugfile_setup *setup, struct pin *pin, const char *binary,
                     const struct symtab_header *header, struct debugfile **ret);
void debugfile_free(struct debugfile *d); /* NULL is fine */

/* The table that was found, or NULL (not yet, or none). Borrowed. */
const struct symtab *debugfile_table(const struct debugfile *d);

/* The file that it was made from, or -1. Borrowed. */
int debugfile_fd(const struct debugfile *d);

/* Where that table came from. */
enum frame_source debugfile_source(const struct debugfile *d);

/* Why debuginfod gave none, or NULL: it was not asked. */
const char *debugfile_reason(const struct debugfile *d);
