/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions that an ELF file's symbol tables name.
 *
 * Used by elf.c, which says which tables of which file count; elf_plt.c asks for the names of
 * imported functions. Names stay mangled.
 */
#pragma once

#include "nsresolve/elf_file.h"
#include "nsresolve/symtab.h"

#define ELF_MAX_IFUNCS 1024

enum elf_rank { ELF_RANK_UNSIZED, ELF_RANK_STUB, ELF_RANK_UNTYPED, ELF_RANK_FUNCTION };

/* A function that chooses the implementation of another, whose name it bears. */
struct elf_ifunc {
    uint64_t address;
    uint32_t name; /* offset in the builder's pool */
    uint16_t preference;
};

struct elf_symbols {
    struct symtab_builder *builder;
    /* .dynsym, once it was added */
    const Elf64_Shdr *dynamic; /* borrowed from its file; NULL: none, or not readable */
    uint32_t dynamic_names;    /* its string section's offset in the builder's pool */
    size_t dynamic_names_size;
    struct elf_ifunc ifuncs[ELF_MAX_IFUNCS];
    size_t ifunc_count;
};

/* Adds the functions of the first table of this type (SHT_SYMTAB or SHT_DYNSYM); *found says
 * whether there is one. What cannot be read of it is missing, and the builder's header says
 * SYMTAB_TRUNCATED. Returns 0, -EFBIG, -ENOMEM or -errno. */
int elf_symbols_add(struct elf_symbols *s, const struct elf_file *f, uint32_t type,
                    enum symtab_source source, bool *found);

/* Offset in the builder's pool of the name of a dynamic symbol, or of what the resolver at address
 * chooses; false when there is none. */
bool elf_symbols_dynamic(const struct elf_symbols *s, const struct elf_file *f, uint32_t index,
                         uint32_t *name);
bool elf_symbols_ifunc(const struct elf_symbols *s, uint64_t address, uint32_t *name);
