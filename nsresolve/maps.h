/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of /proc/PID/maps as records: only what is executable, which is what samples hit.
 *
 * Runs in the parser: paths are a container's bytes. They are passed on raw, with "\012" turned
 * back into a newline (the only escape the kernel makes there) and a trailing " (deleted)" kept:
 * the kernel adds it to deleted files, but a file may be named so, and only device and inode can
 * tell.
 */
#pragma once

#define MAPS_MAX_MAPPINGS 65536
#define MAPS_MAX_BYTES (64u << 20) /* of answer */

/* Reads the text in in_fd, writes struct wire_mapping + path (padded to 8 bytes), repeated, to
 * out_fd. Lines that are not as the kernel writes them are skipped. Returns 0; 1 when a bound cut
 * the list short; -errno. */
int maps_parse(int in_fd, int out_fd);
