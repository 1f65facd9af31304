/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void *buf_reserve(struct buf *b, size_t n)
{
    size_t want;
    char *data;

    if (b->failed || n > SIZE_MAX / 4 - b->size) {
        b->failed = true;
        return NULL;
    }
    if (b->allocated - b->size > n)
        return b->data + b->size;

    want = MAX(b->allocated * 2, b->size + n + 1);
    want = MAX(want, (size_t)64);
    data = realloc(b->data, want);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->allocated = want;
    return b->data + b->size;
}

void buf_add(struct buf *b, const void *data, size_t size)
{
    char *to = buf_reserve(b, size);

    if (!to)
        return;
    if (size)
        memcpy(to, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    char *to;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (to) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        b->size += (size_t)n;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->size - n);
    b->size -= n;
    b->data[b->size] = '\0';
}

ssize_t buf_read_fd(struct buf *b, int fd, size_t limit)
{
    ssize_t n;
    void *to = buf_reserve(b, limit);

    if (!to)
        return -ENOMEM;
    do
        n = read(fd, to, limit);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    b->size += (size_t)n;
    b->data[b->size] = '\0';
    return n;
}

int buf_read_all(struct buf *b, int fd, size_t limit)
{
    size_t start = b->size;

    for (;;) {
        ssize_t n = buf_read_fd(b, fd, 16384);

        if (n < 0)
            return (int)n;
        if (b->size - start > limit)
            return -EFBIG;
        if (n == 0)
            return buf_error(b);
    }
}

int buf_error(const struct buf *b)
{
    return b->failed ? -ENOMEM : 0;
}
