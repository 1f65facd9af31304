/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Go program made by hand: code with prologues, and the function table that describes it, in the
 * layout of any version, every field of which a test can turn into a lie.
 */
#pragma once

#include "base/cleanup.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define GO_TEXT 0x401000u
#define GO_TEXT_SIZE 0x2000u
#define GO_TABLE_AT 0x404000u
#define GO_EACH 0x80u /* bytes of code of a function */
#define GO_PLAIN 12   /* functions main.f0, main.f1, … that keep a frame pointer */
#define GO_FUNCTIONS (GO_PLAIN + 7)

enum go_version { GO_12, GO_116, GO_118, GO_120, GO_VERSIONS };

/* Those behind the plain ones. */
enum go_function {
    GO_STORE = GO_PLAIN, /* as before Go 1.21: stores rbp */
    GO_BIG,              /* a frame bigger than a row can say */
    GO_GOEXIT,
    GO_SYSTEMSTACK,
    GO_MCALL,
    GO_MORESTACK,
    GO_GUESSED, /* no table of steps */
};

struct go_file {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    Elf64_Shdr sections[4];
    char names[64];
    uint8_t text[GO_TEXT_SIZE];
    uint8_t table[0x1000];
    /* not part of the file */
    enum go_version version;
    size_t used; /* of table */
    size_t list, entries[GO_FUNCTIONS], strings[GO_FUNCTIONS], steps[GO_FUNCTIONS];
};

#define GO_SIZE offsetof(struct go_file, version)

static inline uint64_t go_at(unsigned function, unsigned offset)
{
    return GO_TEXT + function * GO_EACH + offset;
}

static inline void go_put(struct go_file *g, const void *data, size_t size)
{
    memcpy(g->table + g->used, data, size);
    g->used += size;
}

static inline void go_u32(struct go_file *g, uint64_t value)
{
    uint32_t word = (uint32_t)value;

    go_put(g, &word, sizeof(word));
}

static inline void go_u64(struct go_file *g, uint64_t value)
{
    go_put(g, &value, sizeof(value));
}

static inline void go_set64(struct go_file *g, size_t at, uint64_t value)
{
    memcpy(g->table + at, &value, sizeof(value));
}

static inline void go_code(struct go_file *g, unsigned function, unsigned offset, const void *code,
                           size_t size)
{
    memcpy(g->text + function * GO_EACH + offset, code, size);
}

static inline const char *go_name(unsigned function, char buffer[32])
{
    static const char *const names[] = {"github.com/a/b.(*T).Store",
                                        "main.big",
                                        "runtime.goexit",
                                        "runtime.systemstack",
                                        "runtime.mcall",
                                        "runtime.morestack",
                                        "main.guessed"};

    if (function >= GO_PLAIN)
        return names[function - GO_PLAIN];
    snprintf(buffer, 32, "main.f%u", function);
    return buffer;
}

/* Pairs of a change of value and a number of bytes. */
static inline void go_steps(struct go_file *g, unsigned function)
{
    static const uint8_t pushed[] = {2, 5, 16, 3, 0xb0, 1, 88, 0xbf, 1, 32, 0};
    static const uint8_t stored[] = {2, 4, 80, 124, 0};
    static const uint8_t big[] = {2, 5, 16, 3, 0x80, 0x80, 0x80, 0x01, 120, 0};
    static const uint8_t none[] = {2, 0x80, 1, 0};
    static const uint8_t deeper[] = {2, 5, 16, 91, 16, 32, 0};

    g->steps[function] = g->used;
    if (function == GO_STORE)
        go_put(g, stored, sizeof(stored));
    else if (function == GO_BIG)
        go_put(g, big, sizeof(big));
    else if (function == GO_GOEXIT || function == GO_MORESTACK)
        go_put(g, none, sizeof(none));
    else if (function == GO_MCALL)
        go_put(g, deeper, sizeof(deeper));
    else
        go_put(g, pushed, sizeof(pushed));
}

static inline void go_text(struct go_file *g)
{
    memset(g->text, 0xcc, sizeof(g->text));
    for (unsigned i = 0; i < GO_FUNCTIONS; i++)
        go_code(g, i, 4, "\x55\x48\x89\xe5", 4);
    go_code(g, GO_STORE, 0, "\x48\x83\xec\x28\x48\x89\x6c\x24\x20\x48\x8d\x6c\x24\x20", 14);
    go_code(g, GO_SYSTEMSTACK, 16, "\x48\x3b\x83\xb8\x00\x00\x00", 7);
    go_code(g, GO_MORESTACK, 4, "\x48\x89\x6f\x60", 4);
    go_code(g, GO_MORESTACK, 64, "\x48\x8b\x63\x38", 4);
}

static inline void go_entries(struct go_file *g)
{
    bool is_relative = g->version >= GO_118;
    size_t base = g->version == GO_12 ? 0 : g->list, names = 0, steps = 0;

    if (g->version != GO_12) {
        names = g->strings[0];
        steps = g->steps[0] - 1;
    }
    for (unsigned i = 0; i < GO_FUNCTIONS; i++) {
        uint32_t stack = i == GO_GUESSED ? 0 : (uint32_t)(g->steps[i] - steps);

        g->entries[i] = g->used - base;
        if (is_relative)
            go_u32(g, i * GO_EACH);
        else
            go_u64(g, go_at(i, 0));
        go_u32(g, g->strings[i] - names);
        go_u64(g, 0);
        go_u32(g, stack);
        for (unsigned k = 0; k < 8; k++)
            go_u32(g, 0);
    }
}

/* Leaves room for the list of functions, whose entries lie behind it. */
static inline void go_list(struct go_file *g)
{
    bool is_relative = g->version >= GO_118;
    size_t field = is_relative ? 4 : 8, end;

    g->list = g->used;
    g->used += (2 * GO_FUNCTIONS + 1) * field;
    go_entries(g);
    end = g->used;
    g->used = g->list;
    for (unsigned i = 0; i <= GO_FUNCTIONS; i++) {
        uint64_t start = is_relative ? i * GO_EACH : go_at(i, 0);
        uint64_t entry = i < GO_FUNCTIONS ? g->entries[i] : 0;

        go_put(g, &start, field);
        if (i < GO_FUNCTIONS)
            go_put(g, &entry, field);
    }
    g->used = end;
}

static inline void go_table(struct go_file *g)
{
    static const uint32_t magics[] = {0xfffffffb, 0xfffffffa, 0xfffffff0, 0xfffffff1};
    size_t words = g->version == GO_12 ? 0 : g->version == GO_116 ? 7 : 8;
    char name[32];

    memset(g->table, 0, sizeof(g->table));
    g->used = 0;
    go_u32(g, magics[g->version]);
    go_put(g, "\0\0\1\10", 4);
    if (g->version == GO_12) {
        go_u64(g, GO_FUNCTIONS);
        /* Its list begins at once: names and steps lie where they fit, at the end. */
        g->used = sizeof(g->table) - 0x400;
    } else {
        g->used += words * 8;
    }
    for (unsigned i = 0; i < GO_FUNCTIONS; i++) {
        g->strings[i] = g->used;
        go_put(g, go_name(i, name), strlen(go_name(i, name)) + 1);
    }
    g->used++;
    for (unsigned i = 0; i < GO_FUNCTIONS; i++)
        go_steps(g, i);
    if (g->version == GO_12)
        g->used = 16;
    else
        g->used = (g->used + 7) / 8 * 8;
    go_list(g);
    if (g->version == GO_12)
        return;
    go_set64(g, 8, GO_FUNCTIONS);
    if (g->version >= GO_118)
        go_set64(g, 24, GO_TEXT);
    go_set64(g, words == 7 ? 24 : 32, g->strings[0]);
    go_set64(g, words == 7 ? 48 : 56, g->steps[0] - 1);
    go_set64(g, words == 7 ? 56 : 64, g->list);
}

static inline void go_craft(struct go_file *g, enum go_version version)
{
    *g = (struct go_file){.version = version};
    memcpy(g->header.e_ident, ELFMAG "\2\1\1", 7);
    g->header.e_type = ET_EXEC;
    g->header.e_machine = EM_X86_64;
    g->header.e_version = EV_CURRENT;
    g->header.e_phoff = offsetof(struct go_file, segments);
    g->header.e_phentsize = sizeof(Elf64_Phdr);
    g->header.e_phnum = 2;
    g->header.e_shoff = offsetof(struct go_file, sections);
    g->header.e_shentsize = sizeof(Elf64_Shdr);
    g->header.e_shnum = 4;
    g->header.e_shstrndx = 3;
    g->segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                                  .p_flags = PF_R | PF_X,
                                  .p_offset = offsetof(struct go_file, text),
                                  .p_vaddr = GO_TEXT,
                                  .p_filesz = GO_TEXT_SIZE,
                                  .p_memsz = GO_TEXT_SIZE};
    g->segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                  .p_flags = PF_R,
                                  .p_offset = offsetof(struct go_file, table),
                                  .p_vaddr = GO_TABLE_AT,
                                  .p_filesz = sizeof(g->table),
                                  .p_memsz = sizeof(g->table)};
    memcpy(g->names, "\0.text\0.gopclntab\0.shstrtab", 27);
    g->sections[1] = (Elf64_Shdr){.sh_name = 1,
                                  .sh_type = SHT_PROGBITS,
                                  .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                  .sh_addr = GO_TEXT,
                                  .sh_offset = offsetof(struct go_file, text),
                                  .sh_size = GO_TEXT_SIZE};
    g->sections[2] = (Elf64_Shdr){.sh_name = 7,
                                  .sh_type = SHT_PROGBITS,
                                  .sh_flags = SHF_ALLOC,
                                  .sh_addr = GO_TABLE_AT,
                                  .sh_offset = offsetof(struct go_file, table),
                                  .sh_size = sizeof(g->table)};
    g->sections[3] = (Elf64_Shdr){.sh_name = 18,
                                  .sh_type = SHT_STRTAB,
                                  .sh_offset = offsetof(struct go_file, names),
                                  .sh_size = sizeof(g->names)};
    go_text(g);
    go_table(g);
}
