/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that no table covers. The first byte says where a second function starts, the second byte
 * how the code is cut into two stretches; the rest is the code.
 */
#include "nsresolve/codeflow.h"
#include "tests/fuzz/fuzz.h"

#define CODE 0x401000u
#define APART 0x100u

static void add(struct codeflow *c, uint64_t vaddr, const uint8_t *code, size_t size)
{
    uint8_t *bytes;

    if (size == 0)
        return;
    must(codeflow_add(c, vaddr, (uint32_t)size, &bytes) == 0);
    memcpy(bytes, code, size);
}

/* What a builder writes must pass the agent's checks. */
static void check(struct unwindtab_builder *b)
{
    _cleanup_close_ int fd = memfd_of("", 0);
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    const struct unwind_row *rows;
    uint32_t count;

    must(unwindtab_builder_write(b, fd) == 0);
    must(unwindtab_open(sealed(fd), &t) == 0);
    rows = unwindtab_rows(t, &count);
    for (uint32_t i = 0; i < count; i++)
        must(rows[i].kind < UNWIND_KIND_COUNT && (i == 0 || rows[i].pc > rows[i - 1].pc));
}

static void decode_all(const uint8_t *code, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        struct x86_insn insn;

        if (x86_decode(code + i, size - i, &insn))
            must(insn.length > 0 && insn.length <= MIN(size - i, (size_t)X86_LENGTH_MAX));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_(codeflow_freep) struct codeflow *c = NULL;
    size_t cut;

    if (size < 2)
        return 0;
    cut = MIN((size_t)data[1], size - 2);
    decode_all(data + 2, size - 2);
    must(unwindtab_builder_new(&b) == 0 && codeflow_new(&c) == 0);
    unwindtab_builder_header(b)->machine = 62;
    unwindtab_builder_header(b)->base_vaddr = CODE - 0x1000;
    add(c, CODE, data + 2, cut);
    add(c, CODE + cut + APART, data + 2 + cut, size - 2 - cut);
    must(codeflow_ready(c) == 0);
    codeflow_start(c, CODE);
    codeflow_start(c, CODE + data[0]);
    codeflow_run(c);
    must(codeflow_rows(c, b) == 0);
    check(b);
    return 0;
}
