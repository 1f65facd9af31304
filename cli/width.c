/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/width.h"

#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* Blocks whose characters take no column or two; good enough for layout, and no locale needed. */
static const struct {
    uint32_t first, last;
    unsigned width;
} blocks[] = {
    {0x0300, 0x036f, 0},   {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0}, {0x20d0, 0x20ff, 0},
    {0x2e80, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2}, {0xfe00, 0xfe0f, 0},
    {0xfe30, 0xfe4f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2},
    {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
};

/* Size of the character at p, 1 for a byte that begins none; *width gets its columns. */
static size_t character(const char *p, size_t left, unsigned *width)
{
    size_t n = utf8_length(p, left);
    uint32_t c;

    *width = 1;
    if (n < 2)
        return 1;
    c = (unsigned char)p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
        if (c >= blocks[i].first && c <= blocks[i].last)
            *width = blocks[i].width;
    return n;
}

unsigned width_of(const char *text)
{
    size_t left = strlen(text);
    unsigned sum = 0;

    while (left) {
        unsigned width;
        size_t n = character(text, left, &width);

        sum += width;
        text += n;
        left -= n;
    }
    return sum;
}

void width_add_cut(struct buf *b, const char *text, unsigned width)
{
    size_t left = strlen(text), at = 0, keep = 0;
    unsigned sum = 0;

    while (at < left) {
        unsigned w;
        size_t n = character(text + at, left - at, &w);

        if (sum + w > width) {
            /* keep is the last place where a column was left for the ellipsis. */
            buf_add(b, text, keep);
            if (width)
                buf_adds(b, "…");
            return;
        }
        sum += w;
        at += n;
        if (sum + 1 <= width)
            keep = at;
    }
    buf_add(b, text, left);
}
