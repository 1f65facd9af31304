/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How opener, parser and attacher start: options, log, fds, jail, then the loop over requests.
 *
 * Started by the monitor with one end of a record socket as fd 3; they end when the other end
 * closes. Called by their mains, once, which say what differs.
 */
#pragma once

#include "base/err.h"
#include "base/jail.h"
#include "nsresolve/workers.h"

struct helper {
    const char *name; /* of the process: "porthole-opener" */

    /* Opens what is needed while it still may. Fds 0 to 3 are all there are. 0 or -errno; NULL:
     * nothing. */
    int (*prepare)(struct err *e);
    struct jail jail;            /* uid and parent are filled in */
    struct workers_spec workers; /* the fds that it keeps are prepare()'s to fill in */
};

/* Returns the exit status when it could not start; otherwise it never comes back. */
int helper_main(struct helper *h, int argc, char **argv);
