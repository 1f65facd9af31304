/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign text in pictures: safe as markup, and safe for terminals too, since names are copied out
 * of pictures. For the renderers of SVG; nothing else lets names into them.
 */
#pragma once

#include "base/buf.h"

void svgtext_add(struct buf *b, const char *text);

/* The same, cut with "…" to that many characters of a fixed font. */
void svgtext_add_cut(struct buf *b, const char *text, unsigned width);
