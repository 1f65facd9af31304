/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/width.h"

static unsigned widest_line(const char *text)
{
    unsigned widest = 0;

    for (const char *p = text; *p; p += strcspn(p, "\n") + 1) {
        char *line = strndup(p, strcspn(p, "\n"));

        widest = MAX(widest, width_of(line));
        free(line);
    }
    return widest;
}

static void shares_and_values_stand_before_each_branch(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_folded("a;main;x 60\na;main;y 30\na;main 10");
    char *text = rendered(render_tree, m, NULL, NULL);

    assert_non_null(strstr(text, "100.0%  10.0%     100  a › main\n"));
    assert_non_null(strstr(text, " 60.0%  60.0%      60  ├ x\n"));
    assert_non_null(strstr(text, " 30.0%  30.0%      30  └ y\n"));
    free(text);
}

static void branches_below_the_threshold_are_summed_up(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_folded("a;x 90\na;y 4\na;z 3\na;w 3\n");
    const struct render_options o = {.width = 100, .min_percent = 5};
    char *text = rendered(render_tree, m, &o, NULL);

    assert_non_null(strstr(text, " 10.0%             10  └ …3 more branches\n"));
    assert_null(strstr(text, "y\n"));
    free(text);
}

static void a_long_run_takes_one_line_of_the_given_width(void **state _unused_)
{
    _cleanup_free_ char *folded = calloc(1, 4000);
    _cleanup_(model_freep) struct model *m = NULL;
    const struct render_options o = {.width = 80};
    char *text;

    for (int i = 0; i < 100; i++)
        sprintf(folded + strlen(folded), "function_number_%d;", i);
    strcat(folded, "innermost 1\n");
    m = model_of_folded(folded);
    text = rendered(render_tree, m, &o, NULL);
    assert_true(widest_line(text) <= 80);
    assert_int_equal(count_of(text, "\n"), 5);
    assert_non_null(strstr(text, "innermost\n"));
    assert_non_null(strstr(text, "function_number_0"));
    free(text);
}

static void a_tree_deeper_than_the_screen_ends_with_what_is_left(void **state _unused_)
{
    _cleanup_free_ char *folded = calloc(1, 100000);
    _cleanup_(model_freep) struct model *m = NULL;
    const struct render_options o = {.width = 60};
    char *text, *at = folded;

    for (int i = 1; i < 100; i++) {
        for (int j = 0; j < i; j++)
            at = stpcpy(at, "f;");
        at = stpcpy(at, "leaf 1\n");
    }
    m = model_of_folded(folded);
    text = rendered(render_tree, m, &o, NULL);
    assert_true(widest_line(text) <= 60);
    assert_non_null(strstr(text, "…2 deeper branches"));
    free(text);
}

static void hostile_names_bring_no_control_bytes_to_the_terminal(void **state _unused_)
{
    const char *const lines[] = {STARTED, HOSTILE, END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    const struct render_options o = {.width = 200, .title = "t\033[2J"};
    char *text = rendered(render_tree, m, &o, NULL);

    assert_no_controls(text);
    assert_null(strstr(text, "\nmain"));
    free(text);
}

static void colours_come_only_when_asked_for(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_folded("a;x_[k] 9\n");
    const struct render_options o = {.width = 80, .color = true};
    char *plain = rendered(render_tree, m, NULL, NULL),
         *colored = rendered(render_tree, m, &o, NULL);

    assert_null(strchr(plain, '\033'));
    assert_non_null(strstr(plain, "x_[k]"));
    assert_non_null(strstr(colored, "\033[33mx\033[0m"));
    free(plain);
    free(colored);
}

static void no_samples_are_said_to_be_none(void **state _unused_)
{
    const char *const lines[] = {STARTED, END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = rendered(render_tree, m, NULL, NULL);

    assert_non_null(strstr(text, "(no samples)"));
    free(text);
}

static void times_have_their_unit_and_stand_right(void **state _unused_)
{
    const char *const lines[] = {
        "{'type':'started','porthole':1,'view':'offcpu','unit':'microseconds','target':'w'}",
        "{'type':'stack','frames':[],'value':1500000,'comm':'a'}",
        "{'type':'stack','frames':[],'value':500000,'comm':'b'}", END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = rendered(render_tree, m, NULL, NULL);

    assert_non_null(strstr(text, "Waiting time of w\n"));
    assert_non_null(strstr(text, "2.000 s blocked\n"));
    assert_non_null(strstr(text, " total   self     time\n"));
    assert_non_null(strstr(text, " 75.0%  75.0%  1.500 s  a\n"));
    assert_non_null(strstr(text, " 25.0%  25.0% 500.0 ms  b\n"));
    free(text);
}

static void waiting_is_blue_and_wakers_are_dim(void **state _unused_)
{
    const char *const lines[] = {
        "{'type':'started','porthole':1,'view':'hotcold','unit':'microseconds'}",
        "{'type':'frame','id':0,'name':'blocked','kind':'label','named':true}",
        "{'type':'frame','id':1,'name':'work','kind':'user','named':true}",
        "{'type':'frame','id':2,'name':'schedule','kind':'kernel','named':true}",
        "{'type':'frame','id':3,'name':'--','kind':'label','named':true}",
        "{'type':'frame','id':4,'name':'wake','kind':'kernel','named':true}",
        "{'type':'stack','frames':[1],'value':9,'comm':'a'}",
        "{'type':'stack','frames':[0,1,2,3,4],'value':9,'comm':'b'}",
        END,
        NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    const struct render_options o = {.width = 100, .color = true};
    char *text = rendered(render_tree, m, &o, NULL);

    assert_non_null(strstr(text, "a\033[0m › work\n"));
    assert_non_null(strstr(text, "\033[94mwork\033[0m › \033[34mschedule\033[0m"));
    assert_non_null(strstr(text, "\033[2m\033[33mwake\033[0m"));
    free(text);
}

static void where_a_waker_begins_is_not_left_out(void **state _unused_)
{
    _cleanup_free_ char *folded = calloc(1, 4000);
    _cleanup_(model_freep) struct model *m = NULL;
    char *text;

    for (int i = 0; i < 60; i++)
        sprintf(folded + strlen(folded), "%s;", i == 30 ? "--" : "some_function_name");
    strcat(folded, "innermost 1\n");
    m = model_of_folded(folded);
    for (unsigned width = 60; width < 200; width += 10) {
        const struct render_options o = {.width = width};

        text = rendered(render_tree, m, &o, NULL);
        assert_true(widest_line(text) <= width);
        assert_non_null(strstr(text, " › -- › "));
        assert_non_null(strstr(text, "innermost\n"));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_and_values_stand_before_each_branch),
        cmocka_unit_test(branches_below_the_threshold_are_summed_up),
        cmocka_unit_test(a_long_run_takes_one_line_of_the_given_width),
        cmocka_unit_test(a_tree_deeper_than_the_screen_ends_with_what_is_left),
        cmocka_unit_test(hostile_names_bring_no_control_bytes_to_the_terminal),
        cmocka_unit_test(colours_come_only_when_asked_for),
        cmocka_unit_test(times_have_their_unit_and_stand_right),
        cmocka_unit_test(waiting_is_blue_and_wakers_are_dim),
        cmocka_unit_test(where_a_waker_begins_is_not_left_out),
        cmocka_unit_test(no_samples_are_said_to_be_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
