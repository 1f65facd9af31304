/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which functions were inlined at each of some addresses, as the parser hands it over: sorted, in
 * one sealed memfd.
 *
 * The writing half runs in the parser, the reading half in the agent, which trusts nothing in it:
 * inlinetab_open() checks every count and offset once, so that look-ups need no further checks.
 *
 * Layout: header, addresses, frames, strings (NUL-terminated names; offset 0 is the empty name).
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

#define INLINETAB_MAGIC 0x4e494850u /* "PHIN" */
#define INLINETAB_MAX_BYTES (64u << 20)
#define INLINETAB_MAX_POOL (16u << 20) /* bytes of names that a builder takes */
#define INLINETAB_MAX_ADDRESSES 65536u
#define INLINETAB_MAX_DEPTH 32u /* functions inlined into each other at one address */
#define INLINETAB_NAME_MAX 4096 /* longer names are cut */

/* What the DWARF says of one address. */
enum inline_state {
    INLINE_KNOWN,   /* its functions are listed; there may be none */
    INLINE_NO_UNIT, /* no compilation unit covers it */
    INLINE_SPLIT,   /* its unit's DWARF is in a .dwo file, which nobody looks for */
    INLINE_NO_NAME, /* a function's name is in a file that is not at hand */
    INLINE_DAMAGED, /* the DWARF broke off before a unit covered it */
    INLINE_CUT,     /* a bound of the parser came first */
    INLINE_STATE_COUNT,
};

struct inlinetab_header {
    uint32_t magic;
    uint32_t address_count;
    uint32_t frame_count;
    uint32_t strings_size;
};

struct inline_address {
    uint64_t address; /* ELF virtual address */
    uint32_t first;   /* of its frames, innermost first */
    uint16_t count;
    uint16_t state; /* enum inline_state */
};

/* ---- reading: the agent ---- */

struct inlinetab;

/* Checks and maps the table in memfd, which must be sealed against writing; the fd stays the
 * caller's. Returns 0, -EBADMSG for a table that lies, -errno. */
int inlinetab_open(int memfd, struct inlinetab **ret);
void inlinetab_free(struct inlinetab *t); /* NULL is fine */
DEFINE_FREEP(struct inlinetab, inlinetab_free)

/* What is said of this very address, or NULL. Borrowed. */
const struct inline_address *inlinetab_find(const struct inlinetab *t, uint64_t address);

/* Name of the i-th function inlined there, innermost first; i is below a->count. Borrowed, raw
 * (mangled). */
const char *inlinetab_name(const struct inlinetab *t, const struct inline_address *a, unsigned i);

/* ---- writing: the parser ---- */

struct inlinetab_builder;

/* The addresses must ascend; each is INLINE_NO_UNIT until it is set. */
int inlinetab_builder_new(const uint64_t *addresses, size_t count, struct inlinetab_builder **ret);
void inlinetab_builder_free(struct inlinetab_builder *b);
DEFINE_FREEP(struct inlinetab_builder, inlinetab_builder_free)

/* A name's offset in *ret, for inlinetab_builder_set(). Returns 0, -ENOMEM, -EFBIG. */
int inlinetab_builder_name(struct inlinetab_builder *b, const char *name, uint32_t *ret);

/* What is known of the index-th address; names innermost first, INLINETAB_MAX_DEPTH at most. Once
 * for each address. Returns 0 or -ENOMEM. */
int inlinetab_builder_set(struct inlinetab_builder *b, size_t index, enum inline_state state,
                          const uint32_t *names, unsigned count);

/* Writes everything to fd at its position. Returns 0 or -errno. */
int inlinetab_builder_write(const struct inlinetab_builder *b, int fd);
