/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What identifies an ELF file and what it says of its debug symbols: build ID, debug link,
 * checksum, the file that it shares DWARF with.
 *
 * Used by elf.c only.
 */
#pragma once

#include "nsresolve/elf_file.h"
#include "nsresolve/symtab.h"

/* Fills build_id; build_id_size stays 0 when there is none. Returns 0 or -ENOMEM. */
int elf_notes_build_id(const struct elf_file *f, bool is_debug_file, struct symtab_header *h);

/* Fills debuglink and debuglink_crc from .gnu_debuglink, if it is a plain file name. */
void elf_notes_debuglink(const struct elf_file *f, const Elf64_Shdr *section,
                         struct symtab_header *h);

/* Fills altlink and altlink_id from .gnu_debugaltlink. */
void elf_notes_altlink(const struct elf_file *f, const Elf64_Shdr *section,
                       struct symtab_header *h);

/* CRC-32 of the whole file, as debug links want it. Returns 0, -EFBIG, -errno. */
int elf_notes_crc(const struct elf_file *f, uint32_t *ret);
