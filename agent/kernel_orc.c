/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kernel_orc.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT, TEXT_END, ADDRESSES, ADDRESSES_END, RULES, SYMBOL_COUNT };

static const char *const symbols[] = {
    [TEXT] = "_stext",
    [TEXT_END] = "_etext",
    [ADDRESSES] = "__start_orc_unwind_ip",
    [ADDRESSES_END] = "__stop_orc_unwind_ip",
    [RULES] = "__start_orc_unwind",
};

/* A line is "address type name", with the module behind a tab where there is one. */
static void note(const char *line, uint64_t found[SYMBOL_COUNT])
{
    const char *name = strchr(line, ' ');

    name = name ? strchr(name + 1, ' ') : NULL;
    if (!name || name[1] != '_')
        return;
    for (int i = 0; i < SYMBOL_COUNT; i++)
        if (strcmp(name + 1, symbols[i]) == 0)
            found[i] = strtoull(line, NULL, 16);
}

static bool all_found(const uint64_t found[SYMBOL_COUNT])
{
    for (int i = 0; i < SYMBOL_COUNT; i++)
        if (!found[i])
            return false;
    return true;
}

static void find_symbols(int fd, uint64_t found[SYMBOL_COUNT])
{
    _cleanup_buf_ struct buf text = {0};
    char *line, *newline;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return;
    while (!all_found(found) && buf_read_fd(&text, fd, 65536) > 0) {
        line = text.data;
        while ((newline = memchr(line, '\n', text.size - (size_t)(line - text.data)))) {
            *newline = '\0';
            note(line, found);
            line = newline + 1;
        }
        if (line == text.data)
            return; /* no text file has such lines */
        buf_consume(&text, (size_t)(line - text.data));
    }
}

void kernel_orc_find(int kallsyms_fd, struct kernel_orc *ret)
{
    uint64_t found[SYMBOL_COUNT] = {0};

    *ret = (struct kernel_orc){0};
    find_symbols(kallsyms_fd, found);
    if (!all_found(found) || found[ADDRESSES_END] < found[ADDRESSES])
        return;
    ret->addresses = found[ADDRESSES];
    ret->count = (uint32_t)((found[ADDRESSES_END] - found[ADDRESSES]) / sizeof(int32_t));
    ret->rules = found[RULES];
    ret->text = found[TEXT];
    ret->text_end = found[TEXT_END];
}
