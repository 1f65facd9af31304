/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/unpack.h"

#include "base/cleanup.h"

#include <errno.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#define FIRST_SIZE 65536u /* that an .xz stream of unknown length gets */

int unpack_zlib(const void *packed, size_t packed_size, void *plain, size_t size)
{
    uLongf got = size;
    int r = uncompress(plain, &got, packed, packed_size);

    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    return r == Z_OK && got == size ? 0 : -EBADMSG;
}

int unpack_zstd(const void *packed, size_t packed_size, void *plain, size_t size)
{
    return ZSTD_decompress(plain, size, packed, packed_size) == size ? 0 : -EBADMSG;
}

static int grow(uint8_t **data, size_t *allocated, size_t max)
{
    size_t want = MIN(MAX(*allocated * 2, (size_t)FIRST_SIZE), max);
    uint8_t *p;

    if (want == *allocated)
        return -EFBIG;
    p = realloc(*data, want);
    if (!p)
        return -ENOMEM;
    *data = p;
    *allocated = want;
    return 0;
}

static int error_of(lzma_ret r)
{
    switch (r) {
    case LZMA_MEM_ERROR:
        return -ENOMEM;
    case LZMA_MEMLIMIT_ERROR:
        return -EFBIG;
    default:
        return -EBADMSG;
    }
}

/* Decodes until the stream's end; *data grows meanwhile. */
static int decode(lzma_stream *s, size_t max, uint8_t **data)
{
    size_t allocated = 0;
    lzma_ret status = LZMA_OK;

    while (status == LZMA_OK) {
        if (s->avail_out == 0) {
            int r = grow(data, &allocated, max);

            if (r < 0)
                return r;
            s->next_out = *data + s->total_out;
            s->avail_out = allocated - s->total_out;
        }
        status = lzma_code(s, LZMA_FINISH);
    }
    return status == LZMA_STREAM_END ? 0 : error_of(status);
}

int unpack_xz(const void *packed, size_t packed_size, size_t max, uint8_t **ret, size_t *size)
{
    _cleanup_free_ uint8_t *data = NULL;
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret status = lzma_stream_decoder(&s, UNPACK_XZ_MEMORY, 0);
    int r;

    if (status != LZMA_OK)
        return error_of(status);
    s.next_in = packed;
    s.avail_in = packed_size;
    r = decode(&s, max, &data);
    *size = r == 0 ? s.total_out : 0;
    lzma_end(&s);
    if (r == 0)
        *ret = TAKE_PTR(data);
    return r;
}
