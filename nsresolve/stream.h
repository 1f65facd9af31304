/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign text in, records out, with flat memory: the parser's way to read and write long files.
 *
 * Input is read by pread only, since whoever owns the file may truncate it at any time. Used by the
 * parser's functions; nothing here knows what the bytes mean.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STREAM_BUFFER 65536

/* Reads up to size bytes at offset, across short reads. Returns the bytes read (less than size at
 * the end of the file) or -errno. */
ssize_t pread_full(int fd, void *data, size_t size, uint64_t offset);

/* Writes everything at fd's position. Returns 0 or -errno. */
int write_full(int fd, const void *data, size_t size);

/* Size of the file behind fd; moves fd's position. Returns 0 or -errno. */
int file_size(int fd, uint64_t *ret);

enum stream_piece {
    STREAM_END,
    STREAM_WHOLE,      /* a piece, its delimiter taken off */
    STREAM_PART,       /* a piece too long for the buffer: more of it follows */
    STREAM_LAST_PART,  /* the rest of such a piece */
    STREAM_UNFINISHED, /* what stood behind the last delimiter */
};

struct stream_in {
    int fd;
    char delimiter;
    bool at_end, in_piece;
    uint64_t offset; /* of the next byte to read */
    size_t begin, end;
    char data[STREAM_BUFFER];
};

void stream_in_init(struct stream_in *in, int fd, char delimiter);

/* The next piece, borrowed until the next call; a NUL stands behind all but STREAM_PART. Returns
 * enum stream_piece or -errno. */
int stream_in_next(struct stream_in *in, char **piece, size_t *size);

struct stream_out {
    int fd;
    int error; /* sticky, -errno */
    size_t used;
    uint64_t total; /* bytes put so far */
    char data[STREAM_BUFFER];
};

void stream_out_init(struct stream_out *out, int fd);
void stream_out_put(struct stream_out *out, const void *data, size_t size);

/* Writes what is left. Returns 0 or the first error, -errno. */
int stream_out_flush(struct stream_out *out);
