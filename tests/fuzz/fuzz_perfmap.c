/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a perf map. */
#include "nsresolve/perfmap.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    _cleanup_close_ int fd = memfd_of(data, size);

    must(symtab_builder_new(&b) == 0);
    must(perfmap_parse(fd, b) == 0);
    check_builder(b);
    return 0;
}
