/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/elf.h"

#include "nsresolve/elf_file.h"
#include "nsresolve/elf_notes.h"
#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

#define SYMBOLS_AT_ONCE 2048
#define SYMBOLS_MAX (4u << 20) /* entries of one table that are looked at */

enum rank { RANK_UNSIZED, RANK_UNTYPED, RANK_FUNCTION };

/* One symbol table being read. */
struct table {
    const struct elf_file *file;
    struct symtab_builder *builder;
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

/* Among names of one address: exported ones first, then the plainest, then global before weak. */
static uint16_t preference(const struct table *t, const Elf64_Sym *s, const char *name)
{
    unsigned bind = ELF64_ST_BIND(s->st_info);
    unsigned exported = bind != STB_LOCAL, strong = exported && bind != STB_WEAK;

    return (uint16_t)(exported << 4 | (3 - underscores(name)) << 2 | strong << 1 | !t->is_dynamic);
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
    e->rank = e->open ? RANK_UNSIZED : type == STT_NOTYPE ? RANK_UNTYPED : RANK_FUNCTION;
    return true;
}

static int add_symbol(const struct table *t, const Elf64_Sym *s)
{
    struct symtab_entry e = {0};
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
    n = pread_full(f->fd, t->names, t->names_size, names->sh_offset);
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

/* What cannot be read of a table is missing from the result, and the result says so. */
static int load_table(const struct elf_file *f, uint32_t type, struct symtab_builder *b)
{
    struct table t = {.file = f, .builder = b, .is_dynamic = type == SHT_DYNSYM};
    const Elf64_Shdr *section = NULL;
    int r;

    for (size_t i = 0; i < f->section_count && !section; i++)
        if (f->sections[i].sh_type == type)
            section = &f->sections[i];
    if (!section)
        return 0;
    if (type == SHT_SYMTAB)
        symtab_builder_header(b)->flags |= SYMTAB_HAS_SYMTAB;

    if (section->sh_entsize != elf_file_symbol_size(f) || (section->sh_flags & SHF_COMPRESSED) ||
        !elf_file_holds(f, section->sh_offset, section->sh_size))
        r = -EBADMSG;
    else
        r = load_names(&t, section);
    if (r == 0)
        r = load_symbols(&t, section);
    if (r == -EBADMSG || r == -EFBIG) {
        mark_truncated(b);
        return 0;
    }
    return r;
}

/* Executable segments first: where file ranges overlap, a sampled address lies in those. */
static int add_segments(const struct elf_file *f, bool executable, struct symtab_builder *b)
{
    for (size_t i = 0; i < f->segment_count; i++) {
        const Elf64_Phdr *p = &f->segments[i];
        struct symtab_segment s = {p->p_vaddr, p->p_offset, p->p_filesz};
        int r;

        if (p->p_type != PT_LOAD || p->p_filesz == 0 || !!(p->p_flags & PF_X) != executable)
            continue;
        if (s.size > UINT64_MAX - s.vaddr || s.size > UINT64_MAX - s.offset) {
            mark_truncated(b);
            continue;
        }
        r = symtab_builder_add_segment(b, &s);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sections that are known by their names only. */
static void look_at_sections(const struct elf_file *f, struct symtab_header *h)
{
    for (size_t i = 0; i < f->section_count; i++) {
        const Elf64_Shdr *s = &f->sections[i];

        if (s->sh_type != SHT_PROGBITS || (s->sh_flags & SHF_ALLOC))
            continue;
        if (elf_file_section_is(f, s, ".gnu_debuglink"))
            elf_notes_debuglink(f, s, h);
        else if (elf_file_section_is(f, s, ".debug_info") ||
                 elf_file_section_is(f, s, ".zdebug_info"))
            h->flags |= SYMTAB_HAS_DWARF;
    }
}

/* A debug file with another build ID, or another checksum, belongs to another build. */
static int check_wanted(const struct elf_file *f, const struct wire_parse_elf *want,
                        const struct symtab_header *h)
{
    uint32_t crc;
    int r;

    if (want->build_id_size > 0)
        return want->build_id_size == h->build_id_size &&
                       memcmp(want->build_id, h->build_id, h->build_id_size) == 0
                   ? 0
                   : -EBADMSG;

    r = elf_notes_crc(f, &crc);
    if (r < 0)
        return r;
    return crc == want->crc ? 0 : -EBADMSG;
}

static int parse_opened(const struct elf_file *f, const struct wire_parse_elf *want,
                        struct symtab_builder *b)
{
    bool is_debug_file = want->flags & WIRE_ELF_DEBUG_FILE;
    struct symtab_header *h = symtab_builder_header(b);
    int r;

    h->machine = f->header.e_machine;
    if (f->lies)
        mark_truncated(b);

    r = elf_notes_build_id(f, is_debug_file, h);
    if (r == 0 && is_debug_file)
        r = check_wanted(f, want, h);
    if (r < 0)
        return r;
    look_at_sections(f, h);

    r = add_segments(f, true, b);
    if (r == 0)
        r = add_segments(f, false, b);
    if (r == 0)
        r = load_table(f, SHT_SYMTAB, b);
    if (r == 0)
        r = load_table(f, SHT_DYNSYM, b);
    return r;
}

int elf_parse(int fd, const struct wire_parse_elf *want, struct symtab_builder *b)
{
    struct elf_file f;
    int r = elf_file_open(&f, fd);

    if (r < 0)
        return r;
    r = parse_opened(&f, want, b);
    elf_file_close(&f);
    return r;
}
