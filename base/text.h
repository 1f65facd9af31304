/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making foreign text safe for where it goes. Every output uses one of these, no other.
 */
#pragma once

#include "base/buf.h"

/* Length of the valid UTF-8 sequence at s (1..4) within n bytes; 0 when invalid. */
size_t utf8_length(const char *s, size_t n);

/* Appends s with bad UTF-8 replaced by U+FFFD, cut (with "…") at max_bytes. */
void text_add_utf8(struct buf *b, const char *s, size_t n, size_t max_bytes);

/* A JSON string with its quotes. Bad UTF-8 becomes U+FFFD. */
void text_add_json(struct buf *b, const char *s);

/* For a terminal: control characters (C0, DEL, C1) as \xNN, bad UTF-8 as U+FFFD. */
void text_add_terminal(struct buf *b, const char *s);

/* One frame of a folded stack: as for a terminal, and ";" becomes ":", a blank-led number at the
 * end cannot be taken for the count because blanks stay inside the frame. */
void text_add_folded(struct buf *b, const char *s);

/* XML and HTML text or attribute value: markup escaped, characters that XML forbids dropped. */
void text_add_xml(struct buf *b, const char *s);
