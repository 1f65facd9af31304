/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tiny ELF program made by hand around the bytes of an .eh_frame or .debug_frame.
 *
 * frames_start() begins one; frames_cie() and frames_fde() add entries; frames_finish() fills in
 * sizes. Every field may be turned into a lie afterwards.
 */
#pragma once

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAMES_BASE 0x400000u
#define FRAMES_CODE 0x401000u /* where tests put their functions */
#define FRAMES_CODE_SIZE 0x100000u
#define FRAMES_PCREL 0x1b /* DW_EH_PE_pcrel | sdata4 */

struct frames {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    Elf64_Shdr sections[3];
    char names[32];
    uint8_t search[8]; /* .eh_frame_hdr */
    uint8_t bytes[2048];
    size_t used; /* of bytes; not part of the file */
};

#define FRAMES_SIZE(f) (offsetof(struct frames, bytes) + (f)->used)
#define FRAMES_VADDR (FRAMES_BASE + offsetof(struct frames, bytes))

static inline void frames_start(struct frames *f)
{
    memset(f, 0, sizeof(*f));
    f->header = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = offsetof(struct frames, segments),
        .e_shoff = offsetof(struct frames, sections),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = 3,
        .e_shstrndx = 2,
    };
    memcpy(f->names, "\0.eh_frame\0.debug_frame", 24);
}

static inline void frames_put(struct frames *f, const void *data, size_t size)
{
    memcpy(f->bytes + f->used, data, size);
    f->used += size;
}

static inline void frames_put_number(struct frames *f, uint64_t number, size_t size)
{
    frames_put(f, &number, size); /* little endian, as the machine */
}

/* The length of the entry that began at offset; what is missing to 8 bytes becomes DW_CFA_nop. */
static inline void frames_close(struct frames *f, size_t offset)
{
    uint32_t length;

    f->used += -(f->used - offset - 4) & 7;
    length = (uint32_t)(f->used - offset - 4);
    memcpy(f->bytes + offset, &length, sizeof(length));
}

/* With "zR": addresses in this encoding. CFA = rsp + 8, return address at CFA - 8, as everywhere.
 * Returns the offset. */
static inline size_t frames_cie(struct frames *f, const char *letters, uint8_t encoding)
{
    static const uint8_t alignments[] = {0x01, 0x78, 16}, rules[] = {0x0c, 7, 8, 0x90, 1};
    size_t at = f->used;

    frames_put_number(f, 0, 8);
    frames_put_number(f, 1, 1);
    frames_put(f, letters, strlen(letters) + 1);
    frames_put(f, alignments, sizeof(alignments));
    if (letters[0] == 'z') {
        frames_put_number(f, 1, 1);
        frames_put_number(f, encoding, 1);
    }
    frames_put(f, rules, sizeof(rules));
    frames_close(f, at);
    return at;
}

/* An entry of .eh_frame for "zR" and FRAMES_PCREL. */
static inline size_t frames_fde(struct frames *f, size_t cie, uint32_t start, uint32_t size,
                                const void *code, size_t code_size)
{
    size_t at = f->used;

    frames_put_number(f, 0, 4);
    frames_put_number(f, at + 4 - cie, 4);
    frames_put_number(f, start - (uint32_t)(FRAMES_VADDR + f->used), 4);
    frames_put_number(f, size, 4);
    frames_put_number(f, 0, 1);
    frames_put(f, code, code_size);
    frames_close(f, at);
    return at;
}

static inline void frames_finish(struct frames *f)
{
    size_t size = FRAMES_SIZE(f);
    int32_t distance = (int32_t)(sizeof(f->search) - 4);

    f->segments[0] = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = PF_R | PF_X,
        .p_vaddr = FRAMES_BASE,
        .p_filesz = size,
        .p_memsz = FRAMES_CODE - FRAMES_BASE + FRAMES_CODE_SIZE,
    };
    f->segments[1] = (Elf64_Phdr){
        .p_type = PT_GNU_EH_FRAME,
        .p_offset = offsetof(struct frames, search),
        .p_vaddr = FRAMES_BASE + offsetof(struct frames, search),
        .p_filesz = sizeof(f->search),
    };
    f->sections[1] = (Elf64_Shdr){
        .sh_name = 1,
        .sh_type = SHT_PROGBITS,
        .sh_flags = SHF_ALLOC,
        .sh_addr = FRAMES_VADDR,
        .sh_offset = offsetof(struct frames, bytes),
        .sh_size = f->used,
    };
    f->sections[2] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB,
        .sh_offset = offsetof(struct frames, names),
        .sh_size = sizeof(f->names),
    };
    memcpy(f->search, "\1\x1b\3\x3b", 4);
    memcpy(f->search + 4, &distance, sizeof(distance));
}

/* The bytes are .debug_frame instead, which is not mapped. */
static inline void frames_make_debug(struct frames *f)
{
    f->sections[1].sh_name = 11;
    f->sections[1].sh_flags = 0;
    f->sections[1].sh_addr = 0;
    f->segments[1].p_type = PT_NULL;
}

/* One program with a function of everything that rows can say. */
static inline void frames_sample(struct frames *f)
{
    static const uint8_t pushes[] = {0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x50, 0x0c, 7, 8};
    static const uint8_t plt[] = {0x0f, 11,   0x77, 0x08, 0x80, 0,   0x3f,
                                  0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22};
    static const uint8_t realigned[] = {0x45, 0x0c, 10,   0,    0x4a, 0x10, 6,    2,
                                        0x76, 0,    0x44, 0x0f, 3,    0x76, 0x58, 0x06};
    static const uint8_t states[] = {0x41, 0x0e, 24, 0x0a, 0x42, 0x0e, 8, 0x42, 0x0b};
    static const uint8_t outermost[] = {0x07, 16};
    size_t cie;

    frames_start(f);
    cie = frames_cie(f, "zR", FRAMES_PCREL);
    frames_fde(f, cie, FRAMES_CODE, 0x40, pushes, sizeof(pushes));
    frames_fde(f, cie, FRAMES_CODE + 0x100, 0x40, plt, sizeof(plt));
    frames_fde(f, cie, FRAMES_CODE + 0x200, 0x40, realigned, sizeof(realigned));
    frames_fde(f, cie, FRAMES_CODE + 0x300, 0x40, states, sizeof(states));
    frames_fde(f, cie, FRAMES_CODE + 0x400, 0x40, outermost, sizeof(outermost));
    cie = frames_cie(f, "zRS", FRAMES_PCREL);
    frames_fde(f, cie, FRAMES_CODE + 0x500, 0x40, "", 0);
    frames_put_number(f, 0, 4);
    frames_finish(f);
}
