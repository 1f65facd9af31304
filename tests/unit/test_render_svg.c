/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

/* The text up to the script, which holds no foreign bytes. */
static char *picture(const struct model *m, const struct render_options *o)
{
    char *text = rendered(render_svg, m, o, NULL), *script = strstr(text, "<script>");

    assert_non_null(script);
    *script = '\0';
    return text;
}

static void a_frame_has_its_name_samples_and_share(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_folded("a;main;x 1500\na;main;y 500\n");
    char *text = picture(m, NULL);

    assert_non_null(strstr(text, "<title>x (1,500 samples, 75.00%)</title>"));
    assert_non_null(strstr(text, "<title>all (2,000 samples, 100.00%)</title>"));
    assert_non_null(strstr(text, "data-s=\"1500\" data-v=\"500\"><title>y "));
    assert_non_null(strstr(text, "x=\"75.000%\""));
    free(text);
}

static void kinds_have_their_hue_and_names_their_shade(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m =
        model_of_folded("a;u;k_[k];c::c;j_[j];i_[i] 1\nb;u 1\n");
    char *text = picture(m, NULL), *first = strstr(text, "<title>u (");
    char *second = first ? strstr(first + 1, "<title>u (") : NULL;

    assert_non_null(second);
    first = strstr(first, "class=\"");
    second = strstr(second, "class=\"");
    assert_memory_equal(first, second, strlen("class=\"u0\""));
    for (const char *kind = "ukcji"; *kind; kind++) {
        char rule[16];

        snprintf(rule, sizeof(rule), ".%c0{fill", *kind);
        assert_non_null(strstr(text, rule));
    }
    free(text);
}

static void hostile_names_bring_neither_markup_nor_control_bytes(void **state _unused_)
{
    const char *const lines[] = {STARTED, HOSTILE, END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    const struct render_options o = {.title = "</text><script>alert(2)</script>\033"};
    char *text = rendered(render_svg, m, &o, NULL);

    assert_no_controls(text);
    assert_int_equal(count_of(text, "<script"), 1);
    assert_int_equal(count_of(text, "]]>"), 1);
    assert_non_null(strstr(text, "&#60;script&#62;alert(1)"));
    /* Boxes of the root, a thread and the four frames: no forged ones. */
    assert_int_equal(count_of(text, "<g data-s="), 1 + 1 + 2 + 2);
    free(text);
}

static void frames_too_narrow_to_see_are_left_out_and_counted(void **state _unused_)
{
    _cleanup_free_ char *folded = calloc(1, 100000);
    _cleanup_(model_freep) struct model *m = NULL;
    char *text, *at = folded;

    at += sprintf(at, "a;wide 99999000\n");
    for (int i = 0; i < 1000; i++)
        at += sprintf(at, "a;narrow%d;deep 1\n", i);
    m = model_of_folded(folded);
    text = picture(m, NULL);
    assert_null(strstr(text, "narrow1"));
    assert_non_null(strstr(text, "2,000 frames too narrow to see"));
    free(text);
}

static void very_many_frames_are_thinned_out_until_a_browser_copes(void **state _unused_)
{
    size_t room = 4u << 20;
    char *folded = calloc(1, room), *at = folded, *text;
    _cleanup_(model_freep) struct model *m = NULL;

    for (int i = 0; i < 60000; i++)
        at += sprintf(at, "a;f%d;g;h;i;j %d\n", i, 1 + i % 7);
    m = model_of_folded(folded);
    text = picture(m, NULL);
    assert_true(count_of(text, "<g data-s=") <= 20001);
    free(text);
    free(folded);
}

static void an_icicle_has_its_root_at_the_top(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_folded("a;x 1\n");
    const struct render_options o = {.icicle = true};
    char *flame = picture(m, NULL), *icicle = picture(m, &o);

    assert_non_null(strstr(flame, "class=\"all w\" x=\"0.000%\" y=\"34\""));
    assert_non_null(strstr(icicle, "class=\"all w\" x=\"0.000%\" y=\"0\""));
    free(flame);
    free(icicle);
}

static void no_samples_make_a_picture_that_says_so(void **state _unused_)
{
    const char *const lines[] = {STARTED, END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = picture(m, NULL);

    assert_non_null(strstr(text, "no samples"));
    assert_null(strstr(text, "nan"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_has_its_name_samples_and_share),
        cmocka_unit_test(kinds_have_their_hue_and_names_their_shade),
        cmocka_unit_test(hostile_names_bring_neither_markup_nor_control_bytes),
        cmocka_unit_test(frames_too_narrow_to_see_are_left_out_and_counted),
        cmocka_unit_test(very_many_frames_are_thinned_out_until_a_browser_copes),
        cmocka_unit_test(an_icicle_has_its_root_at_the_top),
        cmocka_unit_test(no_samples_make_a_picture_that_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
