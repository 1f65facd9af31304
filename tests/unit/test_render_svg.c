/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

/* The text up to the script, which holds no foreign bytes. */
static char *picture(const struct model *m, const struct render_options *o)
{
    char *text = rendered(render_svg, m, o, NULL);
    size_t size = strlen(text), foreign = 0;

    while (foreign < size && strncmp(text + foreign, "<script>", 8) != 0)
        foreign++;
    assert_true(foreign < size);
    text[foreign] = '\0';
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

static void inlined_frames_are_aqua(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_folded("a;u;i_[i] 1\n");
    char *text = picture(m, NULL), *box = strstr(text, "<title>i (");
    unsigned r, g, b;

    assert_non_null(box);
    box = strstr(box, "class=\"");
    assert_int_equal(box[strlen("class=\"")], 'i');
    for (int shade = 0; shade < 2; shade++) {
        char rule[16], *at;

        snprintf(rule, sizeof(rule), ".i%d{fill:#", shade);
        at = strstr(text, rule);
        assert_non_null(at);
        assert_int_equal(sscanf(at + strlen(rule), "%2x%2x%2x", &r, &g, &b), 3);
        assert_true(g > r + 40 && b > r + 40 && (g > b ? g - b : b - g) < 20);
    }
    assert_non_null(strstr(text, ">inlined</text>"));
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

/* The classes of the first box of that name. */
static const char *classes_of(const char *text, const char *name)
{
    static char classes[16];
    char title[64];
    const char *at;

    snprintf(title, sizeof(title), "<title>%s (", name);
    at = strstr(text, title);
    assert_non_null(at);
    at = strstr(at, "class=\"") + strlen("class=\"");
    snprintf(classes, sizeof(classes), "%.*s", (int)MIN(strcspn(at, "\""), (size_t)15), at);
    return classes;
}

#define LABEL(id, name) \
    "{'type':'frame','id':" #id ",'name':'" name "','kind':'label','named':true}"
#define FUNCTION(id, name, kind) \
    "{'type':'frame','id':" #id ",'name':'" name "','kind':'" kind "','named':true}"

static void what_waited_is_cold_and_what_ran_is_warm(void **state _unused_)
{
    const char *const lines[] = {
        "{'type':'started','porthole':1,'view':'hotcold','unit':'microseconds','target':'w'}",
        LABEL(0, "on-CPU"), LABEL(1, "blocked"), FUNCTION(2, "spin", "user"),
        FUNCTION(3, "nap", "user"), FUNCTION(4, "schedule", "kernel"), FUNCTION(5, "jit", "jit"),
        /* A function may be called so; it is none of the view's words. */
        FUNCTION(6, "blocked", "user"), FUNCTION(7, "hot", "user"),
        "{'type':'stack','frames':[0,2],'value':1500000,'comm':'a'}",
        "{'type':'stack','frames':[0,6,7],'value':1000,'comm':'a'}",
        "{'type':'stack','frames':[1,3,4],'value':5000,'comm':'a'}",
        "{'type':'stack','frames':[1,5],'value':5000,'comm':'a'}", END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = picture(m, NULL);

    assert_int_equal(classes_of(text, "spin")[0], 'u');
    assert_int_equal(classes_of(text, "hot")[0], 'u');
    assert_int_equal(classes_of(text, "nap")[0], 'w');
    assert_int_equal(classes_of(text, "schedule")[0], 'n');
    assert_int_equal(classes_of(text, "jit")[0], 'w');
    assert_non_null(strstr(text, ">waiting</text>"));
    assert_non_null(strstr(text, ">waiting, kernel</text>"));
    assert_null(strstr(text, ">JIT</text>"));
    assert_non_null(strstr(text, "<title>spin (1.500 s, "));
    assert_non_null(strstr(text, "CPU and waiting time of w"));
    free(text);
}

static void wakers_are_paler_than_who_waits(void **state _unused_)
{
    const char *const lines[] = {
        "{'type':'started','porthole':1,'view':'offwake','unit':'microseconds'}",
        LABEL(0, "--"),
        FUNCTION(1, "wait", "kernel"),
        FUNCTION(2, "wake", "kernel"),
        LABEL(3, "holder"),
        "{'type':'stack','frames':[1,0,2,3],'value':1500,'comm':'a'}",
        END,
        NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = picture(m, NULL);

    assert_null(strstr(classes_of(text, "wait"), "pale"));
    assert_null(strstr(classes_of(text, "--"), "pale"));
    assert_non_null(strstr(classes_of(text, "wake"), "pale"));
    assert_non_null(strstr(classes_of(text, "holder"), "pale"));
    assert_non_null(strstr(text, "who woke it</text>"));
    assert_non_null(strstr(text, "<title>wait (1.5 ms blocked, 100.00%)"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waited_is_cold_and_what_ran_is_warm),
        cmocka_unit_test(wakers_are_paler_than_who_waits),
        cmocka_unit_test(a_frame_has_its_name_samples_and_share),
        cmocka_unit_test(kinds_have_their_hue_and_names_their_shade),
        cmocka_unit_test(inlined_frames_are_aqua),
        cmocka_unit_test(hostile_names_bring_neither_markup_nor_control_bytes),
        cmocka_unit_test(frames_too_narrow_to_see_are_left_out_and_counted),
        cmocka_unit_test(very_many_frames_are_thinned_out_until_a_browser_copes),
        cmocka_unit_test(an_icicle_has_its_root_at_the_top),
        cmocka_unit_test(no_samples_make_a_picture_that_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
