/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share: inputs and answers in memfds, and promises that must hold.
 *
 * A target is one LLVMFuzzerTestOneInput(); libFuzzer or replay.c drives it.
 */
#pragma once

#include "nsresolve/symtab.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(what)                                                     \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                   \
        }                                                              \
    } while (0)

static inline int memfd_of(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    must(fd >= 0);
    must(size == 0 || write(fd, data, size) == (ssize_t)size);
    return fd;
}

static inline int sealed(int fd)
{
    must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
    return fd;
}

/* Asks a table in every way that the agent does. */
static inline void ask_table(const struct symtab *t)
{
    uint64_t address = 0;

    for (unsigned i = 0; i < 64; i++) {
        const struct symtab_symbol *s;
        const char *name = NULL;
        uint64_t vaddr;

        s = symtab_find(t, address, &name);
        must(!s || (address >= s->start && address - s->start < s->size));
        must(!s || strlen(name) < symtab_header(t)->strings_size);
        symtab_vaddr(t, address, &vaddr);
        address = i < 32 ? (address << 2 | 3) : ~(address >> 1);
    }
    must(strlen(symtab_header(t)->debuglink) < sizeof(symtab_header(t)->debuglink));
}

/* What a builder writes must pass the agent's checks. */
static inline void check_builder(struct symtab_builder *b)
{
    _cleanup_close_ int fd = memfd_of("", 0);
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    int r = symtab_builder_write(b, fd);

    if (r < 0)
        return;
    must(symtab_open(sealed(fd), &t) == 0);
    ask_table(t);
}
