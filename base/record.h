/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded records between our own processes: one SOCK_SEQPACKET datagram each, with fds.
 *
 * Both ends distrust each other's sizes. Fds beyond what the caller asked for are closed.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_MAX 65536 /* bytes in one record */
#define RECORD_FDS 64    /* fds along with one record */

/* A connected pair, both ends CLOEXEC and blocking. Returns 0 or -errno. */
int record_pair(int pair[2]);

/* Sends one record; fds stay the caller's. flags as for sendmsg (MSG_DONTWAIT). 0 or -errno. */
int record_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count, int flags);

/* Receives one record into data. Returns its size, 0 at the end of the stream, or -errno (-EMSGSIZE
 * when data or fds did not fit). On success fds[0..*fd_count) are the caller's, all CLOEXEC.
 * *fd_count holds the room on entry. fds may be NULL with fd_count NULL: none wanted. */
ssize_t record_receive(int fd, void *data, size_t size, int *fds, size_t *fd_count, int flags);
