/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of unwind tables share: a file's table, made as the parser makes it and opened as
 * the agent opens it.
 */
#pragma once

#include "nsresolve/ehframe.h"
#include "tests/unit/tables.h"

static inline int unwind_parse_fd(int fd, struct unwindtab **ret)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_close_ int out_fd = memfd_empty();
    int r;

    assert_int_equal(unwindtab_builder_new(&b), 0);
    r = ehframe_parse(fd, b);
    if (r < 0)
        return r;
    assert_int_equal(unwindtab_builder_write(b, out_fd), 0);
    seal(out_fd);
    assert_int_equal(unwindtab_open(out_fd, ret), 0);
    return 0;
}

/* Of a file that consists of two parts. */
static inline struct unwindtab *unwind_parsed_two(const void *data, size_t size, const void *more,
                                                  size_t more_size)
{
    _cleanup_close_ int fd = memfd_of(data, size);
    struct unwindtab *t = NULL;

    assert_int_equal(write(fd, more, more_size), more_size);
    assert_int_equal(unwind_parse_fd(fd, &t), 0);
    return t;
}

static inline struct unwindtab *unwind_parsed(const void *data, size_t size)
{
    return unwind_parsed_two(data, size, "", 0);
}

/* Whatever comes out must pass the agent's checks. */
static inline int unwind_parse_result(const void *data, size_t size)
{
    _cleanup_close_ int fd = memfd_of(data, size);
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;

    return unwind_parse_fd(fd, &t);
}

#define assert_rule(t, address, expected_kind, expected_offset, expected_rbp)                     \
    do {                                                                                          \
        const struct unwind_row *row_ = unwindtab_find(t, address);                               \
        assert_non_null(row_);                                                                    \
        if (row_->kind != (expected_kind) || row_->offset != (int)(expected_offset) ||            \
            row_->rbp != (expected_rbp))                                                          \
            fail_msg("at %#lx: kind %d, offset %d, rbp %d", (unsigned long)(address), row_->kind, \
                     row_->offset, row_->rbp);                                                    \
    } while (0)
