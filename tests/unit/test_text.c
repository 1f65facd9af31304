/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

#include <string.h>

static void gives(void (*add)(struct buf *, const char *), const char *in, const char *want)
{
    _cleanup_buf_ struct buf b = {0};

    add(&b, in);
    assert_int_equal(buf_error(&b), 0);
    assert_string_equal(b.data ? b.data : "", want);
}

static void bad_utf8_is_replaced(void **state _unused_)
{
    gives(text_add_terminal,
          "a\xff"
          "b",
          "a\xef\xbf\xbd"
          "b");
    gives(text_add_terminal, "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"); /* overlong */
    gives(text_add_terminal, "\xed\xa0\x80",
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");                    /* surrogate */
    gives(text_add_terminal, "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"); /* cut */
    gives(text_add_terminal, "\xf4\x90\x80\x80",
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    gives(text_add_terminal, "µ€😀", "µ€😀");
}

static void no_control_byte_reaches_a_terminal(void **state _unused_)
{
    gives(text_add_terminal, "\x1b[31mred\n\x7f\xc2\x9b", "\\x1b[31mred\\x0a\\x7f\\x9b");
    gives(text_add_terminal,
          "\xe2\x80\xae"
          "evil",
          "\xef\xbf\xbd"
          "evil");
    for (int c = 1; c < 256; c++) {
        _cleanup_buf_ struct buf b = {0};
        const char in[2] = {(char)c, '\0'};

        text_add_terminal(&b, in);
        for (size_t i = 0; i < b.size; i++)
            assert_true((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f);
    }
}

static void a_folded_frame_holds_no_separator(void **state _unused_)
{
    gives(text_add_folded, "a;b\nc 5", "a:b\\x0ac 5");
}

static void json_strings_are_escaped(void **state _unused_)
{
    gives(text_add_json, "a\"b\\c\n\x01/", "\"a\\\"b\\\\c\\u000a\\u0001/\"");
    gives(text_add_json, "", "\"\"");
}

static void xml_holds_no_markup(void **state _unused_)
{
    gives(text_add_xml, "<script>&\"'", "&#60;script&#62;&#38;&#34;&#39;");
    gives(text_add_xml, "]]>", "]]&#62;");
    gives(text_add_xml, "\x1b\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void long_text_is_cut_between_characters(void **state _unused_)
{
    for (size_t most = 4; most < 40; most++) {
        _cleanup_buf_ struct buf b = {0};

        text_add_utf8(&b, "€€€€€€€€€€€€€€€€", 48, most);
        assert_true(b.size <= most + 3);
        for (size_t i = 0, n; i < b.size; i += n) {
            n = utf8_length(b.data + i, b.size - i);
            assert_true(n > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_utf8_is_replaced),
        cmocka_unit_test(no_control_byte_reaches_a_terminal),
        cmocka_unit_test(a_folded_frame_holds_no_separator),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(xml_holds_no_markup),
        cmocka_unit_test(long_text_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
