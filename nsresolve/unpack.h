/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression of what a container wrote: zlib, zstd, xz.
 *
 * Runs in the parser. What comes out never exceeds the bound that the caller gives, nor do the
 * decoders' own windows; time is linear in input and output. Knows nothing of ELF: for sections
 * there is section.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* For the window of `xz -9`, the largest that the tool makes on its own. */
#define UNPACK_XZ_MEMORY (80u << 20)

/* Fills plain with exactly size bytes. Returns 0; -EBADMSG for a broken stream, one of more or
 * fewer bytes; -ENOMEM. The contents of plain are undefined on failure. */
int unpack_zlib(const void *packed, size_t packed_size, void *plain, size_t size);
int unpack_zstd(const void *packed, size_t packed_size, void *plain, size_t size);

/* An .xz stream, which does not say before how long it is. Returns 0 with memory to free;
 * -EBADMSG for a broken stream; -EFBIG beyond max bytes or UNPACK_XZ_MEMORY; -ENOMEM. */
int unpack_xz(const void *packed, size_t packed_size, size_t max, uint8_t **ret, size_t *size);
