/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a table that a parser under foreign control hands to the agent (first byte even),
 * and any bytes as calls of the builder (odd).
 */
#include "tests/fuzz/fuzz.h"

static void open_table(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = sealed(memfd_of(data, size));
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    if (symtab_open(fd, &t) == 0)
        ask_table(t);
}

static void call_builder(const uint8_t *data, size_t size)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    const size_t call = 32; /* bytes of data that make one */
    struct symtab_entry e = {0};
    uint32_t offset;
    int error;

    must(symtab_builder_new(&b) == 0);
    memset(symtab_builder_names(b, 30, &offset, &error), 'n', 30);
    for (; size >= call; size -= call, data += call) {
        memcpy(&e.start, data, sizeof(e.start));
        memcpy(&e.size, data + 8, sizeof(e.size));
        e.rank = data[16];
        e.name = data[17];
        e.preference = data[18];
        e.open = data[19] & 1;
        must(symtab_builder_add_entry(b, &e) == 0);
        must(symtab_builder_add(b, e.size, e.start, data[20], (const char *)data + 21,
                                data[21] % 8) == 0);
    }
    symtab_builder_header(b)->flags = (uint32_t)size & SYMTAB_TRUNCATED;
    check_builder(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        call_builder(data + 1, size - 1);
    else
        open_table(data + 1, size - 1);
    return 0;
}
