/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main loop of opener and parser: one expendable child per request, with a deadline.
 *
 * The loop itself never looks into a request beyond its header and touches no file of anybody. A
 * child answers over a socket of its own, so it can neither see nor answer another's request. A
 * child that does not die of SIGKILL (waiting in the kernel for a file system) is abandoned,
 * counted for its container and for the host, and beyond a cap requests are refused without trying.
 */
#pragma once

#include "base/record.h"
#include "nsresolve/wire.h"

#include <stddef.h>

/* What a child is to do; everything is the child's own and goes with it. */
struct work {
    uint32_t op; /* enum wire_op, unchecked */
    uint64_t container;
    const uint8_t *payload; /* aligned to 8 */
    size_t size;
    int *fds;
    size_t fd_count;
};

#define WORK_PAYLOAD_MAX (RECORD_MAX - sizeof(struct wire_reply))

struct work_answer {
    struct wire_reply head; /* status, error, size of the payload; the id is not the child's */
    uint8_t payload[WORK_PAYLOAD_MAX];
    int fds[RECORD_FDS];
    size_t fd_count;
};

struct workers_spec {
    const char *name;         /* for log lines */
    unsigned concurrency;     /* children at work */
    unsigned per_container;   /* of these, for one container */
    unsigned queue;           /* requests waiting; beyond that the socket waits */
    uint64_t deadline_ns;     /* of a request, from its arrival */
    unsigned stuck_container; /* cap of abandoned children, per container */
    unsigned stuck_total;
    bool answers_fds;    /* children may hand fds back */
    const int *keep_fds; /* fds that children use besides the request's */
    size_t keep_count;
    /* In the child, before it looks at anything: gives up what handle does not need. 0 or -errno;
     * NULL: nothing. */
    int (*confine)(void);
    void (*handle)(const struct work *work, struct work_answer *answer);
};

/* Serves requests from the record socket until its other end closes. Returns 0 or -errno. */
int workers_run(const struct workers_spec *spec, int socket_fd);
