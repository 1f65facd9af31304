/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of the talk with its helpers, opener, parser, attacher and fetcher: asynchronous
 * asks with deadlines.
 *
 * An ask always ends in exactly one call of its function, unless it is cancelled first: with the
 * reply, or with a status of the client's own (WIRE_LOST, WIRE_TIMEOUT) when the process died or
 * stays silent. A lost process is replaced through the monitor; the client takes the new socket.
 */
#pragma once

#include "base/loop.h"
#include "nsresolve/wire.h"

#include <stdbool.h>
#include <stddef.h>

struct client;

/* Who is asked follows from the operation. */
enum client_peer {
    CLIENT_OPENER,
    CLIENT_PARSER,
    CLIENT_ATTACHER,
    CLIENT_FETCHER,
    CLIENT_PEER_COUNT
};

/* On the monitor's socket, with the new process's record socket. */
struct wire_replacement {
    uint32_t which; /* enum client_peer */
    int32_t pid;
};

struct client_stats {
    uint64_t asked, answered, timeouts, crashes, breaker, lost, restarts;
    uint32_t pending;
    int32_t pid; /* of the present process; 0 until it has been replaced once */
};

struct client_answer {
    enum wire_status status;
    int error;
    const void *payload; /* borrowed, valid during the call */
    size_t size;
    int *fds; /* the callee takes those it wants by setting them to -1; the rest are closed */
    size_t fd_count;
};

/* May ask and cancel, but not free the client. */
typedef void (*client_fn)(void *data, const struct client_answer *answer);

/* fds: of the processes; -1 for one that there is not: asking it fails with -EOPNOTSUPP.
 * monitor_fd: a record socket on which the monitor sends replacement sockets, and over which a
 * process that does not answer is reported. The fds become the client's. Returns 0 or -errno. */
int client_new(struct loop *loop, const int fds[CLIENT_PEER_COUNT], int monitor_fd,
               struct client **ret);
void client_free(struct client *c); /* cancels all asks; NULL is fine */
DEFINE_FREEP(struct client, client_free)

/* Queues a request; fds and payload are copied (dup), so the caller keeps its own. ticket may be
 * NULL. container is the breaker's key. Returns 0 or -errno, in which case fn is not called. */
int client_ask(struct client *c, enum wire_op op, uint64_t container, const void *payload,
               size_t size, const int *fds, size_t fd_count, client_fn fn, void *data,
               uint64_t *ticket);

/* The function of this ask will not be called. Unknown tickets are fine. */
void client_cancel(struct client *c, uint64_t ticket);

/* Whether there is such a process. */
bool client_has(const struct client *c, enum client_peer peer);

void client_get_stats(const struct client *c, enum client_peer peer, struct client_stats *ret);

/* An empty memfd for a parser's answer. Returns the fd or -errno. */
int client_answer_memfd(void);

/* Seals a memfd that came back so that it cannot change any more. Returns 0 or -errno. */
int client_seal(int memfd);
