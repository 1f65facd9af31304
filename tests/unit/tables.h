/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memfds for the tests of the parser's functions: inputs made of bytes, tables sealed and opened.
 */
#pragma once

#include "nsresolve/symtab.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static inline int memfd_of(const void *data, size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    return fd;
}

static inline int memfd_empty(void)
{
    return memfd_of("", 0);
}

static inline void seal(int fd)
{
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
}

/* The whole file in fresh memory, a NUL behind it. */
static inline char *contents(int fd, size_t *size)
{
    off_t end = lseek(fd, 0, SEEK_END);
    char *data = malloc((size_t)end + 1);

    assert_non_null(data);
    assert_int_equal(pread(fd, data, (size_t)end, 0), end);
    data[end] = '\0';
    *size = (size_t)end;
    return data;
}

/* Writes the builder's table, and opens it as the agent does. */
static inline struct symtab *built(struct symtab_builder *b)
{
    int fd = memfd_empty();
    struct symtab *t = NULL;

    assert_int_equal(symtab_builder_write(b, fd), 0);
    seal(fd);
    assert_int_equal(symtab_open(fd, &t), 0);
    close(fd);
    return t;
}

/* The name at this address; "" when there is none. */
static inline const char *name_at(const struct symtab *t, uint64_t address)
{
    const char *name = "";

    symtab_find(t, address, &name);
    return name;
}
