/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The function table that Go's linker puts into every program, stripped or not: names, addresses,
 * and how far each instruction has moved the stack pointer.
 *
 * Knows the layouts of Go 1.2, 1.16, 1.18 and 1.20 and later. Runs in the parser; every number in
 * the table may lie. Used by elf.c for names and by gotab.c for unwind rows.
 */
#pragma once

#include "nsresolve/elf_file.h"
#include "nsresolve/symtab.h"

#define PCLNTAB_MAX_BYTES (96u << 20)     /* of the table */
#define PCLNTAB_MAX_CODE (128u << 20)     /* of the code beside it that is looked at */
#define PCLNTAB_MAX_FUNCTIONS (2u << 20)  /* beyond: refused */
#define PCLNTAB_MAX_STEPS (16u << 20)     /* of all stack pointers' steps together */
#define PCLNTAB_SEARCH_MAX (128ull << 20) /* bytes that are searched where no section says it */

struct gocode;
struct pclntab;

enum pclntab_flags { PCLNTAB_WRITES_SP = 2 }; /* of functions; Go 1.17 and later */

struct pclntab_function {
    uint64_t start, end; /* ELF virtual addresses; end is where the next one starts */
    const char *name;    /* borrowed, NUL-terminated, below SYMTAB_NAME_MAX */
    uint32_t stack;      /* for pclntab_steps() */
    uint8_t flags;       /* enum pclntab_flags */
};

/* Finds and checks the table of a file. Returns 0, -ENOENT when there is none that can be
 * understood, -ENOMEM, -errno. */
int pclntab_open(const struct elf_file *f, struct pclntab **ret);
void pclntab_free(struct pclntab *t); /* NULL is fine */
DEFINE_FREEP(struct pclntab, pclntab_free)

/* The same of bytes at hand: takes data (from malloc, also on failure) over. */
int pclntab_open_bytes(const struct elf_file *f, uint8_t *data, size_t size, struct pclntab **ret);

size_t pclntab_count(const struct pclntab *t);

/* False for an entry that lies: outside of the code, reversed, without a name. */
bool pclntab_function(const struct pclntab *t, size_t index, struct pclntab_function *ret);

/* The code of the program. Borrowed. */
const struct gocode *pclntab_code(const struct pclntab *t);

/* Adds all functions to a table of symbols, unless that has a .symtab, which says the same, and
 * notes in its header where Go's code is. Returns 0, -EFBIG, -ENOMEM. */
int pclntab_add_symbols(const struct pclntab *t, unsigned rank, struct symtab_builder *b);

/* How far the stack pointer has moved since the function's entry, over its addresses. */
struct pclntab_steps {
    const struct pclntab *table;
    const uint8_t *at, *end_of_table;
    uint64_t start, end; /* of the addresses that value holds for */
    uint64_t limit;      /* the function's end */
    int32_t value;       /* bytes */
    bool begun;
};

void pclntab_steps(const struct pclntab *t, const struct pclntab_function *fn,
                   struct pclntab_steps *ret);

/* The next stretch of addresses; false at the end, or where the table is broken. */
bool pclntab_next(struct pclntab_steps *s);
