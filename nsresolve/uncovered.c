/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/uncovered.h"

#include "nsresolve/codeflow.h"
#include "nsresolve/section.h"
#include "nsresolve/sort.h"

#include <errno.h>
#include <string.h>

#define SYMBOLS_AT_ONCE 4096
#define NAMES_MAX (64u << 20)
#define GAPS_MAX 65536
#define SEGMENTS_MAX 16 /* of code */

struct gap {
    uint64_t start, end; /* addresses */
    uint64_t offset;     /* of start, in the file */
};

struct search {
    const struct elf_file *file;
    struct unwindtab_builder *table;
    uint64_t base;
    const Elf64_Phdr *code[SEGMENTS_MAX];
    size_t code_count;
    struct unwind_span *covered; /* by other tables */
    size_t covered_count;
    uint64_t *starts; /* of functions in gaps */
    size_t start_count, starts_allocated;
    uint64_t symbols_left;
    struct codeflow *flow;
};

static void search_end(struct search *s)
{
    free(s->covered);
    free(s->starts);
    codeflow_free(s->flow);
}

/* Those that rows can speak of. */
static void find_code(struct search *s)
{
    for (size_t i = 0; i < s->file->segment_count && s->code_count < SEGMENTS_MAX; i++) {
        const Elf64_Phdr *p = &s->file->segments[i];
        uint64_t pc = p->p_vaddr - s->base;

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) && p->p_vaddr >= s->base &&
            pc <= UINT32_MAX && p->p_filesz <= UINT32_MAX - pc &&
            elf_file_holds(s->file, p->p_offset, p->p_filesz))
            s->code[s->code_count++] = p;
    }
}

static const Elf64_Phdr *segment_of(const struct search *s, uint64_t vaddr)
{
    for (size_t i = 0; i < s->code_count; i++)
        if (vaddr >= s->code[i]->p_vaddr && vaddr - s->code[i]->p_vaddr < s->code[i]->p_filesz)
            return s->code[i];
    return NULL;
}

/* Where code is in the file; cuts size to what is there. False for what is no code. */
static bool code_at(const struct search *s, uint64_t vaddr, uint64_t *offset, uint64_t *size)
{
    const Elf64_Phdr *p = segment_of(s, vaddr);

    if (!p)
        return false;
    *offset = p->p_offset + (vaddr - p->p_vaddr);
    *size = MIN(*size, p->p_filesz - (vaddr - p->p_vaddr));
    return true;
}

/* The gap around an address in an executable segment; false where there is none. */
static bool gap_at(const struct search *s, uint64_t vaddr, struct gap *ret)
{
    size_t lo = 0, hi = s->covered_count;
    const Elf64_Phdr *p = segment_of(s, vaddr);

    if (!p)
        return false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (s->covered[mid].start <= vaddr - s->base)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret = (struct gap){p->p_vaddr, p->p_vaddr + p->p_filesz, 0};
    if (lo > 0)
        ret->start = MAX(ret->start, s->base + s->covered[lo - 1].end);
    if (lo < s->covered_count)
        ret->end = MIN(ret->end, s->base + s->covered[lo].start);
    ret->offset = p->p_offset + (ret->start - p->p_vaddr);
    return vaddr >= ret->start;
}

/* ---- functions ---- */

static int add_start(struct search *s, uint64_t vaddr)
{
    struct gap gap;

    if (!gap_at(s, vaddr, &gap))
        return 0;
    if (s->start_count == s->starts_allocated) {
        size_t want = MAX(s->starts_allocated * 2, (size_t)1024);
        void *p = reallocarray(s->starts, want, sizeof(*s->starts));

        if (!p)
            return -ENOMEM;
        s->starts = p;
        s->starts_allocated = want;
    }
    s->starts[s->start_count++] = vaddr;
    return 0;
}

/* The part of a function that seldom runs has a symbol, but is jumped to from the midst of it. */
static bool is_cold(const struct section *names, uint32_t name)
{
    const char *at;

    if (name >= names->size)
        return false;
    at = strrchr((const char *)names->data + name, '.');
    return at && strcmp(at, ".cold") == 0;
}

static int read_names(const struct search *s, const Elf64_Shdr *symbols, struct section *ret)
{
    if (symbols->sh_link >= s->file->section_count)
        return 0;
    return section_read(s->file, &s->file->sections[symbols->sh_link], NAMES_MAX, ret);
}

static int add_symbols(struct search *s, const Elf64_Shdr *section)
{
    _cleanup_section_ struct section names = {0};
    _cleanup_free_ Elf64_Sym *symbols = reallocarray(NULL, SYMBOLS_AT_ONCE, sizeof(*symbols));
    uint64_t each = elf_file_symbol_size(s->file), left = section->sh_size / each;
    uint64_t offset = section->sh_offset;
    int r = symbols ? read_names(s, section, &names) : -ENOMEM;

    left = MIN(left, s->symbols_left);
    s->symbols_left -= left;
    while (left > 0 && r == 0) {
        size_t n = (size_t)MIN(left, (uint64_t)SYMBOLS_AT_ONCE);

        r = elf_file_symbols(s->file, offset, n, symbols);
        for (size_t i = 0; i < n && r == 0; i++) {
            unsigned type = ELF64_ST_TYPE(symbols[i].st_info);

            if ((type == STT_FUNC || type == STT_GNU_IFUNC) && symbols[i].st_shndx != SHN_UNDEF &&
                !is_cold(&names, symbols[i].st_name))
                r = add_start(s, symbols[i].st_value);
        }
        left -= n;
        offset += n * each;
    }
    return r == -EBADMSG ? 0 : r;
}

/* What an instruction calls, jumps to or takes the address of. */
static bool refers(const struct x86_insn *insn, uint64_t vaddr, uint64_t *ret)
{
    if (x86_target(insn, vaddr, ret))
        return true;
    if (insn->map != X86_MAP_ONE || insn->opcode != 0x8d || !insn->is_rip)
        return false;
    *ret = vaddr + insn->length + (uint64_t)(int64_t)insn->disp;
    return true;
}

/* Functions that a stretch of covered code uses. A function starts where the stretch does, so that
 * instructions are read from their first bytes. */
static int add_used(struct search *s, uint64_t vaddr, const uint8_t *code, size_t size)
{
    int r = 0;

    for (size_t i = 0; i < size && r == 0;) {
        struct x86_insn insn;
        uint64_t target;

        if (!x86_decode(code + i, size - i, &insn)) {
            i++;
            continue;
        }
        if (refers(&insn, vaddr + i, &target))
            r = add_start(s, target);
        i += insn.length;
    }
    return r;
}

/* Of what is linked with a libc that brings no tables, and then is stripped, only the libc's users
 * tell where its functions start. */
static int add_used_by_covered(struct search *s)
{
    uint64_t left = UNCOVERED_MAX_CODE;
    int r = 0;

    for (size_t i = 0; i < s->covered_count && left > 0 && r == 0; i++) {
        uint64_t start = s->base + s->covered[i].start, offset;
        uint64_t size = MIN((uint64_t)s->covered[i].end - s->covered[i].start, left);
        _cleanup_free_ uint8_t *code = NULL;
        ssize_t n;

        if (!code_at(s, start, &offset, &size))
            continue;
        code = malloc(size);
        if (!code)
            return -ENOMEM;
        n = elf_file_read(s->file, code, size, offset);
        if (n < 0)
            return (int)n;
        r = add_used(s, start, code, (size_t)n);
        left -= size;
    }
    return r;
}

static int find_starts(struct search *s)
{
    const struct elf_file *f = s->file;
    struct gap gap;
    int r = add_start(s, f->header.e_entry);

    if (r == 0 && gap_at(s, f->header.e_entry, &gap))
        r = add_used_by_covered(s);
    for (size_t i = 0; i < f->section_count && r == 0; i++) {
        const Elf64_Shdr *section = &f->sections[i];

        if ((section->sh_type == SHT_SYMTAB || section->sh_type == SHT_DYNSYM) &&
            !(section->sh_flags & SHF_COMPRESSED) &&
            elf_file_holds(f, section->sh_offset, section->sh_size))
            r = add_symbols(s, section);
    }
    return r;
}

static int by_address(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* ---- code ---- */

/* Starts are in order. */
static int read_gaps(struct search *s)
{
    size_t left = UNCOVERED_MAX_CODE;
    uint64_t done = 0;
    int r = 0;

    for (size_t i = 0, gaps = 0; i < s->start_count && gaps < GAPS_MAX && r == 0; i++) {
        struct gap gap;
        uint64_t size;
        uint8_t *bytes;
        ssize_t n;

        if (s->starts[i] < done || !gap_at(s, s->starts[i], &gap) || gap.start < done)
            continue;
        size = gap.end - gap.start;
        if (size > left)
            continue;
        r = codeflow_add(s->flow, gap.start, (uint32_t)size, &bytes);
        if (r < 0)
            return r;
        n = elf_file_read(s->file, bytes, size, gap.offset);
        if (n < 0)
            return (int)n;
        memset(bytes + n, 0xcc, size - (size_t)n); /* it shrank meanwhile */
        left -= size;
        done = gap.end;
        gaps++;
    }
    return r;
}

static int make_rows(struct search *s)
{
    int r = codeflow_new(&s->flow);

    if (r == 0)
        r = read_gaps(s);
    if (r == 0)
        r = codeflow_ready(s->flow);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->start_count; i++)
        codeflow_start(s->flow, s->starts[i]);
    codeflow_run(s->flow);
    r = codeflow_rows(s->flow, s->table);
    if (r != -EFBIG)
        return r;
    unwindtab_builder_header(s->table)->flags |= UNWINDTAB_TRUNCATED;
    return 0;
}

int uncovered_add(const struct elf_file *f, struct unwindtab_builder *b)
{
    struct search s = {.file = f,
                       .table = b,
                       .base = unwindtab_builder_header(b)->base_vaddr,
                       .symbols_left = UNCOVERED_MAX_SYMBOLS};
    int r = unwindtab_builder_covered(b, &s.covered, &s.covered_count);

    find_code(&s);
    if (r == 0)
        r = find_starts(&s);
    if (r == 0 && s.start_count > 0) {
        r = sort_stable(s.starts, s.start_count, sizeof(*s.starts), by_address);
        if (r == 0)
            r = make_rows(&s);
    }
    search_end(&s);
    return r;
}
