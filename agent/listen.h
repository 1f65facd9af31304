/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's socket: bound by us or handed over by systemd, never twice, gone when we are.
 *
 * A lock file beside it decides who serves; a socket file that nobody serves is taken over. Used by
 * main.c while it still has every right; the monitor removes it at the end.
 */
#pragma once

#include "agent/config.h"

#include <stdbool.h>
#include <sys/stat.h>

struct listener {
    int fd;      /* listening, O_NONBLOCK, CLOEXEC */
    int lock_fd; /* -1 under socket activation */
    char *path;  /* of the socket, owned; NULL under socket activation: not ours to remove */
    char *lock_path;
    struct stat st; /* of the socket file, as we made it */
};

/* How many sockets a service manager hands to this process (fds 3 and up), as sd_listen_fds(3). */
int listen_inherited(void);

/* Returns 0, or -errno with e saying what stands in the way. */
int listen_open(const struct config *c, struct listener *ret, struct err *e);

/* Removes our files, unless somebody put others in their place, and closes the fds. */
void listen_close(struct listener *l);

/* A socket to the service manager of $NOTIFY_SOCKET, or -1. */
int notify_open(void);

/* Tells it that we serve (sd_notify(3)). fd may be -1. */
void notify_ready(int fd);
