/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/sigreturn.h"

#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

#define CODE_MAX (16u << 20)
#define DYNAMIC_MAX 4096 /* entries */
#define FOUND_MAX 16

/* mov $15, %rax; syscall, as gas and Go's assembler write it. */
static const uint8_t way_back[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

/* At most max bytes of a segment in fresh memory, with *size of them; NULL when out of memory. */
static void *read_segment(const struct elf_file *f, const Elf64_Phdr *p, size_t max, size_t *size)
{
    void *data;
    ssize_t n;

    *size = 0;
    if (!elf_file_holds(f, p->p_offset, 0))
        return calloc(1, 1);
    *size = (size_t)MIN(MIN(p->p_filesz, f->size - p->p_offset), (uint64_t)max);
    data = malloc(*size + 1);
    if (!data)
        return NULL;
    n = elf_file_read(f, data, *size, p->p_offset);
    *size = n < 0 ? 0 : (size_t)n;
    return data;
}

/* 1, 0 or -ENOMEM. */
static int needs_libraries(const struct elf_file *f)
{
    for (size_t i = 0; i < f->segment_count; i++) {
        _cleanup_free_ Elf64_Dyn *entries = NULL;
        size_t size;

        if (f->segments[i].p_type != PT_DYNAMIC)
            continue;
        entries = read_segment(f, &f->segments[i], DYNAMIC_MAX * sizeof(*entries), &size);
        if (!entries)
            return -ENOMEM;
        for (size_t k = 0; k < size / sizeof(*entries) && entries[k].d_tag != DT_NULL; k++) {
            if (entries[k].d_tag == DT_NEEDED)
                return 1;
        }
        return 0;
    }
    return 0;
}

static int add_range(struct unwindtab_builder *b, uint32_t start, uint32_t end)
{
    int r = unwindtab_builder_range(b, start, end);

    if (r < 0)
        return r;
    return unwindtab_builder_row(b, &(struct unwind_row){.pc = start, .kind = UNWIND_SIGNAL});
}

/* A walk looks up the byte before a return address, which the first byte here is. Two ranges, so
 * that one starts where a function is said to start that knows nothing of signals. */
static int add_place(struct unwindtab_builder *b, uint64_t vaddr)
{
    uint64_t base = unwindtab_builder_header(b)->base_vaddr, pc = vaddr - base;
    int r;

    if (vaddr <= base || pc > UINT32_MAX - sizeof(way_back) ||
        vaddr > UINT64_MAX - sizeof(way_back))
        return 0;
    r = add_range(b, (uint32_t)pc - 1, (uint32_t)pc);
    return r < 0 ? r : add_range(b, (uint32_t)pc, (uint32_t)(pc + sizeof(way_back)));
}

static int search(struct unwindtab_builder *b, const uint8_t *code, size_t size, uint64_t vaddr)
{
    const uint8_t *at = code, *end = code + size, *hit;
    int r;

    for (unsigned i = 0; i < FOUND_MAX; i++) {
        hit = memmem(at, (size_t)(end - at), way_back, sizeof(way_back));
        if (!hit)
            return 0;
        r = add_place(b, vaddr + (uint64_t)(hit - code));
        if (r < 0)
            return r;
        at = hit + sizeof(way_back);
    }
    return 0;
}

int sigreturn_add(const struct elf_file *f, struct unwindtab_builder *b)
{
    size_t left = CODE_MAX;
    int r = needs_libraries(f);

    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < f->segment_count; i++) {
        const Elf64_Phdr *p = &f->segments[i];
        _cleanup_free_ uint8_t *code = NULL;
        size_t size;

        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        code = read_segment(f, p, left, &size);
        if (!code)
            return -ENOMEM;
        left -= size;
        r = search(b, code, size, p->p_vaddr);
        if (r < 0)
            return r;
    }
    return 0;
}
