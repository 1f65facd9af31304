/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to get from a frame to its caller, for every address of one ELF file: sorted, without
 * overlaps, in one sealed memfd.
 *
 * The writing half runs in the parser (ehframe.c feeds it), the reading half in the agent, which
 * trusts nothing in it and copies the rows to where its BPF programs search them. What a program
 * does with a row is not decided here. A table without rows is sound: its file has no unwind
 * information, or is not for x86-64.
 *
 * Layout: header, segments (struct segment), rows.
 */
#pragma once

#include "nsresolve/symtab.h"

#define UNWINDTAB_MAGIC 0x54554850u     /* "PHUT" */
#define UNWINDTAB_MAX_ROWS (4u << 20)   /* 32 MiB */
#define UNWINDTAB_MAX_RANGES (4u << 20) /* what a builder takes */
#define UNWINDTAB_RBP_AT_RBP 255        /* unwind_row.rbp: saved where rbp points */
#define UNWINDTAB_MAX_RBP 254           /* as a multiple of 8 below the CFA */

enum unwindtab_flags {
    UNWINDTAB_TRUNCATED = 1,   /* a bound or a broken entry cut it short */
    UNWINDTAB_DEBUG_FRAME = 2, /* rows come from .debug_frame, at least some */
};

/* Below, "word" is 8 bytes; offset counts those. The return address is the word below the CFA, and
 * the caller's rsp is the CFA, in all kinds that have one. */
enum unwind_kind {
    UNWIND_NONE,      /* nothing is known of this address */
    UNWIND_RSP,       /* CFA = rsp + offset */
    UNWIND_RBP,       /* CFA = rbp + offset */
    UNWIND_DEREF_RBP, /* CFA = *(rbp + offset): the stack was realigned */
    UNWIND_PLT,    /* CFA = rsp + 1, + 1 when (ip & 15) >= offset, which is a plain number here */
    UNWIND_SIGNAL, /* the kernel's signal frame stands at rsp */
    UNWIND_END,    /* the outermost frame: start of the process or of a thread */
    UNWIND_UNSUPPORTED, /* known to the file, but not expressible in a row */
    UNWIND_DEREF_RSP, /* CFA = *(rsp + offset) + 1 word: OpenSSL's assembly keeps the old rsp so */
    UNWIND_SWITCH,    /* as UNWIND_RBP, and the caller is on another stack */
    UNWIND_GO,   /* goes on where Go has noted that the thread's goroutine stopped: its m has it at
                  * word offset, and that has rbp at word rbp */
    UNWIND_LOST, /* the caller is on another stack, and nothing leads to it */
    UNWIND_KIND_COUNT,
};

/* From pc (inclusive) up to the next row's pc. Before the first row nothing is known. Fewer than 16
 * bytes that stand before an aligned function are padding, and belong to the row before them. */
struct unwind_row {
    uint32_t pc;    /* ELF virtual address minus base_vaddr */
    uint8_t kind;   /* enum unwind_kind */
    uint8_t rbp;    /* 0: unchanged; UNWINDTAB_RBP_AT_RBP; n: saved n words below the CFA */
    int16_t offset; /* in words */
};

/* Where the rows of one block of pc begin and end: an index to them, made from them. */
struct unwind_block {
    uint32_t begin, end;
};

struct unwindtab_header {
    uint32_t magic;
    uint32_t flags;
    uint32_t machine; /* ELF e_machine */
    uint32_t segment_count;
    uint64_t base_vaddr; /* lowest address of a PT_LOAD, rounded down to its page */
    uint32_t row_count;
    uint32_t padding;
};

/* ---- reading: the agent ---- */

struct unwindtab;

/* Checks and maps the table in memfd, which must be sealed against writing; the fd stays the
 * caller's. Returns 0, -EBADMSG for a table that lies, -errno. */
int unwindtab_open(int memfd, struct unwindtab **ret);
void unwindtab_free(struct unwindtab *t); /* NULL is fine */
DEFINE_FREEP(struct unwindtab, unwindtab_free)

/* All borrowed from t. */
const struct unwindtab_header *unwindtab_header(const struct unwindtab *t);
const struct unwind_row *unwindtab_rows(const struct unwindtab *t, uint32_t *count);

uint64_t unwindtab_base(const struct unwindtab *t);
size_t unwindtab_bytes(const struct unwindtab *t); /* of the whole table */

/* The ELF virtual address of a file offset; false when no segment holds it. */
bool unwindtab_vaddr(const struct unwindtab *t, uint64_t offset, uint64_t *ret);

/* The row that covers this ELF virtual address, or NULL before the first one. */
const struct unwind_row *unwindtab_find(const struct unwindtab *t, uint64_t vaddr);

/* ---- writing: the parser ---- */

struct unwindtab_builder;

int unwindtab_builder_new(struct unwindtab_builder **ret);
void unwindtab_builder_free(struct unwindtab_builder *b);
DEFINE_FREEP(struct unwindtab_builder, unwindtab_builder_free)

struct unwindtab_header *unwindtab_builder_header(struct unwindtab_builder *b); /* to fill in */
int unwindtab_builder_add_segment(struct unwindtab_builder *b, const struct segment *s);

/* Starts the range [start, end) of addresses relative to the base; its rows follow. Where ranges
 * overlap, the one with the later start holds up to its end or to the next start, and of those with
 * the same start the one added first. Returns 0, -EFBIG beyond UNWINDTAB_MAX_RANGES, -ENOMEM. */
int unwindtab_builder_range(struct unwindtab_builder *b, uint32_t start, uint32_t end);

/* A row of the range started last; pc rises from row to row, from the range's start on. Returns 0,
 * -EFBIG beyond UNWINDTAB_MAX_ROWS, -ENOMEM. */
int unwindtab_builder_row(struct unwindtab_builder *b, const struct unwind_row *row);

/* Addresses relative to the base. */
struct unwind_span {
    uint32_t start, end;
};

/* What the ranges cover so far: sorted, without overlaps, not even touching; the caller's, with
 * *count of them. Returns 0 or -ENOMEM. */
int unwindtab_builder_covered(struct unwindtab_builder *b, struct unwind_span **ret, size_t *count);

/* Sorts, resolves overlaps, marks gaps, merges equal neighbours, writes everything to fd at its
 * position. Uses the builder up: only freeing it is left. Returns 0 or -errno. */
int unwindtab_builder_write(struct unwindtab_builder *b, int fd);
