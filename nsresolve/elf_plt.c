/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/elf_plt.h"

#include "nsresolve/section.h"

#include <errno.h>
#include <string.h>

#define PLT_MAX_BYTES (1u << 20)   /* of one section of stubs */
#define RELOCATIONS_MAX (8u << 20) /* that are looked at, in all */
#define RELOCATIONS_AT_ONCE 2048
#define SLOTS_MAX 262144

/* A slot of the global offset table and whose address the loader puts there. */
struct slot {
    uint64_t address;
    uint64_t resolver; /* what chooses the function, for those without a symbol */
    uint32_t symbol;   /* index in .dynsym; 0: none */
};

/* What differs between machines. */
struct machine {
    uint16_t number;
    uint32_t jump_slot, glob_dat, irelative; /* relocation types */
    /* The size of stubs, given the section's first bytes. */
    uint32_t (*stub_size)(const Elf64_Shdr *header, const struct section *s);
    /* The slot through which the stub jumps, or NULL. */
    const struct slot *(*target)(const struct slot *slots, size_t count, const uint8_t *stub,
                                 uint32_t size, uint64_t address);
};

struct plt {
    struct elf_symbols *symbols;
    const struct elf_file *file;
    const struct machine *machine;
    struct slot *slots; /* by address */
    size_t count, allocated;
    uint64_t budget; /* relocations that may still be looked at */
};

/* ---- slots ---- */

/* Moves the slot at `at` down to its place in the heap of `count` slots. */
static void sift(struct slot *slots, size_t at, size_t count)
{
    struct slot moved = slots[at];

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && slots[child + 1].address > slots[child].address)
            child++;
        if (slots[child].address <= moved.address)
            break;
        slots[at] = slots[child];
    }
    slots[at] = moved;
}

/* By address, in place; qsort() asks the system for its memory, which the parser's jail refuses. */
static void sort_slots(struct slot *slots, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(slots, i, count);
    while (count > 1) {
        struct slot last = slots[--count];

        slots[count] = slots[0];
        slots[0] = last;
        sift(slots, 0, count);
    }
}

static const struct slot *slot_at(const struct slot *slots, size_t count, uint64_t address)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (slots[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && slots[low].address == address ? &slots[low] : NULL;
}

static int add_slot(struct plt *p, const Elf64_Rela *r)
{
    uint32_t type = ELF64_R_TYPE(r->r_info);
    const struct machine *m = p->machine;
    struct slot slot = {.address = r->r_offset};

    if (type == m->irelative)
        slot.resolver = (uint64_t)r->r_addend;
    else if (type == m->jump_slot || type == m->glob_dat)
        slot.symbol = ELF64_R_SYM(r->r_info);
    else
        return 0;
    if (p->count >= SLOTS_MAX)
        return -EFBIG;
    if (p->count == p->allocated) {
        size_t want = MAX(p->allocated * 2, (size_t)256);
        struct slot *grown = reallocarray(p->slots, want, sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        p->slots = grown;
        p->allocated = want;
    }
    p->slots[p->count++] = slot;
    return 0;
}

static int add_relocations(struct plt *p, const Elf64_Shdr *header)
{
    uint64_t count = MIN(header->sh_size / sizeof(Elf64_Rela), p->budget);
    uint64_t offset = header->sh_offset;
    _cleanup_free_ Elf64_Rela *some = NULL;
    int r = 0;

    some = reallocarray(NULL, RELOCATIONS_AT_ONCE, sizeof(*some));
    if (!some)
        return -ENOMEM;
    p->budget -= count;
    while (count > 0 && r == 0) {
        size_t want = (size_t)MIN(count, (uint64_t)RELOCATIONS_AT_ONCE), n;
        ssize_t size = elf_file_read(p->file, some, want * sizeof(*some), offset);

        if (size <= 0)
            break; /* those that are there serve */
        n = (size_t)size / sizeof(*some);
        for (size_t i = 0; i < n && r == 0; i++)
            r = add_slot(p, &some[i]);
        offset += (uint64_t)size;
        count = n < want ? 0 : count - n;
    }
    return r == -EFBIG ? 0 : r;
}

static int read_slots(struct plt *p)
{
    for (size_t i = 0; i < p->file->section_count; i++) {
        const Elf64_Shdr *s = &p->file->sections[i];
        int r;

        if (s->sh_type != SHT_RELA || !(s->sh_flags & SHF_ALLOC))
            continue;
        r = add_relocations(p, s);
        if (r < 0)
            return r;
    }
    sort_slots(p->slots, p->count);
    return 0;
}

/* ---- x86-64 ---- */

/* The linker writes 16 bytes a stub, or 8 where nothing is bound lazily; not always says which. */
static uint32_t x86_64_stub_size(const Elf64_Shdr *header, const struct section *s)
{
    if (header->sh_entsize == 8 || header->sh_entsize == 16)
        return (uint32_t)header->sh_entsize;
    return s->size >= 16 && memcmp(s->data, "\xff\x25", 2) == 0 &&
                   memcmp(s->data + 8, "\xff\x25", 2) == 0
               ? 8
               : 16;
}

static uint32_t word(const uint8_t *at)
{
    uint32_t w;

    memcpy(&w, at, sizeof(w));
    return w;
}

/* jmp *slot(%rip), at the start or behind what tracks branches. */
static const struct slot *x86_64_target(const struct slot *slots, size_t count, const uint8_t *stub,
                                        uint32_t size, uint64_t address)
{
    for (uint32_t at = 0; at + 6 <= size; at++) {
        uint64_t next = address + at + 6;
        const struct slot *slot;

        if (stub[at] != 0xff || stub[at + 1] != 0x25)
            continue;
        slot = slot_at(slots, count, next + (uint64_t)(int64_t)(int32_t)word(stub + at + 2));
        if (slot)
            return slot;
    }
    return NULL;
}

static const struct machine machines[] = {
    {EM_X86_64, R_X86_64_JUMP_SLOT, R_X86_64_GLOB_DAT, R_X86_64_IRELATIVE, x86_64_stub_size,
     x86_64_target},
};

/* ---- stubs ---- */

static bool slot_name(const struct plt *p, const struct slot *slot, uint32_t *name)
{
    if (slot->symbol)
        return elf_symbols_dynamic(p->symbols, p->file, slot->symbol, name);
    return elf_symbols_ifunc(p->symbols, slot->resolver, name);
}

static int add_stubs(const struct plt *p, const Elf64_Shdr *header)
{
    _cleanup_section_ struct section s = {0};
    int r = section_read(p->file, header, PLT_MAX_BYTES, &s);
    uint32_t size;

    if (r < 0)
        return r;
    size = p->machine->stub_size(header, &s);
    for (uint64_t at = 0; r == 0 && size <= s.size - at; at += size) {
        struct symtab_entry e = {.start = header->sh_addr + at,
                                 .size = size,
                                 .rank = ELF_RANK_STUB,
                                 .suffix = SYMTAB_SUFFIX_PLT,
                                 .source = SYMTAB_FROM_PLT};
        const struct slot *slot =
            p->machine->target(p->slots, p->count, s.data + at, size, e.start);

        if (slot && slot_name(p, slot, &e.name))
            r = symtab_builder_add_entry(p->symbols->builder, &e);
    }
    return r;
}

static int add_sections(const struct plt *p)
{
    static const char *const names[] = {".plt", ".plt.sec", ".plt.got", ".plt.bnd", ".iplt"};
    const uint64_t need = SHF_ALLOC | SHF_EXECINSTR;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const Elf64_Shdr *s = section_find(p->file, names[i]);
        int r = 0;

        if (s && s->sh_type == SHT_PROGBITS && (s->sh_flags & need) == need)
            r = add_stubs(p, s);
        if (r < 0)
            return r;
    }
    return 0;
}

int elf_plt_add(struct elf_symbols *s, const struct elf_file *f)
{
    struct plt p = {.symbols = s, .file = f, .budget = RELOCATIONS_MAX};
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
        if (machines[i].number == f->header.e_machine)
            p.machine = &machines[i];
    if (!p.machine || !f->is_64 || f->encoding != ELFDATA2LSB)
        return 0;

    r = read_slots(&p);
    if (r == 0 && p.count)
        r = add_sections(&p);
    free(p.slots);
    return r;
}
