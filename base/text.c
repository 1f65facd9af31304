/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

size_t utf8_length(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t length;

    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF (RFC 3629, section 4). */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

void text_add_utf8(struct buf *b, const char *s, size_t n, size_t max_bytes)
{
    size_t start = b->size;

    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(s + i, n - i);

        if (b->size - start + 4 > max_bytes) {
            buf_adds(b, "…");
            return;
        }
        if (length)
            buf_add(b, s + i, length);
        else
            buf_adds(b, REPLACEMENT);
        i += length ? length : 1;
    }
}

/* Calls add for each character of s, bad bytes as U+FFFD. */
static void each_character(struct buf *b, const char *s,
                           void (*add)(struct buf *b, const char *c, size_t n))
{
    size_t left = strlen(s);

    while (left) {
        size_t n = utf8_length(s, left);

        if (n)
            add(b, s, n);
        else
            buf_adds(b, REPLACEMENT);
        n = n ? n : 1;
        s += n;
        left -= n;
    }
}

static bool is_control(const char *c, size_t n)
{
    const unsigned char *p = (const unsigned char *)c;

    return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

static void add_json_character(struct buf *b, const char *c, size_t n)
{
    if (n == 1 && (*c == '"' || *c == '\\')) {
        buf_addc(b, '\\');
        buf_addc(b, *c);
    } else if (n == 1 && ((unsigned char)*c < 0x20 || *c == 0x7f)) {
        buf_addf(b, "\\u%04x", (unsigned char)*c);
    } else {
        buf_add(b, c, n);
    }
}

void text_add_json(struct buf *b, const char *s)
{
    buf_addc(b, '"');
    each_character(b, s, add_json_character);
    buf_addc(b, '"');
}

/* Characters that turn the writing direction can make a name read as another one. */
static bool is_bidi_override(const char *c, size_t n)
{
    const unsigned char *p = (const unsigned char *)c;

    return n == 3 && p[0] == 0xe2 &&
           ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
            (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

static void add_terminal_character(struct buf *b, const char *c, size_t n)
{
    if (is_control(c, n))
        buf_addf(b, "\\x%02x", (unsigned char)c[n - 1]);
    else if (is_bidi_override(c, n))
        buf_adds(b, REPLACEMENT);
    else
        buf_add(b, c, n);
}

void text_add_terminal(struct buf *b, const char *s)
{
    each_character(b, s, add_terminal_character);
}

static void add_folded_character(struct buf *b, const char *c, size_t n)
{
    if (n == 1 && *c == ';')
        buf_addc(b, ':');
    else
        add_terminal_character(b, c, n);
}

void text_add_folded(struct buf *b, const char *s)
{
    each_character(b, s, add_folded_character);
}

static void add_xml_character(struct buf *b, const char *c, size_t n)
{
    if (is_control(c, n)) {
        if (n == 1 && (*c == '\t' || *c == '\n'))
            buf_addf(b, "&#%d;", *c);
        else
            buf_adds(b, REPLACEMENT);
    } else if (n == 3 && memcmp(c, "\xef\xbf", 2) == 0 && (unsigned char)c[2] >= 0xbe) {
        buf_adds(b, REPLACEMENT); /* U+FFFE and U+FFFF are not characters of XML 1.0 */
    } else if (n == 1 && strchr("&<>\"'", *c)) {
        buf_addf(b, "&#%d;", *c);
    } else {
        buf_add(b, c, n);
    }
}

void text_add_xml(struct buf *b, const char *s)
{
    each_character(b, s, add_xml_character);
}
