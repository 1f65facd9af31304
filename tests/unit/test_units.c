/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/units.h"

/* A finished model of that view with nothing in it; NULL: read from folded lines. */
static struct model *model_of_view(const char *view, const char *unit)
{
    char started[160];
    const char *const lines[] = {started, NULL};

    if (!view)
        return model_of_folded("a;b 1\n");
    snprintf(started, sizeof(started), "{'type':'started','porthole':1,'view':'%s','unit':'%s'}",
             view, unit);
    return model_of_lines(false, lines);
}

static void assert_value(const char *view, const char *unit, uint64_t value, const char *want)
{
    _cleanup_(model_freep) struct model *m = model_of_view(view, unit);
    _cleanup_buf_ struct buf b = {0};

    units_add_value(&b, m, value);
    assert_string_equal(b.data, want);
}

static void microseconds_take_the_unit_that_is_short(void **state _unused_)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {{0, "0 µs"},
                 {999, "999 µs"},
                 {1000, "1.0 ms"},
                 {999999, "999.9 ms"},
                 {1000000, "1.000 s"},
                 {12345678, "12.345 s"},
                 {1234567890123, "1,234,567.890 s"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buf_ struct buf b = {0};

        units_add_us(&b, cases[i].us);
        assert_string_equal(b.data, cases[i].text);
    }
}

static void bytes_take_the_unit_that_is_short(void **state _unused_)
{
    static const struct {
        uint64_t n;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {999, "999 B"},
                 {1000, "1.0 KiB"},
                 {1024 * 999, "999.0 KiB"},
                 {1024 * 1000, "1.0 MiB"}, /* not 1000.0 KiB, nor is 999.96 */
                 {1024 * 1000 - 40, "1.0 MiB"},
                 {3ull << 29, "1.5 GiB"},
                 {UINT64_MAX, "16.0 EiB"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buf_ struct buf b = {0};

        units_add_bytes(&b, cases[i].n);
        assert_string_equal(b.data, cases[i].text);
    }
}

static void counts_are_grouped(void **state _unused_)
{
    _cleanup_buf_ struct buf b = {0};

    units_add_grouped(&b, 7);
    buf_addc(&b, ' ');
    units_add_grouped(&b, 1000);
    buf_addc(&b, ' ');
    units_add_grouped(&b, UINT64_MAX);
    assert_string_equal(b.data, "7 1,000 18,446,744,073,709,551,615");
}

static void each_view_says_what_its_values_are(void **state _unused_)
{
    assert_value("cpu", "samples", 1500, "1,500 samples");
    assert_value("offcpu", "microseconds", 12345678, "12.345 s blocked");
    assert_value("chain", "microseconds", 1500, "1.5 ms blocked");
    assert_value("hotcold", "microseconds", 1500000, "1.500 s");
    assert_value("switches", "switches", 1234, "1,234 switches");
    assert_value("runq", "waits", 1234, "1,234 waits");
    assert_value("later", "bytes", 5000, "4.9 KiB");
    assert_value("later", "microseconds", 5000, "5.0 ms");
    assert_value(NULL, NULL, 5000, "5,000 samples");
}

static void titles_say_what_is_drawn(void **state _unused_)
{
    static const char *const titles[][2] = {{"offcpu", "Waiting time of all"},
                                            {"cpu", "CPU time of all"},
                                            {"hotcold", "CPU and waiting time of all"},
                                            {"later", "later of all"}};

    for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
        _cleanup_(model_freep) struct model *m = model_of_view(titles[i][0], "microseconds");
        _cleanup_free_ char *title = model_title(m, NULL);

        assert_string_equal(title, titles[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(microseconds_take_the_unit_that_is_short),
        cmocka_unit_test(bytes_take_the_unit_that_is_short),
        cmocka_unit_test(counts_are_grouped),
        cmocka_unit_test(each_view_says_what_its_values_are),
        cmocka_unit_test(titles_say_what_is_drawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
