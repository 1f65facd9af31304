/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/parse.h"

#include "nsresolve/arguments.h"
#include "nsresolve/demangle.h"
#include "nsresolve/ehframe.h"
#include "nsresolve/elf.h"
#include "nsresolve/inlines.h"
#include "nsresolve/jitdump.h"
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

static int parse_perfmap(const void *payload, size_t size, int in_fd, int out_fd)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    struct wire_parse_perfmap from;
    int r;

    if (size != sizeof(from))
        return -EBADMSG;
    memcpy(&from, payload, sizeof(from));
    r = symtab_builder_new(&b);
    if (r == 0)
        r = perfmap_parse(in_fd, &from, b);
    if (r == 0)
        r = symtab_builder_write(b, out_fd);
    return r;
}

static int parse_jitdump(int in_fd, int out_fd)
{
    _cleanup_(codetab_builder_freep) struct codetab_builder *b = NULL;
    int r;

    r = codetab_builder_new(&b);
    if (r == 0)
        r = jitdump_parse(in_fd, b);
    if (r == 0)
        r = codetab_builder_write(b, out_fd);
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

static int demangle(const void *payload, size_t size, int in_fd, int out_fd)
{
    struct wire_demangle want = {0};

    if (size != sizeof(want))
        return -EBADMSG;
    memcpy(&want, payload, sizeof(want));
    return demangle_stream(in_fd, out_fd, want.flags & WIRE_DEMANGLE_FULL);
}

static int parse_inlines(const void *payload, size_t size, const struct parse_files *files)
{
    struct wire_parse_inlines want;

    if (size != sizeof(want) || files->more_count == 0)
        return -EBADMSG;
    memcpy(&want, payload, sizeof(want));
    return inlines_parse(&(struct inlines_input){.fd = files->in_fd,
                                                 .addresses_fd = files->more[0],
                                                 .alt_fds = files->more + 1,
                                                 .alt_count = files->more_count - 1},
                         &want, files->out_fd);
}

static int parse(enum wire_op op, const void *payload, size_t size, const struct parse_files *files)
{
    int in_fd = files->in_fd, out_fd = files->out_fd;

    switch (op) {
    case WIRE_PARSE_MAPS:
        return maps_parse(in_fd, out_fd);
    case WIRE_PARSE_ELF:
        return parse_elf(payload, size, in_fd, out_fd);
    case WIRE_PARSE_PERFMAP:
        return parse_perfmap(payload, size, in_fd, out_fd);
    case WIRE_DEMANGLE:
        return demangle(payload, size, in_fd, out_fd);
    case WIRE_PARSE_ARGUMENTS:
        return arguments_parse(in_fd, out_fd);
    case WIRE_PARSE_UNWIND:
        return parse_unwind(in_fd, out_fd);
    case WIRE_PARSE_JITDUMP:
        return parse_jitdump(in_fd, out_fd);
    case WIRE_PARSE_INLINES:
        return parse_inlines(payload, size, files);
    default:
        return -EOPNOTSUPP;
    }
}

enum wire_status parse_request(enum wire_op op, const void *payload, size_t size,
                               const struct parse_files *files, int *error)
{
    int r = parse(op, payload, size, files);

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
