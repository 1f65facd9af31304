/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer that remembers that it ran out of memory.
 *
 * Appending never fails visibly: once an allocation failed, the buffer stays failed and drops what
 * comes, and the owner asks once at the end (buf_error). Data is NUL-terminated for convenience.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf {
    char *data; /* owned; NULL while empty */
    size_t size;
    size_t allocated;
    bool failed;
};

void buf_free(struct buf *b); /* the contents; b itself is the caller's */
#define _cleanup_buf_ _cleanup_(buf_free)

void buf_add(struct buf *b, const void *data, size_t size);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) _printf_(2, 3);

/* Drops the first n bytes (n <= size). */
void buf_consume(struct buf *b, size_t n);

/* Room for at least n bytes at data + size; NULL when out of memory. The caller then adds to size.
 */
void *buf_reserve(struct buf *b, size_t n);

/* Appends at most limit bytes read from fd at its position; returns bytes read, 0 at the end,
 * -errno. */
ssize_t buf_read_fd(struct buf *b, int fd, size_t limit);

/* Reads a whole file up to limit bytes; -EFBIG beyond it. Works for procfs, whose size is 0. */
int buf_read_all(struct buf *b, int fd, size_t limit);

/* 0, or -ENOMEM when anything was dropped. */
int buf_error(const struct buf *b);
