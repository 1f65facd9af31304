/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of elf.c share: parsing a file, or a hand-made one, into an opened table.
 */
#pragma once

#include "nsresolve/elf.h"
#include "tests/unit/craft_elf.h"
#include "tests/unit/tables.h"

#include <errno.h>

static const struct wire_parse_elf any;

/* Parses fd as the parser does. Returns elf_parse()'s result; *ret is the table when that is 0. */
static inline int parse_fd(int fd, const struct wire_parse_elf *want, struct symtab **ret)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    int r;

    assert_int_equal(symtab_builder_new(&b), 0);
    r = elf_parse(fd, want, b);
    if (r == 0)
        *ret = built(b);
    return r;
}

static inline int parse_bytes(const void *data, size_t size, const struct wire_parse_elf *want,
                              struct symtab **ret)
{
    _cleanup_close_ int fd = memfd_of(data, size);

    return parse_fd(fd, want, ret);
}

static inline struct symtab *parsed(const struct crafted *c)
{
    struct symtab *t = NULL;

    assert_int_equal(parse_bytes(c, CRAFT_SIZE, &any, &t), 0);
    return t;
}

/* Of a file whose functions carry these names; the table is freed. */
static inline bool names_at(const struct crafted *c, uint64_t address, const char *name)
{
    _cleanup_(symtab_freep) struct symtab *t = parsed(c);
    bool same = strcmp(name_at(t, address), name) == 0;

    if (!same)
        print_error("at %#lx: '%s' instead of '%s'\n", (unsigned long)address, name_at(t, address),
                    name);
    return same;
}
