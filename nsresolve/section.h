/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one ELF section, whether it is stored plain, compressed as the gABI says
 * (SHF_COMPRESSED: zlib, zstd) or in the older GNU way (a name that begins with ".zdebug_").
 *
 * Runs in the parser on files that a container wrote. Sizes that lie and compression bombs are
 * refused, never followed. For symbol tables there is elf_file_symbols() instead.
 */
#pragma once

#include "nsresolve/elf_file.h"

struct section {
    uint8_t *data; /* owned; a NUL stands behind the bytes */
    uint64_t size;
    bool is_cut; /* the file says that there is more, or what is there could not be unpacked */
};

void section_free(struct section *s);
#define _cleanup_section_ __attribute__((cleanup(section_free)))

/* Reads at most max bytes, stored and unpacked each. A plain section that reaches beyond the file
 * or the bound is cut there; a compressed one that does, that is broken, or whose size is not what
 * it claims, is empty. Both say is_cut. Returns 0, -ENOMEM or -errno of the read. */
int section_read(const struct elf_file *f, const Elf64_Shdr *header, uint64_t max,
                 struct section *ret);

/* The first section of that name that has bytes in the file, or NULL. For ".debug_x" also
 * ".zdebug_x". Borrowed from f. */
const Elf64_Shdr *section_find(const struct elf_file *f, const char *name);

/* Whether this is its name, or the older one of a compressed ".debug_x". */
bool section_is(const struct elf_file *f, const Elf64_Shdr *header, const char *name);
