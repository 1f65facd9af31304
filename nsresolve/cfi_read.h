/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading call frame information byte by byte: integers, LEB128, encoded pointers.
 *
 * A read beyond the end yields 0 and marks the cursor bad; it stays bad, so that the owner may ask
 * once, after several reads. Used by cfi.c, cfi_entries.c and ehframe.c; little endian only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cfi_cursor {
    const uint8_t *at, *end; /* borrowed */
    const uint8_t *origin;   /* the byte that is at the address vaddr when the file is mapped */
    uint64_t vaddr;
    uint64_t data_base; /* what DW_EH_PE_datarel is relative to; 0: nothing */
    bool bad;
};

/* How pointers are stored in .eh_frame: the low four bits say the format, the next three what the
 * value is relative to (LSB core, "DWARF extensions"). */
enum cfi_encoding {
    CFI_PE_ABSPTR = 0x00,
    CFI_PE_ULEB128 = 0x01,
    CFI_PE_UDATA2 = 0x02,
    CFI_PE_UDATA4 = 0x03,
    CFI_PE_UDATA8 = 0x04,
    CFI_PE_SLEB128 = 0x09,
    CFI_PE_SDATA2 = 0x0a,
    CFI_PE_SDATA4 = 0x0b,
    CFI_PE_SDATA8 = 0x0c,
    CFI_PE_FORMAT = 0x0f,
    CFI_PE_PCREL = 0x10,
    CFI_PE_DATAREL = 0x30,
    CFI_PE_ALIGNED = 0x50,
    CFI_PE_RELATION = 0x70,
    CFI_PE_INDIRECT = 0x80,
    CFI_PE_OMIT = 0xff,
};

static inline size_t cfi_left(const struct cfi_cursor *c)
{
    return (size_t)(c->end - c->at);
}

static inline void cfi_skip(struct cfi_cursor *c, uint64_t size)
{
    if (size > cfi_left(c)) {
        c->bad = true;
        size = cfi_left(c);
    }
    c->at += size;
}

static inline void cfi_bytes(struct cfi_cursor *c, void *to, size_t size)
{
    if (size > cfi_left(c)) {
        c->bad = true;
        c->at = c->end;
        memset(to, 0, size);
        return;
    }
    memcpy(to, c->at, size);
    c->at += size;
}

static inline uint8_t cfi_u8(struct cfi_cursor *c)
{
    uint8_t value;

    cfi_bytes(c, &value, sizeof(value));
    return value;
}

static inline uint16_t cfi_u16(struct cfi_cursor *c)
{
    uint16_t value;

    cfi_bytes(c, &value, sizeof(value));
    return value;
}

static inline uint32_t cfi_u32(struct cfi_cursor *c)
{
    uint32_t value;

    cfi_bytes(c, &value, sizeof(value));
    return value;
}

static inline uint64_t cfi_u64(struct cfi_cursor *c)
{
    uint64_t value;

    cfi_bytes(c, &value, sizeof(value));
    return value;
}

/* At most ten bytes; *shift is the number of bits that were given. */
static inline uint64_t cfi_leb128(struct cfi_cursor *c, unsigned *shift)
{
    uint64_t value = 0;

    for (*shift = 0; *shift < 70;) {
        uint8_t byte = cfi_u8(c);

        value |= (uint64_t)(byte & 0x7f) << *shift;
        *shift += 7;
        if (!(byte & 0x80))
            return value;
    }
    c->bad = true;
    return 0;
}

static inline uint64_t cfi_uleb128(struct cfi_cursor *c)
{
    unsigned shift;

    return cfi_leb128(c, &shift);
}

static inline int64_t cfi_sleb128(struct cfi_cursor *c)
{
    unsigned shift;
    uint64_t value = cfi_leb128(c, &shift);

    if (shift < 64 && (value & (1ull << (shift - 1))))
        value |= ~0ull << shift;
    return (int64_t)value;
}

/* The number itself, sign-extended where the format is signed. */
static inline uint64_t cfi_formatted(struct cfi_cursor *c, uint8_t encoding)
{
    switch (encoding & CFI_PE_FORMAT) {
    case CFI_PE_ABSPTR:
    case CFI_PE_UDATA8:
    case CFI_PE_SDATA8:
        return cfi_u64(c);
    case CFI_PE_ULEB128:
        return cfi_uleb128(c);
    case CFI_PE_UDATA2:
        return cfi_u16(c);
    case CFI_PE_UDATA4:
        return cfi_u32(c);
    case CFI_PE_SLEB128:
        return (uint64_t)cfi_sleb128(c);
    case CFI_PE_SDATA2:
        return (uint64_t)(int64_t)(int16_t)cfi_u16(c);
    case CFI_PE_SDATA4:
        return (uint64_t)(int64_t)(int32_t)cfi_u32(c);
    default:
        c->bad = true;
        return 0;
    }
}

/* The address that an encoded pointer stands for; bad for those that nobody emits for code. */
static inline uint64_t cfi_pointer(struct cfi_cursor *c, uint8_t encoding)
{
    uint64_t here = c->vaddr + (uint64_t)(c->at - c->origin);
    uint64_t value = cfi_formatted(c, encoding);

    if (encoding & CFI_PE_INDIRECT)
        c->bad = true;
    switch (encoding & CFI_PE_RELATION) {
    case CFI_PE_ABSPTR:
        return value;
    case CFI_PE_PCREL:
        return here + value;
    case CFI_PE_DATAREL:
        c->bad |= c->data_base == 0;
        return c->data_base + value;
    default:
        c->bad = true;
        return 0;
    }
}
