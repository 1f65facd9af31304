/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The questions that one scene has under way, so that it can wait for them all or drop them all.
 */
#pragma once

#include "nsresolve/client.h"

struct asks;

/* idle is called whenever the last answer has been handled; may be NULL. */
int asks_new(struct client *client, void (*idle)(void *data), void *data, struct asks **ret);
void asks_free(struct asks *a); /* the functions of open asks are not called any more */
DEFINE_FREEP(struct asks, asks_free)

/* As client_ask(). */
int asks_ask(struct asks *a, enum wire_op op, uint64_t container, const void *payload, size_t size,
             const int *fds, size_t fd_count, client_fn fn, void *data);

/* Hands in a file and an empty memfd to the parser; done gets a sealed memfd (taken by setting it
 * to -1) when status is WIRE_OK, else -1. */
typedef void (*asks_parsed_fn)(void *data, enum wire_status status, int *memfd);
int asks_parse(struct asks *a, enum wire_op op, uint64_t container, const void *payload,
               size_t size, int in_fd, asks_parsed_fn fn, void *data);

/* The same for an operation that wants more files besides. */
#define ASKS_FILES_MAX 16
int asks_parse_files(struct asks *a, enum wire_op op, uint64_t container, const void *payload,
                     size_t size, const int *in_fds, size_t in_count, asks_parsed_fn fn,
                     void *data);

size_t asks_pending(const struct asks *a);
