/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jitdump files made by hand, every field of which a test can turn into a lie.
 */
#pragma once

#include "base/buf.h"
#include "nsresolve/jitdump.h"

#include <string.h>

static inline void craft_dump(struct buf *b, uint64_t flags)
{
    const struct jitdump_header h = {
        .magic = JITDUMP_MAGIC,
        .version = JITDUMP_VERSION,
        .total_size = sizeof(h),
        .machine = 62,
        .pid = 1,
        .flags = flags,
    };

    buf_add(b, &h, sizeof(h));
}

/* With as many bytes of code as its size says. */
static inline void craft_load(struct buf *b, uint64_t time, uint64_t address, uint64_t size,
                              uint64_t index, const char *name)
{
    struct jitdump_load l = {
        .record = {.id = JITDUMP_LOAD, .time_ns = time},
        .vma = address,
        .address = address,
        .size = size,
        .index = index,
    };
    char code[64] = {0};

    l.record.total_size = (uint32_t)(sizeof(l) + strlen(name) + 1 + size);
    buf_add(b, &l, sizeof(l));
    buf_add(b, name, strlen(name) + 1);
    for (uint64_t i = 0; i < size; i += sizeof(code))
        buf_add(b, code, (size_t)(size - i < sizeof(code) ? size - i : sizeof(code)));
}

static inline void craft_move(struct buf *b, uint64_t time, uint64_t from, uint64_t to,
                              uint64_t size, uint64_t index)
{
    const struct jitdump_move m = {
        .record = {.id = JITDUMP_MOVE, .total_size = sizeof(m), .time_ns = time},
        .vma = to,
        .old_address = from,
        .new_address = to,
        .size = size,
        .index = index,
    };

    buf_add(b, &m, sizeof(m));
}

static inline void craft_other(struct buf *b, uint32_t id, uint32_t total_size)
{
    const struct jitdump_record r = {.id = id, .total_size = total_size};

    buf_add(b, &r, sizeof(r));
    for (uint32_t i = sizeof(r); i < total_size; i++)
        buf_addc(b, 'x');
}
