/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many columns of fixed width a text takes, and cutting it to fit. For tables, trees and the
 * labels of SVG frames; the text must be valid UTF-8 without control characters.
 */
#pragma once

#include "base/buf.h"

/* Columns that text takes; wide characters (CJK, emoji) take two, combining ones none. */
unsigned width_of(const char *text);

/* Appends text, cut with "…" at the end so that it takes at most width columns. */
void width_add_cut(struct buf *b, const char *text, unsigned width);
