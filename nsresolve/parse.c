/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/parse.h"

#include "nsresolve/demangle.h"
#include "nsresolve/ehframe.h"
#include "nsresolve/elf.h"
#include "nsresolve/maps.h"
#include "nsresolve/perfmap.h"
#include "nsresolve/symtab.h"

#include <errno.h>
#include <string.h>

static int parse_elf(const void *payload, size_t size, int in_fd, int out_fd)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    struct wire_parse_elf want;
    int r;

    if (size != sizeof(want))
        return -EBADMSG;
    memcpy(&want, payload, sizeof(want));
    if (want.build_id_size > sizeof(want.build_id))
        return -EBADMSG;

    r = symtab_builder_new(&b);
    if (r == 0)
        r = elf_parse(in_fd, &want, b);
    if (r == 0)
        r = symtab_builder_write(b, out_fd);
    return r;
}

static int parse_perfmap(int in_fd, int out_fd)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    int r;

    r = symtab_builder_new(&b);
    if (r == 0)
        r = perfmap_parse(in_fd, b);
    if (r == 0)
        r = symtab_builder_write(b, out_fd);
    return r;
}

static int parse_unwind(int in_fd, int out_fd)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    int r;

    r = unwindtab_builder_new(&b);
    if (r == 0)
        r = ehframe_parse(in_fd, b);
    if (r == 0)
        r = unwindtab_builder_write(b, out_fd);
    return r;
}

static int parse(enum wire_op op, const void *payload, size_t size, int in_fd, int out_fd)
{
    switch (op) {
    case WIRE_PARSE_MAPS:
        return maps_parse(in_fd, out_fd);
    case WIRE_PARSE_ELF:
        return parse_elf(payload, size, in_fd, out_fd);
    case WIRE_PARSE_PERFMAP:
        return parse_perfmap(in_fd, out_fd);
    case WIRE_DEMANGLE:
        return demangle_stream(in_fd, out_fd);
    case WIRE_PARSE_UNWIND:
        return parse_unwind(in_fd, out_fd);
    default:
        return -EOPNOTSUPP;
    }
}

enum wire_status parse_request(enum wire_op op, const void *payload, size_t size, int in_fd,
                               int out_fd, int *error)
{
    int r = parse(op, payload, size, in_fd, out_fd);

    *error = 0;
    switch (r) {
    case 0:
        return WIRE_OK;
    case 1:
        *error = E2BIG;
        return WIRE_OK;
    case -EBADMSG:
        return WIRE_MALFORMED;
    case -EFBIG:
        return WIRE_TOO_BIG;
    default:
        *error = -r;
        return WIRE_FAILED;
    }
}
