/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#define RUNQ \
    "{'type':'started','porthole':1,'view':'runq','unit':'waits','yields':'records','target':'w'}"
#define SLICE(state, from, to, buckets)                                                           \
    "{'type':'histogram','histogram':'runq','state':'" state "','from_ms':" #from ",'to_ms':" #to \
    ",'buckets':[" buckets "]}"

static char *picture_of(const char *const *lines, const char *title)
{
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    const struct render_options o = {.title = title};

    return rendered(render_heatmap, m, &o, NULL);
}

static void each_bucket_of_a_slice_is_a_cell(void **state _unused_)
{
    static const char *const lines[] = {RUNQ, SLICE("runnable", 0, 100, "[1024,1536,12],[2,3,1]"),
                                        SLICE("runnable", 100, 200, "[1024,1536,1000]"), END, NULL};
    char *text = picture_of(lines, NULL);

    assert_int_equal(count_of(text, "<rect class=\"cell "), 3);
    assert_non_null(strstr(text, "<title>12 waits of 1.0 ms to 1.5 ms, second 0.0 to 0.1</title>"));
    assert_non_null(strstr(text, "<title>1 wait of 2 µs to 3 µs, second 0.0 to 0.1</title>"));
    assert_non_null(strstr(text, "<title>1,000 waits of 1.0 ms to 1.5 ms, second 0.1 to 0.2"));
    assert_non_null(strstr(text, "cell r9\"")); /* the most */
    assert_non_null(strstr(text, "cell r0\"")); /* one */
    assert_non_null(strstr(text, ">time since the capture began</text>"));
    assert_non_null(strstr(text, ">waited</text>"));
    assert_non_null(strstr(text, ">1 ms</text>"));
    assert_non_null(strstr(text, ">0.5 s</text>")); /* the capture's second, waits or not */
    assert_null(strstr(text, "throttled by"));
    free(text);
}

static void throttled_time_has_a_panel_of_its_own(void **state _unused_)
{
    static const char *const lines[] = {RUNQ, SLICE("runnable", 0, 100, "[8,12,5]"),
                                        SLICE("throttled", 0, 100, "[65536,98304,2]"), END, NULL};
    char *text = picture_of(lines, NULL);

    assert_int_equal(count_of(text, "<g class=\"panel "), 2);
    assert_non_null(strstr(text, ">throttled by the CPU quota</text>"));
    assert_int_equal(count_of(text, "<rect class=\"cell q"), 1);
    free(text);
}

static void no_waits_are_said_to_be_none(void **state _unused_)
{
    static const char *const lines[] = {RUNQ, END, NULL};
    char *text = picture_of(lines, NULL);

    assert_non_null(strstr(text, ">no waits for a CPU</text>"));
    assert_int_equal(count_of(text, "<g class=\"panel "), 0);
    free(text);
}

/* A server's connections have no connect of its own. */
static void rows_without_a_time_are_not_said_to_be_none(void **state _unused_)
{
    static const char *const lines[] = {
        "{'type':'started','porthole':1,'view':'tcp','unit':'connections','yields':'records'}",
        "{'type':'quality','taken':3,'shown':3,'lost':{}}", END, NULL};
    char *text = picture_of(lines, NULL);

    assert_null(strstr(text, "no TCP connections"));
    assert_non_null(strstr(text, ">no connects from here: "));
    free(text);
}

static void foreign_words_bring_no_markup(void **state _unused_)
{
    static const char *const lines[] = {
        "{'type':'started','porthole':1,'view':'runq','unit':'</text><script>','yields':'records',"
        "'target':'</title><script>\\u001b','host':']]>\\u009b<b>'}",
        SLICE("runnable\\u001b<b>", 0, 100, "[8,12,5]"), SLICE("runnable", 0, 100, "[8,12,5]"), END,
        NULL};
    char *text = picture_of(lines, NULL), *titled = picture_of(lines, "<svg onload=\033x>");

    assert_no_controls(text);
    assert_no_controls(titled);
    assert_int_equal(count_of(text, "<script"), 0);
    assert_int_equal(count_of(titled, "<svg"), 1);
    assert_int_equal(count_of(text, "<b>"), 0);
    assert_int_equal(count_of(text, "<rect class=\"cell "), 1);
    free(text);
    free(titled);
}

static void numbers_that_lie_draw_within_bounds(void **state _unused_)
{
    static const char *const lines[] = {
        RUNQ,
        SLICE("runnable", 0, 1, "[18446744073709551615,0,18446744073709551615],[0,1,1]"),
        SLICE("runnable", 0, 1, "[18446744073709551615,0,18446744073709551615]"),
        SLICE("runnable", 18446744073709551614, 18446744073709551615, "[1,2,1]"),
        SLICE("runnable", 9, 9, "[1,2,1]"),
        SLICE("runnable", 0, 1, "7,[],[1,2],{},[1,2,-3],['a','b','c'],null"),
        "{'type':'end','status':'done','elapsed_ms':18446744073709551615}",
        NULL};
    char *text = picture_of(lines, NULL);

    assert_int_equal(count_of(text, "<rect class=\"cell "), 2);
    assert_true(strlen(text) < 100000);
    free(text);
}

static void latency_of_requests_is_drawn_in_their_words(void **state _unused_)
{
    static const char *const lines[] = {
        "{'type':'started','porthole':1,'view':'block','record':'block','yields':'records'}",
        "{'type':'histogram','histogram':'block','state':'latency','from_ms':0,'to_ms':100,"
        "'buckets':[[1024,1536,12]]}",
        "{'type':'histogram','histogram':'block','state':'runnable','from_ms':0,'to_ms':100,"
        "'buckets':[[1024,1536,12]]}",
        END, NULL};
    char *text = picture_of(lines, NULL);

    assert_int_equal(count_of(text, "<g class=\"panel "), 1);
    assert_non_null(strstr(text, ">latency, queue and device together</text>"));
    assert_non_null(strstr(text, "<title>12 requests of 1.0 ms to 1.5 ms, second 0.0 to 0.1"));
    assert_non_null(strstr(text, ">took</text>"));
    assert_non_null(strstr(text, ">1 request</text>"));
    assert_null(strstr(text, "wait"));
    free(text);
}

/* A capture of hours has slices of a second: more than a picture has columns. */
static void slices_too_many_to_see_are_drawn_together(void **state _unused_)
{
    static const char *const lines[] = {RUNQ,
                                        SLICE("runnable", 0, 1000, "[8,12,5]"),
                                        SLICE("runnable", 1000, 2000, "[8,12,7]"),
                                        SLICE("runnable", 2000, 3000, "[8,12,1]"),
                                        SLICE("runnable", 2000000, 2001000, "[8,12,3]"),
                                        "{'type':'end','status':'done','elapsed_ms':2001000}",
                                        NULL};
    char *text = picture_of(lines, NULL);

    assert_int_equal(count_of(text, "<rect class=\"cell "), 3);
    assert_non_null(strstr(text, "<title>12 waits of 8 µs to 12 µs, second 0.0 to 2.0</title>"));
    assert_non_null(strstr(text, "<title>1 wait of 8 µs to 12 µs, second 2.0 to 4.0</title>"));
    assert_non_null(strstr(text, "<title>3 waits of 8 µs to 12 µs, second 2000.0 to 2002.0"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bucket_of_a_slice_is_a_cell),
        cmocka_unit_test(throttled_time_has_a_panel_of_its_own),
        cmocka_unit_test(no_waits_are_said_to_be_none),
        cmocka_unit_test(rows_without_a_time_are_not_said_to_be_none),
        cmocka_unit_test(foreign_words_bring_no_markup),
        cmocka_unit_test(latency_of_requests_is_drawn_in_their_words),
        cmocka_unit_test(slices_too_many_to_see_are_drawn_together),
        cmocka_unit_test(numbers_that_lie_draw_within_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
