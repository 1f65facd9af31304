/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DWARF for inlined functions. The first byte says what the rest is: an ELF file with it, a file
 * together with itself as the one that it shares DWARF with, or a finished table.
 */
#include "nsresolve/inlines.h"
#include "nsresolve/inlinetab.h"
#include "tests/fuzz/fuzz.h"

#define ADDRESSES 64
#define FIRST 0x1000u /* where the seeds' code is */

enum { AS_FILE, AS_SHARED, AS_TABLE, WAYS };

/* Asks a table in every way that the agent does. */
static void ask(const struct inlinetab *t)
{
    for (uint64_t i = 0; i < 2 * ADDRESSES; i++) {
        const struct inline_address *a = inlinetab_find(t, FIRST + i);

        must(!a || (a->address == FIRST + i && a->state < INLINE_STATE_COUNT));
        for (unsigned k = 0; a && k < a->count; k++)
            must(strlen(inlinetab_name(t, a, k)) <= INLINETAB_MAX_BYTES);
    }
}

static void open_table(int fd, bool ours)
{
    _cleanup_(inlinetab_freep) struct inlinetab *t = NULL;
    int r = inlinetab_open(sealed(fd), &t);

    must(!ours || r == 0); /* what the parser writes passes the agent's checks */
    if (r == 0)
        ask(t);
}

static void parse(uint8_t way, const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_of(data, size), out_fd = memfd_of("", 0);
    _cleanup_close_ int addresses_fd = -1;
    uint64_t addresses[ADDRESSES];
    struct wire_parse_inlines want = {.address_count = ADDRESSES};
    struct inlines_input in = {.fd = fd, .alt_fds = &fd, .alt_count = way == AS_SHARED};

    for (unsigned i = 0; i < ADDRESSES; i++)
        addresses[i] = FIRST + i;
    addresses_fd = memfd_of(addresses, sizeof(addresses));
    in.addresses_fd = addresses_fd;
    if (way == AS_SHARED)
        want.alt_build_id_size = 1; /* ID ff: mutations of a note may get there */
    memset(want.alt_build_id, 0xff, want.alt_build_id_size);
    if (inlines_parse(&in, &want, out_fd) == 0)
        open_table(out_fd, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t way;

    if (size == 0)
        return 0;
    way = data[0] % WAYS;
    if (way == AS_TABLE) {
        _cleanup_close_ int fd = memfd_of(data + 1, size - 1);

        open_table(fd, false);
    } else {
        parse(way, data + 1, size - 1);
    }
    return 0;
}
