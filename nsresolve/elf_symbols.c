/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/elf_symbols.h"

#include <errno.h>
#include <string.h>

#define SYMBOLS_AT_ONCE 2048
#define SYMBOLS_MAX (4u << 20) /* entries of one table that are looked at */

/* One symbol table being read. */
struct table {
    struct elf_symbols *symbols;
    const struct elf_file *file;
    struct symtab_builder *builder;
    enum symtab_source source;
    bool is_dynamic;
    char *names; /* the builder's, valid while this table is read: it adds names in one go */
    uint32_t names_offset;
    size_t names_size;
};

static void mark_truncated(struct symtab_builder *b)
{
    symtab_builder_header(b)->flags |= SYMTAB_TRUNCATED;
}

/* $a, $d, $x and the like tell ARM code from data and name nothing. */
static bool is_mapping_symbol(const struct elf_file *f, const char *name)
{
    switch (f->header.e_machine) {
    case EM_ARM:
    case EM_AARCH64:
    case EM_RISCV:
        return name[0] == '$' && name[1] && strchr("adtx", name[1]);
    default:
        return false;
    }
}

/* Leading underscores that mark an internal name; those of C++ and Rust mangling do not count. */
static unsigned underscores(const char *name)
{
    unsigned n = 0;

    if (name[0] == '_' && (name[1] == 'Z' || name[1] == 'R'))
        return 0;
    while (n < 3 && name[n] == '_')
        n++;
    return n;
}

/* Among names of one address: a function's own before one that it chooses for, exported ones
 * first, then the plainest, then global before weak. Never 0, so that the builder takes the shorter
 * of two that are equal in all that. */
static uint16_t preference(const struct table *t, const Elf64_Sym *s, const char *name)
{
    unsigned bind = ELF64_ST_BIND(s->st_info), type = ELF64_ST_TYPE(s->st_info);
    unsigned exported = bind != STB_LOCAL, strong = exported && bind != STB_WEAK;
    unsigned own = type != STT_GNU_IFUNC;

    return (uint16_t)(1 << 8 | own << 5 | exported << 4 | (3 - underscores(name)) << 2 |
                      strong << 1 | !t->is_dynamic);
}

/* "memcpy@@GLIBC_2.14" in .symtab is memcpy. The name is cut in place. */
static void cut_version(char *name)
{
    char *at = memchr(name, '@', strnlen(name, SYMTAB_NAME_MAX));

    if (at && at != name)
        *at = '\0';
}

/* The executable section of this symbol, or NULL. */
static const Elf64_Shdr *code_section(const struct elf_file *f, const Elf64_Sym *s)
{
    const uint64_t need = SHF_ALLOC | SHF_EXECINSTR;
    const Elf64_Shdr *section;

    if (s->st_shndx == SHN_UNDEF || s->st_shndx >= SHN_LORESERVE || s->st_shndx >= f->section_count)
        return NULL;
    section = &f->sections[s->st_shndx];
    return (section->sh_flags & need) == need ? section : NULL;
}

/* Start, size and rank; false for what names no code. */
static bool place_symbol(const struct table *t, const Elf64_Sym *s, struct symtab_entry *e)
{
    unsigned type = ELF64_ST_TYPE(s->st_info);
    const Elf64_Shdr *section;
    uint64_t left;

    if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
        return false;
    if (s->st_size == 0 && t->is_dynamic)
        return false;
    section = code_section(t->file, s);
    if (!section)
        return false;

    e->start = s->st_value;
    if (t->file->header.e_machine == EM_ARM) /* bit 0 says Thumb */
        e->start &= ~(uint64_t)1;
    if (e->start < section->sh_addr || e->start - section->sh_addr >= section->sh_size)
        return false;

    left = section->sh_size - (e->start - section->sh_addr);
    e->open = s->st_size == 0;
    e->size = e->open ? left : MIN(s->st_size, left);
    e->rank = e->open              ? ELF_RANK_UNSIZED
              : type == STT_NOTYPE ? ELF_RANK_UNTYPED
                                   : ELF_RANK_FUNCTION;
    return true;
}

static void remember_ifunc(struct elf_symbols *s, const struct symtab_entry *e)
{
    if (s->ifunc_count < ELF_MAX_IFUNCS)
        s->ifuncs[s->ifunc_count++] = (struct elf_ifunc){e->start, e->name, e->preference};
}

static int add_symbol(const struct table *t, const Elf64_Sym *s)
{
    struct symtab_entry e = {.source = t->source};
    char *name;

    if (!place_symbol(t, s, &e))
        return 0;
    if (s->st_name == 0 || s->st_name >= t->names_size)
        return 0;

    name = t->names + s->st_name;
    if (is_mapping_symbol(t->file, name))
        return 0;
    /* Labels that an assembler or annobin left behind. */
    if (e.open && (strncmp(name, ".L", 2) == 0 || strncmp(name, ".annobin", 8) == 0))
        return 0;
    if (!t->is_dynamic)
        cut_version(name);

    e.name = t->names_offset + s->st_name;
    e.preference = preference(t, s, name);
    if (ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC) {
        e.suffix = SYMTAB_SUFFIX_IFUNC;
        remember_ifunc(t->symbols, &e);
    }
    return symtab_builder_add_entry(t->builder, &e);
}

/* Reads the string section that belongs to the table into the builder. */
static int load_names(struct table *t, const Elf64_Shdr *section)
{
    const struct elf_file *f = t->file;
    const Elf64_Shdr *names;
    ssize_t n;
    int r = 0;

    if (section->sh_link >= f->section_count)
        return -EBADMSG;
    names = &f->sections[section->sh_link];
    if (names->sh_type != SHT_STRTAB || (names->sh_flags & SHF_COMPRESSED) ||
        !elf_file_holds(f, names->sh_offset, names->sh_size))
        return -EBADMSG;

    t->names_size = names->sh_size;
    t->names = symtab_builder_names(t->builder, t->names_size, &t->names_offset, &r);
    if (!t->names)
        return r;
    n = elf_file_read(f, t->names, t->names_size, names->sh_offset);
    if (n < 0)
        return (int)n;
    memset(t->names + n, 0, t->names_size - (size_t)n); /* it shrank meanwhile */
    return (size_t)n < t->names_size ? -EBADMSG : 0;
}

static int load_symbols(const struct table *t, const Elf64_Shdr *section)
{
    size_t each = elf_file_symbol_size(t->file);
    uint64_t count = section->sh_size / each, offset = section->sh_offset;
    _cleanup_free_ Elf64_Sym *symbols = NULL;

    symbols = reallocarray(NULL, SYMBOLS_AT_ONCE, sizeof(*symbols));
    if (!symbols)
        return -ENOMEM;
    if (count > SYMBOLS_MAX) {
        mark_truncated(t->builder);
        count = SYMBOLS_MAX;
    }

    while (count > 0) {
        size_t n = (size_t)MIN(count, (uint64_t)SYMBOLS_AT_ONCE);
        int r = elf_file_symbols(t->file, offset, n, symbols);

        for (size_t i = 0; i < n && r == 0; i++)
            r = add_symbol(t, &symbols[i]);
        if (r < 0)
            return r;
        count -= n;
        offset += n * each;
    }
    return 0;
}

static const Elf64_Shdr *find_table(const struct elf_file *f, uint32_t type)
{
    for (size_t i = 0; i < f->section_count; i++)
        if (f->sections[i].sh_type == type)
            return &f->sections[i];
    return NULL;
}

int elf_symbols_add(struct elf_symbols *s, const struct elf_file *f, uint32_t type,
                    enum symtab_source source, bool *found)
{
    const Elf64_Shdr *section = find_table(f, type);
    struct table t = {.symbols = s,
                      .file = f,
                      .builder = s->builder,
                      .source = source,
                      .is_dynamic = type == SHT_DYNSYM};
    int r;

    *found = section;
    if (!section)
        return 0;
    if (section->sh_entsize != elf_file_symbol_size(f) || (section->sh_flags & SHF_COMPRESSED) ||
        !elf_file_holds(f, section->sh_offset, section->sh_size))
        r = -EBADMSG;
    else
        r = load_names(&t, section);
    if (r == 0 && t.is_dynamic) {
        s->dynamic = section;
        s->dynamic_names = t.names_offset;
        s->dynamic_names_size = t.names_size;
    }
    if (r == 0)
        r = load_symbols(&t, section);
    if (r == -EBADMSG || r == -EFBIG) {
        mark_truncated(s->builder);
        return 0;
    }
    return r;
}

bool elf_symbols_dynamic(const struct elf_symbols *s, const struct elf_file *f, uint32_t index,
                         uint32_t *name)
{
    size_t each = elf_file_symbol_size(f);
    Elf64_Sym symbol;

    if (!s->dynamic || index >= s->dynamic->sh_size / each)
        return false;
    if (elf_file_symbols(f, s->dynamic->sh_offset + index * each, 1, &symbol) < 0)
        return false;
    if (symbol.st_name == 0 || symbol.st_name >= s->dynamic_names_size)
        return false;
    *name = s->dynamic_names + symbol.st_name;
    return true;
}

bool elf_symbols_ifunc(const struct elf_symbols *s, uint64_t address, uint32_t *name)
{
    const struct elf_ifunc *best = NULL;

    for (size_t i = 0; i < s->ifunc_count; i++)
        if (s->ifuncs[i].address == address &&
            (!best || s->ifuncs[i].preference > best->preference))
            best = &s->ifuncs[i];
    if (best)
        *name = best->name;
    return best;
}
