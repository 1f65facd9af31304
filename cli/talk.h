/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One conversation with the agent: connect, send a line, read bounded lines, notice interrupts.
 *
 * Knows the socket and line ends, not what the lines say. For the commands that ask the agent.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct talk;

/* Connects to the agent's socket: path, else $PORTHOLE_SOCKET, else PROTO_SOCKET. From now on
 * SIGINT and SIGTERM are taken by talk_next_line(). Returns 0 or -errno with e filled. */
int talk_connect(struct talk **ret, const char *path, struct err *e);
void talk_free(struct talk *c); /* NULL is fine; SIGINT and SIGTERM end the process again */
DEFINE_FREEP(struct talk, talk_free)

/* Sends one line; the newline is added. Returns 0 or -errno with e filled. */
int talk_send(struct talk *c, const char *line, struct err *e);

enum talk_event {
    TALK_LINE,      /* *line and *size are set, without newline, valid until the next call */
    TALK_INTERRUPT, /* SIGINT or SIGTERM came */
    TALK_END,       /* the agent closed the connection */
};

/* Waits for the next event. Returns an enum talk_event, or -errno with e filled. */
int talk_next_line(struct talk *c, const char **line, size_t *size, struct err *e);

/* Sends {"porthole":1,"op":OP} and hands every record to each, until the end. An error reply fills
 * e. Returns 0 or -errno with e filled. */
struct json_object;
int talk_records(const char *socket_path, const char *op,
                 int (*each)(void *data, struct json_object *record), void *data, struct err *e);
