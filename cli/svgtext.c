/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/svgtext.h"

#include "base/text.h"
#include "cli/width.h"

void svgtext_add(struct buf *b, const char *text)
{
    _cleanup_buf_ struct buf safe = {0};

    text_add_terminal(&safe, text);
    if (buf_error(&safe) < 0)
        b->failed = true;
    else if (safe.data)
        text_add_xml(b, safe.data);
}

void svgtext_add_cut(struct buf *b, const char *text, unsigned width)
{
    _cleanup_buf_ struct buf safe = {0}, cut = {0};

    text_add_terminal(&safe, text);
    if (safe.data)
        width_add_cut(&cut, safe.data, width);
    if (buf_error(&safe) < 0 || buf_error(&cut) < 0)
        b->failed = true;
    else if (cut.data)
        text_add_xml(b, cut.data);
}
