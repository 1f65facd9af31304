/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame information. The first byte says what the rest is: an ELF file, the bytes of a section
 * (.eh_frame with or without a known end, .debug_frame), or a finished table.
 */
#include "nsresolve/cfi_entries.h"
#include "nsresolve/ehframe.h"
#include "tests/fuzz/fuzz.h"

#define CODE 0x401000u

enum { AS_FILE, AS_TABLE, AS_SECTION, AS_OPEN_SECTION, AS_DEBUG_SECTION, WAYS };

/* Asks a table in every way that the agent does. */
static void ask(const struct unwindtab *t)
{
    uint64_t address = 0, vaddr;
    uint32_t count;
    const struct unwind_row *rows = unwindtab_rows(t, &count);

    for (uint32_t i = 0; i < count; i++)
        must(rows[i].kind < UNWIND_KIND_COUNT && (i == 0 || rows[i].pc > rows[i - 1].pc));
    for (unsigned i = 0; i < 64; i++) {
        const struct unwind_row *row = unwindtab_find(t, address);

        must(!row || row->pc <= address - unwindtab_base(t));
        unwindtab_vaddr(t, address, &vaddr);
        address = i < 32 ? (address << 2 | 3) : ~(address >> 1);
    }
}

/* What a builder writes must pass the agent's checks. */
static void check(struct unwindtab_builder *b)
{
    _cleanup_close_ int fd = memfd_of("", 0);
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;

    must(unwindtab_builder_write(b, fd) == 0);
    must(unwindtab_open(sealed(fd), &t) == 0);
    ask(t);
}

static void parse_file(struct unwindtab_builder *b, const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_of(data, size);

    if (ehframe_parse(fd, b) == 0)
        check(b);
}

static void parse_section(struct unwindtab_builder *b, uint8_t way, const uint8_t *data,
                          size_t size)
{
    const struct cfi_range code = {CODE, CODE + 0x100000};
    const struct cfi_section section = {
        .data = data,
        .size = size,
        .vaddr = way == AS_DEBUG_SECTION ? 0 : CODE - 0x1000 + 0x1e0,
        .data_base = CODE - 0x1000,
        .is_debug = way == AS_DEBUG_SECTION,
        .is_open = way == AS_OPEN_SECTION,
    };

    unwindtab_builder_header(b)->machine = 62;
    unwindtab_builder_header(b)->base_vaddr = CODE - 0x1000;
    cfi_entries(&section, &code, 1, b);
    check(b);
}

static void open_table(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = sealed(memfd_of(data, size));
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;

    if (unwindtab_open(fd, &t) == 0)
        ask(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    uint8_t way;

    if (size == 0)
        return 0;
    way = data[0] % WAYS;
    must(unwindtab_builder_new(&b) == 0);
    if (way == AS_FILE)
        parse_file(b, data + 1, size - 1);
    else if (way == AS_TABLE)
        open_table(data + 1, size - 1);
    else
        parse_section(b, way, data + 1, size - 1);
    return 0;
}
