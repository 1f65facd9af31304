/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

ssize_t pread_full(int fd, void *data, size_t size, uint64_t offset)
{
    size_t done = 0;

    if (offset > INT64_MAX - size)
        return -EOVERFLOW;

    while (done < size) {
        ssize_t n = pread(fd, (char *)data + done, size - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int write_full(int fd, const void *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = write(fd, (const char *)data + done, size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        done += (size_t)n;
    }
    return 0;
}

int file_size(int fd, uint64_t *ret)
{
    /* Not fstat: the parser's jail refuses it. */
    off_t end = lseek(fd, 0, SEEK_END);

    if (end < 0)
        return -errno;

    *ret = (uint64_t)end;
    return 0;
}

void stream_in_init(struct stream_in *in, int fd, char delimiter)
{
    in->fd = fd;
    in->delimiter = delimiter;
    in->at_end = in->in_piece = false;
    in->offset = 0;
    in->begin = in->end = 0;
}

/* Moves what is left to the front and fills up, leaving a byte for the closing NUL. */
static int refill(struct stream_in *in)
{
    size_t left = in->end - in->begin, room = sizeof(in->data) - 1 - left;
    ssize_t n;

    memmove(in->data, in->data + in->begin, left);
    in->begin = 0;
    in->end = left;

    n = pread_full(in->fd, in->data + left, room, in->offset);
    if (n < 0)
        return (int)n;
    in->at_end = (size_t)n < room;
    in->end += (size_t)n;
    in->offset += (uint64_t)n;
    return 0;
}

static int hand_out(struct stream_in *in, size_t size, size_t skip, enum stream_piece kind,
                    char **piece, size_t *ret_size)
{
    *piece = in->data + in->begin;
    *ret_size = size;
    if (kind != STREAM_PART)
        (*piece)[size] = '\0';
    in->in_piece = kind == STREAM_PART;
    in->begin += size + skip;
    return kind;
}

int stream_in_next(struct stream_in *in, char **piece, size_t *size)
{
    size_t searched = 0;

    for (;;) {
        size_t left = in->end - in->begin;
        char *start = in->data + in->begin;
        char *found = memchr(start + searched, in->delimiter, left - searched);
        int r;

        if (found)
            return hand_out(in, (size_t)(found - start), 1,
                            in->in_piece ? STREAM_LAST_PART : STREAM_WHOLE, piece, size);
        if (in->at_end && left == 0)
            return STREAM_END;
        if (in->at_end)
            return hand_out(in, left, 0, STREAM_UNFINISHED, piece, size);
        if (left == sizeof(in->data) - 1)
            return hand_out(in, left, 0, STREAM_PART, piece, size);

        searched = left;
        r = refill(in);
        if (r < 0)
            return r;
    }
}

void stream_out_init(struct stream_out *out, int fd)
{
    out->fd = fd;
    out->error = 0;
    out->used = 0;
    out->total = 0;
}

void stream_out_put(struct stream_out *out, const void *data, size_t size)
{
    out->total += size;
    if (out->error)
        return;

    if (out->used + size > sizeof(out->data)) {
        out->error = write_full(out->fd, out->data, out->used);
        out->used = 0;
    }
    if (out->error)
        return;

    if (size > sizeof(out->data)) {
        out->error = write_full(out->fd, data, size);
    } else if (size) {
        memcpy(out->data + out->used, data, size);
        out->used += size;
    }
}

int stream_out_flush(struct stream_out *out)
{
    if (!out->error && out->used)
        out->error = write_full(out->fd, out->data, out->used);
    out->used = 0;
    return out->error;
}
