/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbols, segments and identity of one ELF executable, library or separate debug file.
 *
 * Runs in the parser on files that a container wrote. Reads the headers, the symbol tables with
 * their names and a few notes, never the code or DWARF. Names stay mangled.
 *
 * An address is named only when a symbol says so: by its size, or, for the unsized ones of .symtab
 * in executable sections, up to the next symbol. Unsized symbols of .dynsym are left alone, since
 * in a stripped file the next symbol may be far behind code of other functions.
 */
#pragma once

#include "nsresolve/symtab.h"
#include "nsresolve/wire.h"

/* Fills the builder from the file. Returns 0; -EBADMSG for what is no ELF file or, with
 * WIRE_ELF_DEBUG_FILE, not the wanted one; -EFBIG; -errno. Broken parts are left out and the table
 * is marked SYMTAB_TRUNCATED. */
int elf_parse(int fd, const struct wire_parse_elf *want, struct symtab_builder *b);
