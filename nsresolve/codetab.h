/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code made at run time over time, as the parser hands it over: what stood where from when on.
 *
 * Addresses are cut into cells; each cell has a row for everything that ever stood in it, oldest
 * first. Written by the parser into one sealed memfd, read by the agent, which trusts nothing in
 * it: codetab_open() checks everything once.
 *
 * Layout: header, rows, strings (NUL-terminated names; offset 0 is the empty name: nothing is known
 * to stand there any more).
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODETAB_MAGIC 0x54434850u /* "PHCT" */
#define CODETAB_MAX_BYTES (256u << 20)
#define CODETAB_MAX_ENTRIES (1u << 20) /* that a builder takes */
#define CODETAB_MAX_ROWS (4u << 20)
#define CODETAB_MAX_POOL (96u << 20) /* bytes of names */
#define CODETAB_NAME_MAX 4096        /* longer names are cut */
#define CODETAB_TIME_MAX (1ull << 62)

enum codetab_flags {
    CODETAB_TRUNCATED = 1, /* a bound cut it short */
    CODETAB_UNTIMED = 2,   /* the times are mere numbers in order */
};

struct codetab_header {
    uint32_t magic;
    uint32_t flags;
    uint32_t row_count;
    uint32_t bad_records;
    uint64_t strings_size;
};

/* Sorted by start, then time; rows with the same start have the same size. */
struct codetab_row {
    uint64_t start;
    uint64_t born_ns; /* CLOCK_MONOTONIC */
    uint32_t size;
    uint32_t name; /* offset into strings */
};

/* ---- reading: the agent ---- */

struct codetab;

/* Checks and maps the table in memfd, which must be sealed; the fd stays the caller's. Returns 0,
 * -EBADMSG for a table that lies, -errno. */
int codetab_open(int memfd, struct codetab **ret);
void codetab_free(struct codetab *t); /* NULL is fine */
DEFINE_FREEP(struct codetab, codetab_free)

const struct codetab_header *codetab_header(const struct codetab *t);
size_t codetab_bytes(const struct codetab *t);

/* The rows of the cell that holds this address, or NULL. */
const struct codetab_row *codetab_cell(const struct codetab *t, uint64_t address, size_t *count);

/* Borrowed; "" when nothing stands there. */
const char *codetab_name(const struct codetab *t, const struct codetab_row *row);

/* ---- writing: the parser ---- */

struct codetab_builder;

int codetab_builder_new(struct codetab_builder **ret);
void codetab_builder_free(struct codetab_builder *b);
DEFINE_FREEP(struct codetab_builder, codetab_builder_free)

struct codetab_header *codetab_builder_header(struct codetab_builder *b);

/* A place for a name, for codetab_builder_add(). Returns 0, -ENOMEM, -EFBIG. */
int codetab_builder_name(struct codetab_builder *b, const char *name, size_t size, uint32_t *ret);

/* From born_ns on this stands there, over all that did so earlier; of the same time, the later call
 * wins. Returns 0, -ENOMEM, -EFBIG. */
int codetab_builder_add(struct codetab_builder *b, uint64_t start, uint32_t size, uint64_t born_ns,
                        uint32_t name);

/* Sorts, cuts into cells, writes to fd at its position; only freeing is left. */
int codetab_builder_write(struct codetab_builder *b, int fd);
