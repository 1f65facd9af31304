/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tiny ELF library made by hand, every field of which a test can turn into a lie.
 *
 * craft() fills a sound one for this machine; craft_as() writes it as any class and byte order.
 */
#pragma once

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CRAFT_TEXT 0x1000u /* virtual address and size of .text */
#define CRAFT_TEXT_SIZE 0x1000u
#define CRAFT_SYMBOLS 12
#define CRAFT_BUILD_ID "0123456789abcdefghij"
#define CRAFT_DEBUGLINK_CRC 0x12345678u

enum craft_section {
    CRAFT_NULL,
    CRAFT_CODE,
    CRAFT_DATA,
    CRAFT_NOTE,
    CRAFT_SYMTAB,
    CRAFT_STRTAB,
    CRAFT_SHSTRTAB,
    CRAFT_DEBUGLINK,
    CRAFT_DEBUG_INFO,
    CRAFT_SECTIONS,
};

struct crafted {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    struct {
        uint32_t words[3];
        char name[4], id[20];
    } note;
    struct {
        char name[12];
        uint32_t crc;
    } debuglink;
    Elf64_Sym symbols[CRAFT_SYMBOLS];
    char strings[256], names[128];
    Elf64_Shdr sections[CRAFT_SECTIONS];
    size_t symbol_count, strings_used, names_used; /* not part of the file */
};

#define CRAFT_SIZE offsetof(struct crafted, symbol_count)

static inline uint32_t craft_name(char *pool, size_t *used, const char *name)
{
    uint32_t at = (uint32_t)*used;

    memcpy(pool + *used, name, strlen(name) + 1);
    *used += strlen(name) + 1;
    return at;
}

static inline Elf64_Sym *craft_symbol(struct crafted *c, const char *name, uint64_t value,
                                      uint64_t size, unsigned char bind, unsigned char type)
{
    Elf64_Sym *s = &c->symbols[c->symbol_count++];

    *s = (Elf64_Sym){
        .st_name = craft_name(c->strings, &c->strings_used, name),
        .st_info = ELF64_ST_INFO(bind, type),
        .st_shndx = CRAFT_CODE,
        .st_value = value,
        .st_size = size,
    };
    c->sections[CRAFT_SYMTAB].sh_size = c->symbol_count * sizeof(*s);
    return s;
}

static inline void craft_section(struct crafted *c, enum craft_section which, const char *name,
                                 uint32_t type, uint64_t flags, size_t offset, size_t size)
{
    c->sections[which] = (Elf64_Shdr){
        .sh_name = craft_name(c->names, &c->names_used, name),
        .sh_type = type,
        .sh_flags = flags,
        .sh_offset = offset,
        .sh_size = size,
    };
}

static inline void craft_sections(struct crafted *c)
{
    craft_section(c, CRAFT_CODE, ".text", SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR, 0,
                  CRAFT_TEXT_SIZE);
    c->sections[CRAFT_CODE].sh_addr = CRAFT_TEXT;
    craft_section(c, CRAFT_DATA, ".data", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 0, 0x1000);
    c->sections[CRAFT_DATA].sh_addr = 0x4000;
    craft_section(c, CRAFT_NOTE, ".note.gnu.build-id", SHT_NOTE, SHF_ALLOC,
                  offsetof(struct crafted, note), sizeof(c->note));
    craft_section(c, CRAFT_SYMTAB, ".symtab", SHT_SYMTAB, 0, offsetof(struct crafted, symbols), 0);
    c->sections[CRAFT_SYMTAB].sh_entsize = sizeof(Elf64_Sym);
    c->sections[CRAFT_SYMTAB].sh_link = CRAFT_STRTAB;
    craft_section(c, CRAFT_STRTAB, ".strtab", SHT_STRTAB, 0, offsetof(struct crafted, strings),
                  sizeof(c->strings));
    craft_section(c, CRAFT_SHSTRTAB, ".shstrtab", SHT_STRTAB, 0, offsetof(struct crafted, names),
                  sizeof(c->names));
    craft_section(c, CRAFT_DEBUGLINK, ".gnu_debuglink", SHT_PROGBITS, 0,
                  offsetof(struct crafted, debuglink), sizeof(c->debuglink));
    craft_section(c, CRAFT_DEBUG_INFO, ".debug_info", SHT_PROGBITS, 0, 0, 1);
}

/* A sound file with functions "first" [0x1000, 0x1040) and "second" [0x1040, 0x1080). */
static inline void craft(struct crafted *c)
{
    memset(c, 0, sizeof(*c));
    c->header = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = offsetof(struct crafted, segments),
        .e_shoff = offsetof(struct crafted, sections),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = CRAFT_SECTIONS,
        .e_shstrndx = CRAFT_SHSTRTAB,
    };
    c->segments[0] = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = PF_R | PF_X,
        .p_offset = 0x200,
        .p_vaddr = CRAFT_TEXT,
        .p_filesz = CRAFT_TEXT_SIZE,
    };
    c->segments[1] = (Elf64_Phdr){
        .p_type = PT_NOTE,
        .p_offset = offsetof(struct crafted, note),
        .p_filesz = sizeof(c->note),
        .p_align = 4,
    };
    c->note.words[0] = 4;
    c->note.words[1] = 20;
    c->note.words[2] = NT_GNU_BUILD_ID;
    memcpy(c->note.name, "GNU", 4);
    memcpy(c->note.id, CRAFT_BUILD_ID, 20);
    memcpy(c->debuglink.name, "lib.debug", 10);
    c->debuglink.crc = CRAFT_DEBUGLINK_CRC;
    c->strings_used = c->names_used = c->symbol_count = 1;
    craft_sections(c);
    craft_symbol(c, "first", 0x1000, 0x40, STB_GLOBAL, STT_FUNC);
    craft_symbol(c, "second", 0x1040, 0x40, STB_LOCAL, STT_FUNC);
}

/* Translates size bytes of from, which are of the class, to the encoding, into to. */
static inline void craft_put(Elf_Type type, unsigned char class, unsigned char encoding,
                             const void *from, size_t size, void *to)
{
    Elf_Data in = {.d_buf = (void *)from, .d_type = type, .d_version = EV_CURRENT, .d_size = size};
    Elf_Data out = {.d_buf = to, .d_type = type, .d_version = EV_CURRENT, .d_size = size};

    elf_version(EV_CURRENT);
    if (class == ELFCLASS64)
        elf64_xlatetof(&out, &in, encoding);
    else
        elf32_xlatetof(&out, &in, encoding);
}

static inline Elf32_Ehdr craft_narrow_header(const Elf64_Ehdr *h, unsigned char encoding)
{
    Elf32_Ehdr header = {
        .e_type = h->e_type,
        .e_machine = h->e_machine,
        .e_version = h->e_version,
        .e_phoff = (Elf32_Off)h->e_phoff,
        .e_shoff = (Elf32_Off)h->e_shoff,
        .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = h->e_phnum,
        .e_shentsize = sizeof(Elf32_Shdr),
        .e_shnum = h->e_shnum,
        .e_shstrndx = h->e_shstrndx,
    };

    memcpy(header.e_ident, h->e_ident, EI_NIDENT);
    header.e_ident[EI_CLASS] = ELFCLASS32;
    header.e_ident[EI_DATA] = encoding;
    return header;
}

static inline Elf32_Phdr craft_narrow_segment(const Elf64_Phdr *p)
{
    return (Elf32_Phdr){
        .p_type = p->p_type,
        .p_flags = p->p_flags,
        .p_offset = (Elf32_Off)p->p_offset,
        .p_vaddr = (Elf32_Addr)p->p_vaddr,
        .p_filesz = (Elf32_Word)p->p_filesz,
        .p_align = (Elf32_Word)p->p_align,
    };
}

static inline Elf32_Shdr craft_narrow_section(const Elf64_Shdr *s)
{
    bool symbols = s->sh_type == SHT_SYMTAB || s->sh_type == SHT_DYNSYM;
    uint64_t size = symbols ? s->sh_size / sizeof(Elf64_Sym) * sizeof(Elf32_Sym) : s->sh_size;

    return (Elf32_Shdr){
        .sh_name = s->sh_name,
        .sh_type = s->sh_type,
        .sh_flags = (Elf32_Word)s->sh_flags,
        .sh_addr = (Elf32_Addr)s->sh_addr,
        .sh_offset = (Elf32_Off)s->sh_offset,
        .sh_size = (Elf32_Word)size,
        .sh_link = s->sh_link,
        .sh_entsize = symbols ? sizeof(Elf32_Sym) : 0,
    };
}

static inline void craft_narrow(const struct crafted *c, unsigned char encoding, char *to)
{
    Elf32_Ehdr header = craft_narrow_header(&c->header, encoding);
    Elf32_Sym symbols[CRAFT_SYMBOLS];
    Elf32_Shdr sections[CRAFT_SECTIONS];
    Elf32_Phdr segments[2];

    for (size_t i = 0; i < 2; i++)
        segments[i] = craft_narrow_segment(&c->segments[i]);
    for (size_t i = 0; i < CRAFT_SECTIONS; i++)
        sections[i] = craft_narrow_section(&c->sections[i]);
    for (size_t i = 0; i < CRAFT_SYMBOLS; i++) {
        const Elf64_Sym *s = &c->symbols[i];

        symbols[i] = (Elf32_Sym){
            s->st_name, (Elf32_Addr)s->st_value, (Elf32_Word)s->st_size, s->st_info, s->st_other,
            s->st_shndx};
    }
    craft_put(ELF_T_EHDR, ELFCLASS32, encoding, &header, sizeof(header),
              to + offsetof(struct crafted, header));
    craft_put(ELF_T_PHDR, ELFCLASS32, encoding, segments, sizeof(segments),
              to + offsetof(struct crafted, segments));
    craft_put(ELF_T_SYM, ELFCLASS32, encoding, symbols, sizeof(symbols),
              to + offsetof(struct crafted, symbols));
    craft_put(ELF_T_SHDR, ELFCLASS32, encoding, sections, sizeof(sections),
              to + offsetof(struct crafted, sections));
}

/* The file as this class and byte order, CRAFT_SIZE bytes; offsets stay where they are. */
static inline void craft_as(const struct crafted *c, unsigned char class, unsigned char encoding,
                            char *to)
{
    struct crafted copy = *c;

    memcpy(to, c, CRAFT_SIZE);
    craft_put(ELF_T_WORD, class, encoding, &c->note.words, sizeof(c->note.words),
              to + offsetof(struct crafted, note));
    craft_put(ELF_T_WORD, class, encoding, &c->debuglink.crc, sizeof(c->debuglink.crc),
              to + offsetof(struct crafted, debuglink.crc));
    if (class == ELFCLASS32) {
        craft_narrow(c, encoding, to);
        return;
    }
    copy.header.e_ident[EI_DATA] = encoding;
    craft_put(ELF_T_EHDR, class, encoding, &copy.header, sizeof(copy.header),
              to + offsetof(struct crafted, header));
    craft_put(ELF_T_PHDR, class, encoding, copy.segments, sizeof(copy.segments),
              to + offsetof(struct crafted, segments));
    craft_put(ELF_T_SYM, class, encoding, copy.symbols, sizeof(copy.symbols),
              to + offsetof(struct crafted, symbols));
    craft_put(ELF_T_SHDR, class, encoding, copy.sections, sizeof(copy.sections),
              to + offsetof(struct crafted, sections));
}
