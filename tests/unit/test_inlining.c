/* SPDX-License-Identifier: Apache-2.0 */
/* Inlined functions in whole scenes, over a parser that is made up. */
#include "tests/unit/scene.h"

static uint32_t at; /* the location that is asked about */

/* A process runs in file 7, whose DWARF is as given. */
static struct scene *inline_scene(bool wanted, bool has_dwarf)
{
    struct scene *s = scene_of(false);

    if (wanted)
        assert_int_equal(scene_want_inlines(s), 0);
    add_file(7, "serve");
    world_file(7)->has_dwarf = has_dwarf;
    world_file(7)->inlined[0] = "_Z5grindv";
    world_file(7)->inlined[1] = "prepare";
    add_process(100, 7);
    look_at(s, 100, 10);
    at = locate(s, 100, 0x11010, 20, 20);
    return s;
}

static void name_expanded(struct scene *s)
{
    answer_all();
    scene_collect(s);
    answer_all();
    scene_expand(s);
    answer_all();
    assert_true(scene_idle(s));
    assert_int_equal(scene_name(s), 0);
    answer_all();
}

static void expect_unexpanded(struct scene *s, enum frame_inlines cause)
{
    const uint32_t *ids;

    assert_int_equal(scene_frames(s, at, &ids), 1);
    assert_int_equal(scene_frame(s, at)->inlines, cause);
    expect(s, at, "serve", REASON_NONE);
}

static void inlined_functions_stand_before_theirs_demangled_innermost_first(void **state)
{
    _cleanup_(scene_freep) struct scene *s = inline_scene(true, true);
    const struct frame *f;
    const uint32_t *ids;

    (void)state;
    name_expanded(s);
    assert_int_equal(scene_frames(s, at, &ids), 3);
    f = scene_frame_by_id(s, ids[0]);
    assert_string_equal(f->name, "nice(_Z5grindv)");
    assert_string_equal(f->language, "c++");
    assert_int_equal(f->kind, 3);
    assert_int_equal(f->source, SOURCE_DWARF_INLINE);
    f = scene_frame_by_id(s, ids[1]);
    assert_string_equal(f->name, "prepare");
    assert_int_equal(f->kind, 3);
    assert_ptr_equal(scene_frame(s, at), scene_frame_by_id(s, ids[2]));
    assert_int_equal(scene_frame(s, at)->inlines, INLINES_EXPANDED);
    assert_int_equal(scene_frame(s, at)->source, SOURCE_SYMTAB);
    expect(s, at, "serve", REASON_NONE);
}

static void nobody_is_asked_when_nobody_wants_to_know(void **state)
{
    _cleanup_(scene_freep) struct scene *s = inline_scene(false, true);

    (void)state;
    name_expanded(s);
    expect_unexpanded(s, INLINES_NOT_ASKED);
    assert_int_equal(world.asked[WIRE_PARSE_INLINES], 0);
}

static void a_file_without_dwarf_says_so(void **state)
{
    _cleanup_(scene_freep) struct scene *s = inline_scene(true, false);

    (void)state;
    name_expanded(s);
    expect_unexpanded(s, INLINES_NO_DWARF);
    assert_int_equal(world.asked[WIRE_PARSE_INLINES], 0);
}

static void a_parser_that_dies_costs_the_inlined_functions_only(void **state)
{
    _cleanup_(scene_freep) struct scene *s = inline_scene(true, true);

    (void)state;
    answer_all();
    scene_collect(s);
    answer_all();
    scene_expand(s);
    world.lost = WIRE_LOST;
    answer_all();
    world.lost = WIRE_OK;
    assert_int_equal(scene_name(s), 0);
    answer_all();
    expect_unexpanded(s, INLINES_PARSER);
    assert_string_equal(scene_frame(s, at)->inlines_detail, "the parser was lost");
}

static void an_answer_that_is_late_changes_nothing(void **state)
{
    _cleanup_(scene_freep) struct scene *s = inline_scene(true, true);

    (void)state;
    answer_all();
    scene_collect(s);
    answer_all();
    scene_expand(s);
    assert_false(scene_idle(s));
    assert_int_equal(scene_name(s), 0);
    answer_all();
    expect_unexpanded(s, INLINES_TIMEOUT);
}

static void a_scene_can_go_while_its_question_is_open(void **state)
{
    struct scene *s = inline_scene(true, true);

    (void)state;
    answer_all();
    scene_collect(s);
    answer_all();
    scene_expand(s);
    assert_false(scene_idle(s));
    scene_free(s);
}

static void each_file_is_asked_about_once(void **state)
{
    _cleanup_(scene_freep) struct scene *s = inline_scene(true, true);

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        locate(s, 100, 0x11020 + i % 50, 20, 20);
    name_expanded(s);
    assert_int_equal(world.asked[WIRE_PARSE_INLINES], 1);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_world(inlined_functions_stand_before_theirs_demangled_innermost_first),
        with_world(nobody_is_asked_when_nobody_wants_to_know),
        with_world(a_file_without_dwarf_says_so),
        with_world(a_parser_that_dies_costs_the_inlined_functions_only),
        with_world(an_answer_that_is_late_changes_nothing),
        with_world(a_scene_can_go_while_its_question_is_open),
        with_world(each_file_is_asked_about_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
