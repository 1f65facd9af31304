/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a perf map: as a whole, and as one that grew since it was read up to the middle. */
#include "nsresolve/perfmap.h"
#include "tests/fuzz/fuzz.h"

static struct wire_parse_perfmap parse(const uint8_t *data, size_t size,
                                       const struct wire_parse_perfmap *from)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    _cleanup_close_ int fd = memfd_of(data, size);
    struct wire_parse_perfmap next;

    must(symtab_builder_new(&b) == 0);
    must(perfmap_parse(fd, from, b) == 0);
    next = (struct wire_parse_perfmap){symtab_builder_header(b)->read_until,
                                       symtab_builder_header(b)->fingerprint, UINT64_MAX};
    must(next.read_until <= size);
    check_builder(b);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wire_parse_perfmap none = {.size = UINT64_MAX};
    struct wire_parse_perfmap half = parse(data, size / 2, &none), full = parse(data, size, &none),
                              rest = parse(data, size, &half);

    must(rest.read_until == full.read_until && rest.fingerprint == full.fingerprint);
    return 0;
}
