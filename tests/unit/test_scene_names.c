/* SPDX-License-Identifier: Apache-2.0 */
/* Scenes: code made at run time, and names, over a made-up world. */
#include "tests/unit/scene.h"

static struct scene *jit_scene(void)
{
    struct scene *s = scene_of(false);

    add_process(100, 0);
    look_at(s, 100, 10);
    world.map_reason = FILE_OK;
    world.map_first[0] = (struct world_symbol){0x11000, 0x100, "early"};
    world.map_first[1] = (struct world_symbol){0x12000, 0x100, "dropped"};
    world.map_last[0] = (struct world_symbol){0x11000, 0x100, "late"};
    return s;
}

static void of_two_readings_the_last_wins_and_the_first_serves_what_was_dropped(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint32_t both, dropped, neither;

    (void)state;
    both = locate(s, 100, 0x11010, 10, 20);
    dropped = locate(s, 100, 0x12010, 10, 20);
    neither = locate(s, 100, 0x13010, 10, 20);
    name_all(s);
    assert_int_equal(world.readings, 2);
    expect(s, both, "late", REASON_NONE);
    expect(s, dropped, "dropped", REASON_NONE);
    assert_int_equal(scene_frame(s, neither)->reason, REASON_JIT_NOT_IN_MAP);
}

static void without_a_map_the_reason_is_told(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint32_t at;

    (void)state;
    world.map_reason = FILE_FOREIGN;
    at = locate(s, 100, 0x11010, 10, 20);
    name_all(s);
    assert_int_equal(scene_frame(s, at)->reason, REASON_JIT_MAP_REFUSED);
    assert_string_equal(scene_frame(s, at)->detail, file_reason_text(FILE_FOREIGN));
}

static void memory_that_was_protected_anew_is_still_one_place(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint32_t at;

    (void)state;
    /* The maps say offset 0 of anonymous memory, the record says its address. */
    map_at(s, 100, 0x8000, 0, 15);
    at = locate(s, 100, 0x11010, 10, 20);
    name_all(s);
    expect(s, at, "late", REASON_NONE);
}

static void a_map_written_after_the_program_ended_is_not_believed(void **state)
{
    for (int exec = 0; exec < 2; exec++) {
        _cleanup_(scene_freep) struct scene *s = NULL;
        struct timespec now;
        uint32_t at;

        if (exec)
            set_up(state);
        s = jit_scene();
        at = locate(s, 100, 0x11010, 10, 20);
        answer_all();
        clock_gettime(CLOCK_REALTIME, &now);
        world.map_mtime_ns = (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
        if (exec)
            scene_exec(s, 100, now_ns() - 1000000);
        else
            scene_exit(s, 100, now_ns() - 1000000);
        name_all(s);
        expect(s, at, "early", REASON_NONE);
        scene_free(s);
        s = NULL;
        if (!exec)
            tear_down(state);
    }
}

static void code_of_the_program_before_an_exec_gets_no_map_of_the_one_after(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint32_t at;

    (void)state;
    scene_exec(s, 100, 30);
    map_at(s, 100, 0x10000, 0, 31);
    at = locate(s, 100, 0x11010, 10, 20);
    name_all(s);
    assert_int_equal(scene_frame(s, at)->source, SOURCE_NONE);
}

/* ---- names ---- */

static struct scene *names_scene(uint32_t *mangled, uint32_t *plain)
{
    struct scene *s = scene_of(false);
    struct world_file *f;

    add_file(5, "_ZN1aE");
    f = world_file(5);
    f->symbols[1] = (struct world_symbol){0x402000, 0x100, "plain"};
    f->symbols[2] = (struct world_symbol){0x403000, 0x100, "_ZN1bE"};
    add_process(100, 5);
    look_at(s, 100, 10);
    *mangled = locate(s, 100, 0x11010, 10, 20);
    *plain = locate(s, 100, 0x12010, 10, 20);
    locate(s, 100, 0x13010, 10, 20);
    return s;
}

static void mangled_names_come_back_in_their_language(void **state)
{
    uint32_t mangled, plain;
    _cleanup_(scene_freep) struct scene *s = names_scene(&mangled, &plain);

    (void)state;
    name_all(s);
    expect(s, mangled, "nice(_ZN1aE)", REASON_NONE);
    assert_string_equal(scene_frame(s, mangled)->language, "c++");
    expect(s, plain, "plain", REASON_NONE);
    assert_null(scene_frame(s, plain)->language);
}

static void a_demangler_that_miscounts_is_not_believed_at_all(void **state)
{
    for (enum demangler d = DEMANGLER_TOO_FEW; d <= DEMANGLER_LOST; d++) {
        uint32_t mangled, plain;
        _cleanup_(scene_freep) struct scene *s = NULL;

        if (d != DEMANGLER_TOO_FEW)
            set_up(state);
        world.demangler = d;
        s = names_scene(&mangled, &plain);
        name_all(s);
        expect(s, mangled, "_ZN1aE", REASON_NONE);
        expect(s, plain, "plain", REASON_NONE);
        scene_free(s);
        s = NULL;
        if (d != DEMANGLER_LOST)
            tear_down(state);
    }
}

static void settled_names_are_raw_and_stay_when_the_answer_comes_late(void **state)
{
    uint32_t mangled, plain;
    _cleanup_(scene_freep) struct scene *s = names_scene(&mangled, &plain);

    (void)state;
    answer_all();
    scene_collect(s);
    answer_all();
    assert_int_equal(scene_name(s), 0);
    assert_null(scene_frame(s, mangled));
    scene_settle_names(s);
    expect(s, mangled, "_ZN1aE", REASON_NONE);
    answer_all();
    expect(s, mangled, "_ZN1aE", REASON_NONE);
}

static void hostile_names_come_out_as_bounded_utf8(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    static char endless[70000];
    const char *const names[] = {"a\x1b[31mb\n;c<script>", "bad\xff\xfe\xc0\x80", endless};
    uint32_t at[ARRAY_SIZE(names)];
    struct world_file *f;

    (void)state;
    memset(endless, 'x', sizeof(endless) - 1);
    add_file(5, "first");
    f = world_file(5);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        f->symbols[1 + i] = (struct world_symbol){0x402000 + i * 0x1000, 0x100, names[i]};
    add_process(100, 5);
    look_at(s, 100, 10);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        at[i] = locate(s, 100, 0x12010 + i * 0x1000, 10, 20);
    name_all(s);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *name = scene_frame(s, at[i])->name;
        size_t size = strlen(name), step;

        assert_in_range(size, 5, FRAME_NAME_MAX + 4);
        for (size_t k = 0; k < size; k += step) {
            step = utf8_length(name + k, size - k);
            assert_int_not_equal(step, 0);
        }
    }
    assert_string_equal(scene_frame(s, at[0])->name, names[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
        TEST(of_two_readings_the_last_wins_and_the_first_serves_what_was_dropped),
        TEST(without_a_map_the_reason_is_told),
        TEST(memory_that_was_protected_anew_is_still_one_place),
        TEST(a_map_written_after_the_program_ended_is_not_believed),
        TEST(code_of_the_program_before_an_exec_gets_no_map_of_the_one_after),
        TEST(mangled_names_come_back_in_their_language),
        TEST(a_demangler_that_miscounts_is_not_believed_at_all),
        TEST(settled_names_are_raw_and_stay_when_the_answer_comes_late),
        TEST(hostile_names_come_out_as_bounded_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
