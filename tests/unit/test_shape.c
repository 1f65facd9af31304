/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct frame start = {.file = "/bin/a", .source = 1, .starts_thread = true};
static const struct frame work = {.file = "/bin/a", .source = 1};
static const struct frame jit = {.file = NULL, .reason = REASON_JIT_NO_MAP};

static enum shape judge(uint32_t flags, uint32_t depth, const struct frame *outermost,
                        enum shape_cause *cause)
{
    struct shape_walk w = {
        .flags = flags, .user_depth = depth, .user_max = 127, .outermost = outermost};

    return shape_judge(&w, cause);
}

#define ENDED_BY(cause) (EVENT_STACK_TABLES | (cause) << EVENT_BROKEN_SHIFT)

static void a_stack_is_whole_at_the_start_of_a_thread_only(void **state)
{
    enum shape_cause cause;

    (void)state;
    assert_int_equal(judge(EVENT_STACK_TABLES | EVENT_STACK_WHOLE, 5, &work, &cause), SHAPE_WHOLE);
    assert_int_equal(cause, CAUSE_NONE);
    assert_int_equal(judge(ENDED_BY(EVENT_BROKEN_ENDED), 5, &start, &cause), SHAPE_WHOLE);
    assert_int_equal(judge(ENDED_BY(EVENT_BROKEN_ENDED), 5, &work, &cause), SHAPE_BROKEN);
    assert_int_equal(cause, CAUSE_ENDED);
    assert_int_equal(judge(0, 5, &start, &cause), SHAPE_WHOLE);
}

static void a_function_like_musls_start_is_one_only_if_no_rule_covers_it(void **state)
{
    static const struct frame bare = {.file = "/a", .source = 1, .starts_thread_if_bare = true};
    enum shape_cause cause;

    (void)state;
    assert_int_equal(judge(ENDED_BY(EVENT_BROKEN_NO_RULE), 5, &bare, &cause), SHAPE_WHOLE);
    assert_int_equal(judge(ENDED_BY(EVENT_BROKEN_UNREADABLE), 5, &bare, &cause), SHAPE_BROKEN);
    assert_int_equal(judge(ENDED_BY(EVENT_BROKEN_ENDED), 5, &bare, &cause), SHAPE_BROKEN);
    assert_int_equal(judge(EVENT_STACK_NO_TABLE, 5, &bare, &cause), SHAPE_BROKEN);
    assert_int_equal(judge(0, 5, &bare, &cause), SHAPE_BROKEN);
}

static void frame_pointers_do_not_count_where_tables_are_to_be_had(void **state)
{
    enum shape_cause cause;

    (void)state;
    assert_int_equal(judge(EVENT_STACK_NO_TABLE, 5, &start, &cause), SHAPE_BROKEN);
    assert_int_equal(cause, CAUSE_NO_TABLE);
    assert_int_equal(judge(0, 5, &work, &cause), SHAPE_BROKEN);
    assert_int_equal(cause, CAUSE_FRAME_POINTERS);
    assert_int_equal(judge(0, 0, &work, &cause), SHAPE_BROKEN);
    assert_int_equal(cause, CAUSE_NO_USER);
}

static void as_many_frames_as_are_walked_is_too_deep(void **state)
{
    enum shape_cause cause;

    (void)state;
    assert_int_equal(judge(EVENT_STACK_TABLES, 127, &work, &cause), SHAPE_TRUNCATED);
    assert_int_equal(cause, CAUSE_NONE);
    assert_int_equal(judge(EVENT_STACK_TABLES | EVENT_STACK_WHOLE, 127, &work, &cause),
                     SHAPE_WHOLE);
}

static void every_cause_that_a_program_notes_has_a_name(void **state)
{
    static const enum shape_cause want[] = {
        [EVENT_BROKEN_NO_RULE] = CAUSE_NO_RULE,     [EVENT_BROKEN_UNSUPPORTED] = CAUSE_UNSUPPORTED,
        [EVENT_BROKEN_NO_FILE] = CAUSE_JIT,         [EVENT_BROKEN_UNREADABLE] = CAUSE_UNREADABLE,
        [EVENT_BROKEN_BACKWARDS] = CAUSE_BACKWARDS, [EVENT_BROKEN_SIGNALS] = CAUSE_SIGNALS,
        [EVENT_BROKEN_ENDED] = CAUSE_ENDED,
    };
    enum shape_cause cause;

    (void)state;
    for (uint32_t i = EVENT_BROKEN_NO_RULE; i <= EVENT_BROKEN_ENDED; i++) {
        assert_int_equal(judge(ENDED_BY(i), 5, &jit, &cause), SHAPE_BROKEN);
        assert_int_equal(cause, want[i]);
        assert_true(shape_cause_name(cause)[0] != '\0');
    }
    /* Whatever a newer program says. */
    assert_int_equal(judge(ENDED_BY(200u), 5, &jit, &cause), SHAPE_BROKEN);
    assert_int_equal(cause, CAUSE_NO_RULE);
}

static void a_file_without_any_rules_is_not_taken_for_code_made_at_run_time(void **state)
{
    enum shape_cause cause;

    (void)state;
    assert_int_equal(judge(ENDED_BY(EVENT_BROKEN_NO_FILE), 5, &work, &cause), SHAPE_BROKEN);
    assert_int_equal(cause, CAUSE_NO_RULE);
}

static void frames_that_were_cut_off_tell_that_the_walk_went_astray(void **state)
{
    struct shape_walk w = {.flags = ENDED_BY(EVENT_BROKEN_NO_FILE),
                           .user_depth = 127,
                           .user_max = 127,
                           .astray = true,
                           .outermost = &work};
    enum shape_cause cause;

    (void)state;
    assert_int_equal(shape_judge(&w, &cause), SHAPE_BROKEN);
    assert_int_equal(cause, CAUSE_ASTRAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_is_whole_at_the_start_of_a_thread_only),
        cmocka_unit_test(a_function_like_musls_start_is_one_only_if_no_rule_covers_it),
        cmocka_unit_test(frame_pointers_do_not_count_where_tables_are_to_be_had),
        cmocka_unit_test(as_many_frames_as_are_walked_is_too_deep),
        cmocka_unit_test(every_cause_that_a_program_notes_has_a_name),
        cmocka_unit_test(a_file_without_any_rules_is_not_taken_for_code_made_at_run_time),
        cmocka_unit_test(frames_that_were_cut_off_tell_that_the_walk_went_astray),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
