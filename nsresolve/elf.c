/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/elf.h"

#include "nsresolve/elf_file.h"
#include "nsresolve/elf_notes.h"
#include "nsresolve/elf_plt.h"
#include "nsresolve/pclntab.h"
#include "nsresolve/section.h"
#include "nsresolve/unpack.h"

#include <errno.h>
#include <string.h>

#define MINIDEBUG_MAX (64u << 20) /* bytes of the ELF file inside, unpacked */

static void mark_truncated(struct symtab_builder *b)
{
    symtab_builder_header(b)->flags |= SYMTAB_TRUNCATED;
}

/* Executable segments first: where file ranges overlap, a sampled address lies in those. */
static int add_segments(const struct elf_file *f, bool executable, struct symtab_builder *b)
{
    for (size_t i = 0; i < f->segment_count; i++) {
        const Elf64_Phdr *p = &f->segments[i];
        struct segment s = {p->p_vaddr, p->p_offset, p->p_filesz};
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
        else if (elf_file_section_is(f, s, ".gnu_debugaltlink"))
            elf_notes_altlink(f, s, h);
        else if (section_is(f, s, ".debug_info"))
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

/* The symbols of an ELF file in memory. That it is none costs its names alone. */
static int add_unpacked(struct elf_symbols *s, const uint8_t *data, size_t size)
{
    struct elf_file inner;
    bool found;
    int r = elf_file_open_data(&inner, data, size);

    if (r == 0) {
        r = elf_symbols_add(s, &inner, SHT_SYMTAB, SYMTAB_FROM_MINIDEBUG, &found);
        if (found)
            symtab_builder_header(s->builder)->flags |= SYMTAB_HAS_MINIDEBUG;
        elf_file_close(&inner);
    }
    return r;
}

/* MiniDebugInfo: the symbols that stripping took, as an ELF file of their own under xz. */
static int add_minidebug(struct elf_symbols *s, const struct elf_file *f)
{
    const Elf64_Shdr *header = section_find(f, ".gnu_debugdata");
    _cleanup_section_ struct section packed = {0};
    _cleanup_free_ uint8_t *data = NULL;
    size_t size;
    int r;

    if (!header)
        return 0;
    r = section_read(f, header, MINIDEBUG_MAX, &packed);
    if (r < 0)
        return r;
    r = packed.is_cut ? -EBADMSG : unpack_xz(packed.data, packed.size, MINIDEBUG_MAX, &data, &size);
    section_free(&packed);
    if (r == 0)
        r = add_unpacked(s, data, size);
    if (r == -EBADMSG || r == -EFBIG) {
        mark_truncated(s->builder);
        return 0;
    }
    return r;
}

/* What Go keeps of its functions in a stripped program. */
static int add_go(const struct elf_file *f, struct symtab_builder *b)
{
    _cleanup_(pclntab_freep) struct pclntab *t = NULL;
    int r = pclntab_open(f, &t);

    if (r == 0)
        r = pclntab_add_symbols(t, ELF_RANK_FUNCTION, b);
    if (r == -EFBIG)
        mark_truncated(b);
    return r == -ENOENT || r == -EFBIG ? 0 : r;
}

static int add_symbols(const struct elf_file *f, struct symtab_builder *b)
{
    struct elf_symbols s = {.builder = b};
    bool found, found_dynamic;
    int r = elf_symbols_add(&s, f, SHT_SYMTAB, SYMTAB_FROM_SYMTAB, &found);

    if (r == 0 && found)
        symtab_builder_header(b)->flags |= SYMTAB_HAS_SYMTAB;
    else if (r == 0)
        r = add_minidebug(&s, f);
    if (r == 0)
        r = elf_symbols_add(&s, f, SHT_DYNSYM, SYMTAB_FROM_DYNSYM, &found_dynamic);
    if (r == 0)
        r = elf_plt_add(&s, f);
    return r < 0 ? r : add_go(f, b);
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
    return r < 0 ? r : add_symbols(f, b);
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
