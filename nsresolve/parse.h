/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a child of the parser does with one request: reads hostile bytes, writes a table, ends.
 *
 * Runs in the jail (no files, no sockets, memory, CPU and output bounded); needs nothing but pread
 * and lseek on in_fd, write on out_fd and memory. Called by the parser's worker, once per process.
 */
#pragma once

#include "nsresolve/wire.h"

#include <stddef.h>

/* The files of a request, borrowed. */
struct parse_files {
    int in_fd, out_fd;
    const int *more; /* what an operation wants besides */
    size_t more_count;
};

/* Answers into out_fd at its position. *error is the errno when WIRE_FAILED is returned, and E2BIG
 * with WIRE_OK when a list of mappings had to be cut short; 0 otherwise. */
enum wire_status parse_request(enum wire_op op, const void *payload, size_t size,
                               const struct parse_files *files, int *error);
