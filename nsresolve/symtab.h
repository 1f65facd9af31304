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
#include "nsresolve/segments.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYMTAB_MAGIC 0x54534850u /* "PHST" */
#define SYMTAB_BUILD_ID_MAX 32
#define SYMTAB_MAX_BYTES (256u << 20)
#define SYMTAB_MAX_SYMBOLS (3u << 20) /* what a builder takes */
#define SYMTAB_MAX_POOL (160u << 20)  /* bytes of names that a builder takes */
#define SYMTAB_MAX_SEGMENTS 4096
#define SYMTAB_NAME_MAX 4096 /* longer names are cut */

enum symtab_flags {
    SYMTAB_HAS_SYMTAB = 1, /* .symtab was there (not only .dynsym) */
    SYMTAB_HAS_DWARF = 2,
    SYMTAB_TRUNCATED = 4, /* a bound cut it short */
    SYMTAB_HAS_MINIDEBUG = 8,
    SYMTAB_REWRITTEN = 16,  /* perf maps: not the file that was read before */
    SYMTAB_UNFINISHED = 32, /* perf maps: one of the bad lines is the last and may still grow */
};

/* Where a name came from. */
enum symtab_source {
    SYMTAB_FROM_SYMTAB,    /* .symtab, of the file that was asked about; perf maps */
    SYMTAB_FROM_DYNSYM,    /* .dynsym */
    SYMTAB_FROM_MINIDEBUG, /* .gnu_debugdata */
    SYMTAB_FROM_PLT,       /* relocations of PLT stubs */
    SYMTAB_FROM_PCLNTAB,   /* Go's function table */
    SYMTAB_SOURCE_COUNT,
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
    uint32_t machine;          /* ELF e_machine, 0 for perf maps */
    uint64_t go_start, go_end; /* addresses of Go's functions; equal: there are none */
    char debuglink[256];       /* file name only, NUL-terminated; empty: none */
    uint64_t read_until;       /* perf maps: behind the last whole line */
    uint64_t fingerprint;      /* perf maps: of what stands before that */
    char altlink[256];         /* path of the file that its DWARF shares with others; empty: none */
    uint32_t altlink_id_size;
    uint8_t altlink_id[SYMTAB_BUILD_ID_MAX];
    uint32_t padding;
};

struct symtab_symbol {
    uint64_t start; /* ELF virtual address, or the absolute address in a perf map */
    uint32_t size;
    uint32_t name : 28;  /* offset into strings, which SYMTAB_MAX_BYTES bounds */
    uint32_t source : 4; /* enum symtab_source */
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
int symtab_builder_add_segment(struct symtab_builder *b, const struct segment *s);

/* Among symbols that cover the same address: the higher rank wins, then the later start, then the
 * later addition. Size 0 and empty names are dropped, sizes beyond 32 bits are cut. Returns 0 or
 * -ENOMEM, -EFBIG. */
int symtab_builder_add(struct symtab_builder *b, uint64_t start, uint64_t size, unsigned rank,
                       const char *name, size_t name_size);

/* What follows a name, where it is not the function's own. */
enum symtab_suffix {
    SYMTAB_SUFFIX_NONE,
    SYMTAB_SUFFIX_PLT,   /* name@plt: the stub that calls it */
    SYMTAB_SUFFIX_IFUNC, /* name@ifunc: what chooses its implementation */
};

/* What symtab_builder_add() cannot say. */
struct symtab_entry {
    uint64_t start;
    uint64_t size;       /* of an open one: the most that it may reach */
    uint32_t rank;       /* as for symtab_builder_add() */
    uint32_t name;       /* offset into the pool of symtab_builder_names() */
    uint16_t preference; /* decides between equal ranks at the same start; where that is equal and
                          * not 0, the shorter name, then the alphabet, before the order does */
    uint8_t suffix;      /* enum symtab_suffix */
    uint8_t source;      /* enum symtab_source */
    bool open; /* no size known: reaches to the next start; nothing inside a sized one, and
                * nothing in a truncated table, where the next start may be missing */
};
int symtab_builder_add_entry(struct symtab_builder *b, const struct symtab_entry *e);

/* Room for size bytes of names at *offset in the builder's pool, so that a whole string section can
 * be read there in place; a NUL stands behind them. Borrowed until the next call that adds names.
 * NULL: *error is -ENOMEM or -EFBIG. */
char *symtab_builder_names(struct symtab_builder *b, size_t size, uint32_t *offset, int *error);

/* Sorts, cuts overlaps, writes everything to fd at its position. Uses the builder up: only freeing
 * it is left. Returns 0, -EFBIG beyond SYMTAB_MAX_BYTES, -errno. */
int symtab_builder_write(struct symtab_builder *b, int fd);
