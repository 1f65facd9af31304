/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

static void lines_come_sorted_with_their_suffixes(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m =
        model_of_folded("b;f 1\na;main;x_[k] 2\na;main 3\na;main;j_[j];i_[i] 4\n");
    char *text = rendered(render_folded, m, NULL, NULL);

    assert_string_equal(text, "a;main 3\na;main;j_[j];i_[i] 4\na;main;x_[k] 2\nb;f 1\n");
    free(text);
}

static void hostile_names_forge_neither_frames_nor_lines_nor_kinds(void **state _unused_)
{
    const char *const lines[] = {STARTED, HOSTILE, END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = rendered(render_folded, m, NULL, NULL);

    assert_no_controls(text);
    assert_int_equal(count_of(text, "\n"), 2);
    /* Two stacks: thread and two frames, thread and three frames. */
    assert_int_equal(count_of(text, ";"), 2 + 3);
    assert_null(strstr(text, "_[k]"));
    assert_non_null(strstr(text, "fake_\\x5bk]"));
    free(text);
}

static void what_is_written_reads_back_the_same(void **state _unused_)
{
    const char *const lines[] = {STARTED, HOSTILE, END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines), *again = NULL;
    char *text = rendered(render_folded, m, NULL, NULL), *second;

    again = model_of_folded(text);
    second = rendered(render_folded, again, NULL, NULL);
    assert_string_equal(text, second);
    assert_int_equal(again->stacks->total, 10);
    free(text);
    free(second);
}

static void processes_and_threads_are_kept_apart_when_the_stream_does(void **state _unused_)
{
    const char *const lines[] = {
        STARTED,
        "{'type':'frame','id':0,'name':'f','kind':'user','named':true}",
        "{'type':'stack','frames':[0],'value':1,'comm':'a','pid':7}",
        "{'type':'stack','frames':[0],'value':2,'comm':'a','pid':7,'tid':8}",
        "{'type':'stack','frames':[0],'value':4,'comm':'a','container':'web'}",
        END,
        NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = rendered(render_folded, m, NULL, NULL);

    assert_string_equal(text, "a-7;f 1\na-7/8;f 2\nweb;a;f 4\n");
    free(text);
}

static void a_stream_made_from_folded_lines_reads_back_the_same(void **state _unused_)
{
    const char *folded = "a;main;std::y 5\na;main;x_[k] 2\nb;[unknown];j_[j];i_[i] 4\n";
    _cleanup_(model_freep) struct model *m = model_of_folded(folded), *again = NULL;
    char *text = rendered(render_json, m, NULL, NULL), *second;
    struct err e = {0};

    assert_int_equal(model_new(&again, false), 0);
    for (const char *p = text; *p; p = strchr(p, '\n') + 1)
        assert_int_equal(model_add_line(again, p, strcspn(p, "\n"), &e), 0);
    assert_int_equal(model_finish(again), 0);
    second = rendered(render_folded, again, NULL, NULL);
    assert_string_equal(second, folded);
    free(text);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_sorted_with_their_suffixes),
        cmocka_unit_test(hostile_names_forge_neither_frames_nor_lines_nor_kinds),
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(processes_and_threads_are_kept_apart_when_the_stream_does),
        cmocka_unit_test(a_stream_made_from_folded_lines_reads_back_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
