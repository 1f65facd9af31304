/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's configuration: built-in values, then the file, then the command line.
 *
 * The file holds lines "key = value"; "#" starts a comment; unknown keys are errors with their
 * line. Read once by portholed's main before any right is dropped.
 */
#pragma once

#include "base/err.h"
#include "nsresolve/census.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CONFIG_FILE "/etc/porthole/portholed.conf"

struct config {
    char *socket_path; /* owned, absolute */
    char *group;       /* of the socket: a name or a number; owned */

    /* Where runtimes keep their state, besides the places that are known. Owned. */
    struct census_root *roots;
    size_t root_count;

    uint64_t max_captures;        /* at the same time, in all */
    uint64_t max_captures_uid;    /* of one uid */
    uint64_t max_connections;     /* in all */
    uint64_t max_connections_uid; /* of one uid */
    uint64_t max_memory_mb;       /* of all captures' stacks and samples */
    uint64_t max_cache_mb;        /* of symbol tables */
    uint64_t agent_uid, agent_gid, opener_uid, parser_uid, attacher_uid, fetcher_uid;
    bool unwind_tables;    /* user stacks are walked by tables where the kernel can */
    bool java;             /* JVMs may be asked for their perf maps: there is an attacher */
    char *debuginfod_urls; /* addresses between blanks; NULL: nobody is asked */
};

/* Fills c with the built-in values; the agent's user is "porthole" where there is such a user. 0 or
 * -ENOMEM. */
int config_init(struct config *c);
void config_free(struct config *c); /* the contents */
#define _cleanup_config_ _cleanup_(config_free)

/* Reads path over c. A file that is not there is an error. On error c stays usable, half read. */
int config_read(struct config *c, const char *path, struct err *e);

/* Whether the values fit together. 0, or -errno with e saying what does not. */
int config_check(const struct config *c, struct err *e);

/* Replaces the socket's path. ERR_USAGE for one that is not absolute or too long for a socket. */
int config_set_socket(struct config *c, const char *path, struct err *e);

/* Servers that may be asked for debug files, as in DEBUGINFOD_URLS; NULL or blanks: none. 0 or
 * -ENOMEM. */
int config_set_debuginfod(struct config *c, const char *urls);

/* Lists the keys with their values, one a line as in the file (--help). */
void config_print(const struct config *c, FILE *out);
