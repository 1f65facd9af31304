/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a jitdump file (first byte even), or as the table that is made of one (odd). */
#include "nsresolve/jitdump.h"
#include "tests/fuzz/fuzz.h"

static void ask_codes(const struct codetab *t)
{
    uint64_t address = 0;

    for (unsigned i = 0; i < 64; i++) {
        size_t count = 0;
        const struct codetab_row *rows = codetab_cell(t, address, &count);

        must(!rows == !count);
        for (size_t k = 0; k < count; k++) {
            must(address >= rows[k].start && address - rows[k].start < rows[k].size);
            must(strlen(codetab_name(t, &rows[k])) < codetab_header(t)->strings_size);
        }
        address = i < 32 ? (address << 2 | 3) : ~(address >> 1);
    }
}

static void open_table(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = sealed(memfd_of(data, size));
    _cleanup_(codetab_freep) struct codetab *t = NULL;

    if (codetab_open(fd, &t) == 0)
        ask_codes(t);
}

static void parse(const uint8_t *data, size_t size)
{
    _cleanup_(codetab_builder_freep) struct codetab_builder *b = NULL;
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_close_ int fd = memfd_of(data, size), out_fd = memfd_of("", 0);

    must(codetab_builder_new(&b) == 0);
    if (jitdump_parse(fd, b) < 0)
        return;
    must(codetab_builder_write(b, out_fd) == 0);
    must(codetab_open(sealed(out_fd), &t) == 0);
    ask_codes(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        open_table(data + 1, size - 1);
    else
        parse(data + 1, size - 1);
    return 0;
}
