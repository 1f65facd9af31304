/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <errno.h>

#define FRAME0 "{'type':'frame','id':0,'name':'main','kind':'user','named':true}"

/* Expects the last of these lines to be refused with a message that has this in it. */
static void refused(const char *message, const char *const *lines)
{
    _cleanup_(model_freep) struct model *m = NULL;
    struct err e = {0};

    assert_int_equal(model_new(&m, false), 0);
    for (; lines[1]; lines++)
        assert_int_equal(add_line(m, *lines, &e), 0);
    assert_true(add_line(m, *lines, &e) < 0);
    if (!strstr(e.message, message))
        fail_msg("'%s' does not say '%s'", e.message, message);
}

#define REFUSED(message, ...) refused(message, (const char *const[]){__VA_ARGS__, NULL})

static void a_stream_becomes_frames_and_stacks(void **state _unused_)
{
    const char *const lines[] = {STARTED,
                                 FRAME0,
                                 "{'type':'stack','frames':[0],'value':3,'comm':'a','later':1}",
                                 "{'type':'of-a-later-version'}",
                                 END,
                                 NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);

    assert_int_equal(m->frame_count, 2);
    assert_int_equal(m->stacks->total, 3);
    assert_string_equal(m->frames[0].name, "main");
    assert_string_equal(m->labels[0].comm, "a");
}

static void what_is_not_one_object_a_line_is_refused(void **state _unused_)
{
    REFUSED("not JSON", "");
    REFUSED("cut off", "{'type':'started'");
    REFUSED("not JSON", STARTED "x");
    REFUSED("not JSON", STARTED "{}");
    REFUSED("not a JSON object", "[1]");
    REFUSED("without type", "{'porthole':1}");
    REFUSED("not JSON", "{'a':[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}");
}

static void the_order_of_lines_is_checked(void **state _unused_)
{
    REFUSED("before the line of type 'started'", FRAME0);
    REFUSED("second line of type 'started'", STARTED, STARTED);
    REFUSED("behind the end", STARTED, END, FRAME0);
    REFUSED("version 1", "{'type':'started','porthole':2}");
}

static void ids_and_values_out_of_range_are_refused(void **state _unused_)
{
    REFUSED("count up", STARTED, "{'type':'frame','id':1,'name':'x','kind':'user'}");
    REFUSED("kind", STARTED, "{'type':'frame','id':0,'name':'x'}");
    REFUSED("name", STARTED, "{'type':'frame','id':0,'kind':'user'}");
    REFUSED("did not come before", STARTED, FRAME0, "{'type':'stack','frames':[1],'value':1}");
    REFUSED("did not come before", STARTED, FRAME0, "{'type':'stack','frames':[-1],'value':1}");
    REFUSED("did not come before", STARTED, FRAME0, "{'type':'stack','frames':['0'],'value':1}");
    REFUSED("value", STARTED, FRAME0, "{'type':'stack','frames':[0],'value':-1}");
    REFUSED("value", STARTED, FRAME0, "{'type':'stack','frames':[0],'value':1.5}");
    REFUSED("value", STARTED, FRAME0, "{'type':'stack','frames':[0],'value':99999999999999999999}");
    REFUSED("without frames", STARTED, "{'type':'stack','value':1}");
}

static void an_error_line_keeps_code_remedy_and_candidates(void **state _unused_)
{
    const char *line = "{'type':'error','code':'target-ambiguous','message':'m','remedy':'',"
                       "'candidates':['a','b']}";
    _cleanup_(model_freep) struct model *m = NULL;
    struct err e = {0};

    assert_int_equal(model_new(&m, false), 0);
    assert_int_equal(add_line(m, line, &e), 0);
    assert_int_equal(m->error.code, ERR_TARGET_AMBIGUOUS);
    assert_string_equal(m->error.message, "m");
    assert_string_equal(m->error.remedy, "did you mean a, b?");
}

static void frames_that_differ_only_in_file_are_one_unless_asked(void **state _unused_)
{
    const char *const lines[] = {
        STARTED, "{'type':'frame','id':0,'name':'f','kind':'user','named':true,'file':'/a'}",
        "{'type':'frame','id':1,'name':'f','kind':'user','named':true,'file':'/b'}", NULL};
    _cleanup_(model_freep) struct model *merged = model_of_lines(false, lines);
    _cleanup_(model_freep) struct model *apart = model_of_lines(true, lines);

    assert_int_equal(merged->frame_count, 1);
    assert_int_equal(apart->frame_count, 2);
}

static void folded_lines_give_kinds_by_their_suffix(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m =
        model_of_folded("comm;main;std::sort;do_sys_[k];jit_[j];in_[i];[libc.so] 5\r\n\ncomm 2");

    assert_int_equal(m->stacks->total, 7);
    assert_int_equal(m->frames[0].kind, MODEL_THREAD);
    assert_int_equal(m->frames[1].kind, MODEL_USER);
    assert_int_equal(m->frames[2].kind, MODEL_CXX);
    assert_int_equal(m->frames[3].kind, MODEL_KERNEL);
    assert_string_equal(m->frames[3].name, "do_sys");
    assert_int_equal(m->frames[4].kind, MODEL_JIT);
    assert_int_equal(m->frames[5].kind, MODEL_INLINED);
    assert_false(m->frames[6].named);
}

/* The reader takes over what a line shares with the one before: every way in which they may. */
static void folded_lines_that_share_a_beginning_stay_apart(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m =
        model_of_folded("a;bb;c 1\na;bb 2\na;b 4\na;b;c 8\na;b;cc 16\na;b;c 32\naa;b;c 64\n");
    char *text = rendered(render_folded, m, NULL, NULL);

    assert_string_equal(text, "a;b 4\na;b;c 40\na;b;cc 16\na;bb 2\na;bb;c 1\naa;b;c 64\n");
    free(text);
}

static void a_folded_line_that_is_none_is_named(void **state _unused_)
{
    static const char *const bad[] = {"a;b\n", "a;b x\n",  "5\n",
                                      " 5\n",  "a;b -5\n", "a;b 99999999999999999999\n"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_(model_freep) struct model *m = NULL;
        struct err e = {0};
        char text[64];

        assert_int_equal(model_new(&m, false), 0);
        snprintf(text, sizeof(text), "ok 1\n%sok 2\n", bad[i]);
        assert_true(read_folded_text(m, text, &e) < 0);
        assert_int_equal(m->line, 2);
        assert_int_equal(e.code, ERR_FAILED);
    }
}

static void a_stack_deeper_than_allowed_is_refused(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = NULL;
    size_t size = (size_t)(STACKS_DEPTH_MAX + 1) * 2;
    _cleanup_free_ char *text = calloc(1, size + 8);
    struct err e = {0};

    for (size_t i = 0; i < size; i += 2)
        memcpy(text + i, "a;", 2);
    memcpy(text + size, "a 1\n", 4);
    assert_int_equal(model_new(&m, false), 0);
    assert_true(read_folded_text(m, text, &e) < 0);
    assert_non_null(strstr(e.message, "frames"));
}

static void title_and_subtitle_say_what_was_captured(void **state _unused_)
{
    const char *const lines[] = {STARTED, "{'type':'quality','taken':5,'shown':3,'lost':{'x':2}}",
                                 END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    _cleanup_free_ char *title = model_title(m, NULL), *own = model_title(m, "mine");
    _cleanup_free_ char *subtitle = model_subtitle(m);

    assert_string_equal(title, "CPU time of web1");
    assert_string_equal(own, "mine");
    assert_string_equal(subtitle, "container web1 · host h1 · 1.0 s at 100 Hz · 0 samples, 2 lost");
}

static int refuse_rows(void *data, const struct model *m _unused_, struct json_object *row)
{
    const char *comm = json_string(row, "comm");

    ++*(unsigned *)data;
    return comm && strcmp(comm, "bad") == 0 ? -EIO : comm != NULL;
}

static void sums_and_events_are_rows_that_a_taker_may_take(void **state _unused_)
{
    static const char *const rows[] = {"{'type':'aggregate','record':'tcp','comm':'a'}",
                                       "{'type':'event','record':'tcp-event'}",
                                       "{'type':'record','record':'tcp-peer'}",
                                       "{'type':'histogram','histogram':'tcp','state':'rtt'}"};
    _cleanup_(model_freep) struct model *m = NULL;
    unsigned asked = 0;
    struct err e = {0};

    assert_int_equal(model_new(&m, false), 0);
    model_set_taker(m, refuse_rows, &asked);
    assert_true(add_line(m, rows[0], &e) < 0); /* nothing has started */
    assert_int_equal(add_line(m, STARTED, &e), 0);
    assert_true(model_is_empty(m));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(add_line(m, rows[i], &e), 0);
    assert_int_equal(asked, 3);
    assert_int_equal(m->rows, 3);
    assert_int_equal(json_object_array_length(m->records), 3); /* all but the one that was taken */
    assert_false(model_is_empty(m));
    assert_int_equal(add_line(m, "{'type':'event','comm':'bad'}", &e), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_becomes_frames_and_stacks),
        cmocka_unit_test(what_is_not_one_object_a_line_is_refused),
        cmocka_unit_test(the_order_of_lines_is_checked),
        cmocka_unit_test(ids_and_values_out_of_range_are_refused),
        cmocka_unit_test(an_error_line_keeps_code_remedy_and_candidates),
        cmocka_unit_test(frames_that_differ_only_in_file_are_one_unless_asked),
        cmocka_unit_test(folded_lines_give_kinds_by_their_suffix),
        cmocka_unit_test(folded_lines_that_share_a_beginning_stay_apart),
        cmocka_unit_test(a_folded_line_that_is_none_is_named),
        cmocka_unit_test(a_stack_deeper_than_allowed_is_refused),
        cmocka_unit_test(title_and_subtitle_say_what_was_captured),
        cmocka_unit_test(sums_and_events_are_rows_that_a_taker_may_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
