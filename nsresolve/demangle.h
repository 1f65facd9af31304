/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C++, Rust and Go names in readable form, within bounds: the former two by libiberty, cut short by
 * shorten.c unless all of it is wanted.
 *
 * Runs in the parser, since mangled names are a container's bytes and can be written to take for
 * ever.
 * libiberty's own bound on recursion stays on: it leaves C++ names beyond 1024 bytes alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DEMANGLE_RESULT_MAX 16384      /* a longer result: the name stays as it is */
#define DEMANGLE_MAX_BYTES (64u << 20) /* of answer, beyond which names stay as they are */
#define DEMANGLE_SECONDS 2             /* of CPU time, likewise */

enum demangle_language {
    DEMANGLE_PLAIN = 'c',
    DEMANGLE_CPP = '+',
    DEMANGLE_RUST = 'r',
    DEMANGLE_GO = 'g',
};

/* One C++ or Rust name into ret, NUL-terminated, *size its length; DEMANGLE_PLAIN: ret is
 * undefined. Without parameters and hash, unless is_full. */
enum demangle_language demangle_name(const char *name, bool is_full,
                                     char ret[DEMANGLE_RESULT_MAX + 1], size_t *size);

/* NUL-terminated names in in_fd (Go's led by WIRE_DEMANGLE_GO) -> as many in out_fd, each led by a
 * byte of enum demangle_language. Returns 0, -EBADMSG when the last name has no NUL, -errno. */
int demangle_stream(int in_fd, int out_fd, bool is_full);
