/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/ehframe.h"

#include "nsresolve/cfi_entries.h"
#include "nsresolve/elf_file.h"
#include "nsresolve/gotab.h"
#include "nsresolve/section.h"
#include "nsresolve/sigreturn.h"
#include "nsresolve/uncovered.h"

#include <errno.h>

#define PAGE 4096u
#define CODE_RANGES 16
#define HEADER_MAX 64 /* of .eh_frame_hdr, before its search table */

struct source {
    struct elf_file file;
    struct unwindtab_builder *table;
    struct unwindtab_header *header;
    struct cfi_range code[CODE_RANGES]; /* the executable segments in memory */
    size_t code_count;
    uint64_t data_base; /* address of .eh_frame_hdr; 0: none */
};

static void mark_truncated(struct source *s)
{
    s->header->flags |= UNWINDTAB_TRUNCATED;
}

/* ---- segments ---- */

/* Every entry is held against these: where there are more than any linker makes, one takes all the
 * rest and what lies between them. */
static void add_code(struct source *s, uint64_t start, uint64_t end)
{
    struct cfi_range *last = &s->code[CODE_RANGES - 1];

    if (s->code_count < CODE_RANGES) {
        s->code[s->code_count++] = (struct cfi_range){start, end};
        return;
    }
    last->start = MIN(last->start, start);
    last->end = MAX(last->end, end);
}

/* Executable segments first: where file ranges overlap, a sampled address lies in those. */
static int add_segments(struct source *s, bool executable)
{
    for (size_t i = 0; i < s->file.segment_count; i++) {
        const Elf64_Phdr *p = &s->file.segments[i];
        const struct segment segment = {p->p_vaddr, p->p_offset, p->p_filesz};
        uint64_t size = MAX(p->p_filesz, p->p_memsz);
        int r;

        if (p->p_type != PT_LOAD || !!(p->p_flags & PF_X) != executable)
            continue;
        if (size > UINT64_MAX - segment.vaddr || size > UINT64_MAX - segment.offset) {
            mark_truncated(s);
            continue;
        }
        if (executable)
            add_code(s, p->p_vaddr, p->p_vaddr + size);
        if (segment.size == 0)
            continue;
        r = unwindtab_builder_add_segment(s->table, &segment);
        if (r < 0)
            return r;
    }
    return 0;
}

static int look_at_segments(struct source *s)
{
    uint64_t lowest = UINT64_MAX;
    int r;

    for (size_t i = 0; i < s->file.segment_count; i++) {
        const Elf64_Phdr *p = &s->file.segments[i];

        if (p->p_type == PT_LOAD)
            lowest = MIN(lowest, p->p_vaddr);
        else if (p->p_type == PT_GNU_EH_FRAME)
            s->data_base = p->p_vaddr;
    }
    s->header->base_vaddr = lowest == UINT64_MAX ? 0 : lowest / PAGE * PAGE;

    r = add_segments(s, true);
    return r < 0 ? r : add_segments(s, false);
}

/* ---- bytes ---- */

/* At most *size bytes at offset into fresh memory; *size becomes what there is. */
static int read_bytes(struct source *s, uint64_t offset, uint64_t *size, uint8_t **ret)
{
    _cleanup_free_ uint8_t *data = NULL;
    ssize_t n;

    if (!elf_file_holds(&s->file, offset, *size)) {
        mark_truncated(s);
        *size = offset < s->file.size ? s->file.size - offset : 0;
    }
    if (*size > EHFRAME_MAX_BYTES) {
        mark_truncated(s);
        *size = EHFRAME_MAX_BYTES;
    }
    data = malloc(*size + 1);
    if (!data)
        return -ENOMEM;
    n = elf_file_read(&s->file, data, *size, offset);
    if (n < 0)
        return (int)n;
    *size = (uint64_t)n;
    *ret = TAKE_PTR(data);
    return 0;
}

/* ---- the places where frames are ---- */

static int add_entries(struct source *s, const struct cfi_section *section)
{
    int r = cfi_entries(section, s->code, s->code_count, s->table);

    if (r == -EFBIG) {
        mark_truncated(s);
        return 0;
    }
    return r;
}

static const Elf64_Shdr *find_section(const struct source *s, const char *name, bool is_mapped)
{
    for (size_t i = 0; i < s->file.section_count; i++) {
        const Elf64_Shdr *section = &s->file.sections[i];

        if (section->sh_type != SHT_PROGBITS && section->sh_type != SHT_X86_64_UNWIND)
            continue;
        if (!!(section->sh_flags & SHF_ALLOC) == is_mapped && section_is(&s->file, section, name))
            return section;
    }
    return NULL;
}

static int add_section(struct source *s, const Elf64_Shdr *section, bool is_debug)
{
    _cleanup_section_ struct section bytes = {0};
    int r = section_read(&s->file, section, EHFRAME_MAX_BYTES, &bytes);

    if (r < 0)
        return r;
    if (bytes.is_cut)
        mark_truncated(s);
    return add_entries(s, &(struct cfi_section){
                              .data = bytes.data,
                              .size = bytes.size,
                              .vaddr = is_debug ? 0 : section->sh_addr,
                              .data_base = s->data_base,
                              .is_debug = is_debug,
                          });
}

/* The file's bytes from an address on, up to the end of its segment. */
static bool place_of(const struct source *s, uint64_t vaddr, uint64_t *offset, uint64_t *size)
{
    for (size_t i = 0; i < s->file.segment_count; i++) {
        const Elf64_Phdr *p = &s->file.segments[i];

        if (p->p_type != PT_LOAD || vaddr < p->p_vaddr || vaddr - p->p_vaddr >= p->p_filesz)
            continue;
        if (p->p_filesz > UINT64_MAX - p->p_offset)
            continue;
        *offset = p->p_offset + (vaddr - p->p_vaddr);
        *size = p->p_filesz - (vaddr - p->p_vaddr);
        return true;
    }
    return false;
}

/* What .eh_frame_hdr says of the address of .eh_frame; false when it says nothing. */
static int frame_address(struct source *s, const Elf64_Phdr *p, uint64_t *ret)
{
    _cleanup_free_ uint8_t *data = NULL;
    uint64_t size = MIN(p->p_filesz, (uint64_t)HEADER_MAX);
    struct cfi_cursor c;
    uint8_t encoding;
    int r = read_bytes(s, p->p_offset, &size, &data);

    if (r < 0)
        return r;
    c = (struct cfi_cursor){
        .at = data,
        .end = data + size,
        .origin = data,
        .vaddr = p->p_vaddr,
        .data_base = p->p_vaddr,
    };
    if (cfi_u8(&c) != 1)
        return -ENOENT;
    encoding = cfi_u8(&c);
    cfi_skip(&c, 2); /* how the search table is encoded */
    *ret = cfi_pointer(&c, encoding);
    return c.bad ? -ENOENT : 0;
}

/* Without section headers the length is not known: up to the terminator. */
static int add_by_segment(struct source *s, const Elf64_Phdr *p)
{
    _cleanup_free_ uint8_t *data = NULL;
    uint64_t vaddr, offset, size;
    int r = frame_address(s, p, &vaddr);

    if (r == -ENOENT || (r == 0 && !place_of(s, vaddr, &offset, &size))) {
        mark_truncated(s);
        return 0;
    }
    if (r == 0)
        r = read_bytes(s, offset, &size, &data);
    if (r < 0)
        return r;
    return add_entries(s, &(struct cfi_section){
                              .data = data,
                              .size = size,
                              .vaddr = vaddr,
                              .data_base = p->p_vaddr,
                              .is_open = true,
                          });
}

static int add_eh_frame(struct source *s)
{
    const Elf64_Shdr *section = find_section(s, ".eh_frame", true);

    if (section)
        return add_section(s, section, false);
    for (size_t i = 0; i < s->file.segment_count; i++) {
        const Elf64_Phdr *p = &s->file.segments[i];

        if (p->p_type == PT_GNU_EH_FRAME && p->p_filesz > 0)
            return add_by_segment(s, p);
    }
    return 0;
}

/* After .eh_frame, which wins where both describe the same. Not for Go, which has better. */
static int add_debug_frame(struct source *s)
{
    const Elf64_Shdr *section = find_section(s, ".debug_frame", false);

    if (!section)
        return 0;
    s->header->flags |= UNWINDTAB_DEBUG_FRAME;
    return add_section(s, section, true);
}

static int parse_opened(struct source *s)
{
    const Elf64_Ehdr *h = &s->file.header;
    int r = look_at_segments(s);

    s->header->machine = h->e_machine;
    if (s->file.lies)
        mark_truncated(s);
    if (r < 0 || h->e_machine != EM_X86_64 || !s->file.is_64 || s->file.encoding != ELFDATA2LSB)
        return r;

    r = sigreturn_add(&s->file, s->table);
    if (r == 0)
        r = add_eh_frame(s);
    if (r == 0)
        r = gotab_add(&s->file, s->table);
    if (r != 0) /* Go's table covers all that is Go's */
        return MIN(r, 0);
    r = add_debug_frame(s);
    return r < 0 ? r : uncovered_add(&s->file, s->table);
}

int ehframe_parse(int fd, struct unwindtab_builder *b)
{
    struct source s = {.table = b, .header = unwindtab_builder_header(b)};
    int r = elf_file_open(&s.file, fd);

    if (r < 0)
        return r;
    r = parse_opened(&s);
    elf_file_close(&s.file);
    return r;
}
