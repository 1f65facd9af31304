/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of inlined functions share: programs built on the spot, and a file's table, made
 * as the parser makes it and opened as the agent opens it.
 */
#pragma once

#include "nsresolve/elf_file.h"
#include "nsresolve/elf_notes.h"
#include "nsresolve/inlines.h"
#include "nsresolve/inlinetab.h"
#include "tests/unit/tables.h"

#include <errno.h>

static char scratch[] = "/tmp/porthole-inlines.XXXXXX";

static _unused_ int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) ? 0 : -1;
}

static _unused_ int remove_scratch(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

/* Runs a command in the scratch directory; false when it fails. */
static _unused_ _printf_(1, 2) bool run(const char *fmt, ...)
{
    char command[1024];
    va_list ap;
    int n = snprintf(command, sizeof(command), "cd '%s' && ", scratch);

    va_start(ap, fmt);
    vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
    va_end(ap);
    return system(command) == 0;
}

static _unused_ void write_text(const char *name, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", scratch, name);
    f = fopen(path, "w");
    assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static _unused_ int open_scratch(const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", scratch, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Asks for the inlined functions at count addresses. alt_fd: -1 without. */
static _unused_ int inlines_of(int fd, int alt_fd, const struct wire_parse_inlines *want,
                               const uint64_t *addresses, struct inlinetab **ret)
{
    _cleanup_close_ int addresses_fd =
        memfd_of(addresses, want->address_count * sizeof(*addresses));
    _cleanup_close_ int out_fd = memfd_empty();
    const struct inlines_input in = {
        .fd = fd, .addresses_fd = addresses_fd, .alt_fds = &alt_fd, .alt_count = alt_fd >= 0};
    int r = inlines_parse(&in, want, out_fd);

    if (r < 0)
        return r;
    seal(out_fd);
    assert_int_equal(inlinetab_open(out_fd, ret), 0);
    return 0;
}

/* Every step-th address of a file's .text in a new array. */
static _unused_ uint64_t *text_addresses(int fd, unsigned step, size_t *count)
{
    struct elf_file f;
    uint64_t *list = NULL;

    assert_int_equal(elf_file_open(&f, fd), 0);
    *count = 0;
    for (size_t i = 0; i < f.section_count && !list; i++) {
        const Elf64_Shdr *s = &f.sections[i];

        if (!elf_file_section_is(&f, s, ".text"))
            continue;
        list = calloc(s->sh_size / step + 1, sizeof(*list));
        assert_non_null(list);
        for (uint64_t at = 0; at < s->sh_size && *count < INLINETAB_MAX_ADDRESSES; at += step)
            list[(*count)++] = s->sh_addr + at;
    }
    elf_file_close(&f);
    assert_non_null(list);
    return list;
}
