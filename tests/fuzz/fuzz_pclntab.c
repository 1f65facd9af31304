/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go's function table, in a program whose code and headers are sound. The first byte says whether
 * it has section headers, the rest is the table.
 */
#include "nsresolve/ehframe.h"
#include "nsresolve/elf.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/craft_go.h"

/* Names: what a builder writes must pass the agent's checks. */
static void read_names(int fd)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    const struct wire_parse_elf want = {0};

    must(symtab_builder_new(&b) == 0);
    must(elf_parse(fd, &want, b) == 0);
    must(symtab_builder_header(b)->go_start <= symtab_builder_header(b)->go_end);
    check_builder(b);
}

static void read_rows(int fd)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    _cleanup_close_ int out_fd = memfd_of("", 0);

    must(unwindtab_builder_new(&b) == 0);
    must(ehframe_parse(fd, b) == 0);
    must(unwindtab_builder_write(b, out_fd) == 0);
    must(unwindtab_open(sealed(out_fd), &t) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = -1;
    struct go_file g;

    if (size == 0)
        return 0;
    go_craft(&g, GO_120);
    if (data[0] & 1)
        g.header.e_shoff = g.header.e_shnum = 0;
    memset(g.table, 0, sizeof(g.table));
    memcpy(g.table, data + 1, MIN(size - 1, sizeof(g.table)));
    fd = memfd_of(&g, GO_SIZE);
    read_names(fd);
    read_rows(fd);
    return 0;
}
