/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/columns.h"
#include "cli/width.h"

static void text_name(struct buf *b, const struct json_object *o)
{
    const char *s = json_string(o, "name");

    if (s)
        buf_adds(b, s);
}

static void text_count(struct buf *b, const struct json_object *o)
{
    buf_addf(b, "%llu", (unsigned long long)json_count(o, "n"));
}

static const struct column columns[] = {
    {"NAME", "a name", text_name, false, 6},
    {"N", "a number", text_count, true, 0},
    {"LAST", "the name again", text_name, false, 4},
    {0},
};

static char *table_of(const char *json, unsigned width)
{
    _cleanup_json_ struct json_object *rows = json_tokener_parse(json);
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(rows);
    assert_int_equal(columns_print(columns, rows, width, f), 0);
    fclose(f);
    return text;
}

static void columns_line_up_and_numbers_stand_right(void **state _unused_)
{
    char *text = table_of("[{\"name\":\"ab\",\"n\":5},{\"n\":1234}]", 80);

    assert_string_equal(text, "NAME     N  LAST\n"
                              "ab       5  ab\n"
                              "-     1234  -\n");
    free(text);
}

static void wide_cells_are_cut_to_the_terminal(void **state _unused_)
{
    char *text = table_of("[{\"name\":\"abcdefghijklmnopqrstuvwxyz\",\"n\":5}]", 24);

    for (const char *p = text; *p; p += strcspn(p, "\n") + 1) {
        char *line = strndup(p, strcspn(p, "\n"));

        assert_true(width_of(line) <= 24);
        free(line);
    }
    assert_non_null(strstr(text, "…"));
    free(text);
}

static void hostile_names_bring_no_control_bytes(void **state _unused_)
{
    char *text = table_of("[{\"name\":\"a\\u001b[2J\\nforged row\",\"n\":5}]", 80);

    assert_no_controls(text);
    assert_int_equal(count_of(text, "\n"), 2);
    free(text);
}

static void width_counts_columns_and_not_bytes(void **state _unused_)
{
    struct buf b = {0};

    assert_int_equal(width_of("abc"), 3);
    assert_int_equal(width_of("é…"), 2);
    assert_int_equal(width_of("日本"), 4);
    assert_int_equal(width_of("e\xcc\x81"), 1);
    width_add_cut(&b, "日本語", 5);
    assert_string_equal(b.data, "日本…");
    b.size = 0;
    width_add_cut(&b, "abcdef", 6);
    assert_string_equal(b.data, "abcdef");
    b.size = 0;
    width_add_cut(&b, "abcdef", 1);
    assert_string_equal(b.data, "…");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up_and_numbers_stand_right),
        cmocka_unit_test(wide_cells_are_cut_to_the_terminal),
        cmocka_unit_test(hostile_names_bring_no_control_bytes),
        cmocka_unit_test(width_counts_columns_and_not_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
