/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Downloads a debug file from the servers of DEBUGINFOD_URLS, by its build ID and nothing else.
 *
 * What they send is not looked at. Called in a child of the fetcher, which may be killed any time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DOWNLOAD_MAX (256u << 20) /* bytes of one file */

/* Loads what downloads need: before the process gives up its rights. Returns 0 or -errno. */
int download_prepare(void);

/* Asks each server of the list, addresses between blanks, until one sends the file; writes it to
 * fd. deadline_ns bounds it all. Returns 0, or -ENOENT when no server has it, -EFBIG, -ETIMEDOUT,
 * -EHOSTUNREACH, -EKEYREJECTED (its certificate), -EPROTONOSUPPORT when no address is of http or
 * https, -EIO. */
int download(const char *urls, const uint8_t *build_id, size_t size, uint64_t deadline_ns, int fd);
