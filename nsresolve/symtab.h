/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A symbol table as the parser hands it over: sorted, without overlaps, in one sealed memfd.
 *
 * The writing half runs in the parser, the reading half in the agent, which trusts nothing in it:
 * symtab_open() checks every count and offset once, so that look-ups need no further checks.
 *
 * Layout: header, segments, symbols, strings (NUL-terminated names; offset 0 is the empty name).
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define SYMTAB_MAGIC 0x54534850u /* "PHST" */
#define SYMTAB_BUILD_ID_MAX 32
#define SYMTAB_MAX_BYTES (256u << 20)

enum symtab_flags {
    SYMTAB_HAS_SYMTAB = 1, /* .symtab was there (not only .dynsym) */
    SYMTAB_HAS_DWARF = 2,
    SYMTAB_TRUNCATED = 4, /* a bound cut it short */
};

struct symtab_header {
    uint32_t magic;
    uint32_t flags;
    uint32_t segment_count;
    uint32_t symbol_count;
    uint64_t strings_size;
    uint32_t bad_lines; /* perf maps: lines dropped */
    uint32_t build_id_size;
    uint8_t build_id[SYMTAB_BUILD_ID_MAX];
    uint32_t debuglink_crc;
    uint32_t machine;    /* ELF e_machine, 0 for perf maps */
    char debuglink[256]; /* file name only, NUL-terminated; empty: none */
};

/* PT_LOAD: file offset to virtual address. */
struct symtab_segment {
    uint64_t vaddr, offset, size;
};

struct symtab_symbol {
    uint64_t start; /* ELF virtual address, or the absolute address in a perf map */
    uint32_t size;
    uint32_t name; /* offset into strings */
};

/* ---- reading: the agent ---- */

struct symtab;

/* Checks and maps the table in memfd, which must be sealed against writing; the fd stays the
 * caller's. Returns 0, -EBADMSG for a table that lies, -errno. */
int symtab_open(int memfd, struct symtab **ret);
void symtab_free(struct symtab *t); /* NULL is fine */
DEFINE_FREEP(struct symtab, symtab_free)

/* Borrowed; also the start of the symtab_bytes() bytes of the whole table. */
const struct symtab_header *symtab_header(const struct symtab *t);
size_t symtab_bytes(const struct symtab *t);

/* The ELF virtual address of a file offset; false when no segment holds it. */
bool symtab_vaddr(const struct symtab *t, uint64_t offset, uint64_t *ret);

/* The symbol that covers this address, or NULL. name is borrowed, raw (mangled). */
const struct symtab_symbol *symtab_find(const struct symtab *t, uint64_t address,
                                        const char **name);

/* ---- writing: the parser ---- */

struct symtab_builder;

int symtab_builder_new(struct symtab_builder **ret);
void symtab_builder_free(struct symtab_builder *b);
DEFINE_FREEP(struct symtab_builder, symtab_builder_free)

struct symtab_header *symtab_builder_header(struct symtab_builder *b); /* to be filled in */
int symtab_builder_add_segment(struct symtab_builder *b, const struct symtab_segment *s);

/* Among symbols that cover the same address: the higher rank wins, then the later start, then the
 * later addition. size 0 is dropped. Returns 0 or -ENOMEM, -EFBIG. */
int symtab_builder_add(struct symtab_builder *b, uint64_t start, uint64_t size, unsigned rank,
                       const char *name, size_t name_size);

/* Sorts, cuts overlaps, writes everything to fd. Returns 0 or -errno. */
int symtab_builder_write(struct symtab_builder *b, int fd);
