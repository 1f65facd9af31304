/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file, taken as a mapped file and as a debug file. */
#include "nsresolve/elf.h"
#include "tests/fuzz/fuzz.h"

static void parse(int fd, const struct wire_parse_elf *want)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;

    must(symtab_builder_new(&b) == 0);
    if (elf_parse(fd, want, b) == 0)
        check_builder(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_parse_elf want = {0};
    _cleanup_close_ int fd = memfd_of(data, size);

    parse(fd, &want);
    want.flags = WIRE_ELF_DEBUG_FILE;
    want.build_id_size = 20;
    memcpy(want.build_id, "0123456789abcdefghij", 20);
    parse(fd, &want);
    return 0;
}
