/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame instructions (DWARF 5, section 6.4.2) of x86-64, run into rows of an unwind table.
 *
 * Follows the CFA, rbp, rsp and the return address only, and expressions only where they are one
 * of those that compilers and linkers write. Whatever else there is becomes UNWIND_UNSUPPORTED.
 * Used by cfi_entries.c, which finds the programs.
 */
#pragma once

#include "nsresolve/cfi_read.h"
#include "nsresolve/unwindtab.h"

#define CFI_STACK_MAX 8 /* of DW_CFA_remember_state */

enum cfi_cfa_kind {
    CFI_CFA_UNKNOWN,
    CFI_CFA_REGISTER, /* register + offset */
    CFI_CFA_DEREF,    /* *(register + offset) */
    CFI_CFA_DEREF_8,  /* *(register + offset) + 8 */
    CFI_CFA_PLT,      /* offset is the place in the PLT entry behind the push */
};

/* Registers whose caller's value matters; all others share the last. */
enum cfi_slot { CFI_RBP, CFI_RSP, CFI_RA, CFI_OTHERS, CFI_SLOTS };

enum cfi_save_kind {
    CFI_UNSAID,    /* no rule */
    CFI_SAME,      /* unchanged */
    CFI_UNDEFINED, /* lost */
    CFI_OFFSET,    /* at CFA + offset */
    CFI_IS_OFFSET, /* is CFA + offset */
    CFI_AT_RBP,    /* at *rbp */
    CFI_ELSEWHERE, /* some other register or expression */
};

struct cfi_save {
    int64_t offset;
    uint8_t kind; /* enum cfi_save_kind */
};

struct cfi_rules {
    int64_t cfa_offset;
    uint8_t cfa_kind;     /* enum cfi_cfa_kind */
    uint8_t cfa_register; /* DWARF's number; 255 for those beyond */
    struct cfi_save saves[CFI_SLOTS];
};

/* What the entries of one CIE share. */
struct cfi_cie {
    uint64_t code_align;
    int64_t data_align;
    uint8_t encoding; /* of addresses; enum cfi_encoding */
    bool has_data;    /* entries have augmentation data */
    bool is_signal;
    struct cfi_rules initial;
};

struct cfi_program {
    struct cfi_cursor code;
    const struct cfi_cie *cie;
    uint64_t base;                   /* of the table: rows are relative to it */
    uint64_t pc, end;                /* addresses that the program describes */
    struct unwindtab_builder *table; /* its last range takes the rows; NULL: they are not wanted */
    uint64_t *budget;                /* instructions that may still be run; counted down */
    struct cfi_rules rules;          /* at first those to begin with, then those at the end */
    struct cfi_rules stack[CFI_STACK_MAX];
    unsigned depth;
};

/* A broken instruction makes the addresses from there on UNWIND_UNSUPPORTED, and p->code bad.
 * Returns 0, -EFBIG beyond the budget or the table's bounds, -ENOMEM. */
int cfi_run(struct cfi_program *p);
