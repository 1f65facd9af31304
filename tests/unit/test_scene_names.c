/* SPDX-License-Identifier: Apache-2.0 */
/* Scenes: code made at run time, and names, over a made-up world. */
#include "tests/unit/scene.h"

#include <errno.h>

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

/* The map grows or is written anew before it is looked at again. */
static void write_map(uint64_t after)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    world.map_mtime_ns = (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec + after;
    world.map_size++;
}

/* Locates as a capture does that may wait for a look. */
static int try_locate(struct scene *s, uint64_t address, uint64_t first, uint64_t last,
                      uint32_t *ret)
{
    struct scene_where w = {
        .tgid = 100, .ns_tgid = 100, .first_ns = first, .last_ns = last, .may_wait = true};

    return scene_locate_user(s, &w, address, true, ret);
}

/* Locates after the look that this asks for. */
static uint32_t locate_settled(struct scene *s, uint64_t address, uint64_t first, uint64_t last)
{
    uint32_t at;

    scene_hurry(s);
    if (try_locate(s, address, first, last, &at) == -EAGAIN)
        answer_all();
    assert_int_equal(try_locate(s, address, first, last, &at), 0);
    return at;
}

static void a_sample_waits_until_the_map_was_looked_at_after_it(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint64_t first = now_ns();
    uint32_t at;

    (void)state;
    assert_int_equal(try_locate(s, 0x11010, first, first + 1, &at), -EAGAIN);
    answer_all();
    assert_int_equal(try_locate(s, 0x11010, first, first + 1, &at), 0);
    assert_int_equal(try_locate(s, 0x11010, first, now_ns() + 1, &at), -EAGAIN);
    answer_all();
    assert_int_equal(world.readings, 1); /* nobody wrote to it meanwhile */
}

static void code_that_was_replaced_has_the_name_that_it_had_when_it_was_sampled(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint64_t start = now_ns(), changed, end;
    uint32_t before, after, across, untouched;

    (void)state;
    world.map_last[1] = (struct world_symbol){0x14000, 0x100, "new"};
    before = locate_settled(s, 0x11010, start, now_ns());
    changed = now_ns();
    write_map(0);
    across = locate_settled(s, 0x11010, start, now_ns());
    untouched = locate_settled(s, 0x12010, start, now_ns());
    end = changed + 60 * NS_PER_SEC;
    after = locate(s, 100, 0x11010, end, end + 1);
    assert_int_equal(locate_settled(s, 0x11010, start, start + 1), before);
    name_all(s);
    assert_int_equal(world.readings, 2);
    expect(s, before, "early", REASON_NONE);
    expect(s, after, "late", REASON_NONE);
    expect(s, untouched, "dropped", REASON_NONE);
    assert_int_equal(scene_frame(s, across)->reason, REASON_JIT_MOVED);
}

static void a_name_that_came_only_later_serves_when_it_is_the_only_one(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint64_t start = now_ns();
    uint32_t only, none;

    (void)state;
    world.map_last[1] = (struct world_symbol){0x14000, 0x100, "new"};
    only = locate_settled(s, 0x14010, start, now_ns());
    none = locate_settled(s, 0x13010, start, now_ns());
    write_map(0);
    name_all(s);
    expect(s, only, "new", REASON_NONE);
    assert_int_equal(scene_frame(s, none)->reason, REASON_JIT_NOT_IN_MAP);
}

static void a_map_made_anew_leaves_only_names_on_which_both_agree(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint64_t start = now_ns();
    uint32_t differs, dropped, same;

    (void)state;
    world.map_rewritten = true;
    world.map_first[2] = world.map_last[2] = (struct world_symbol){0x15000, 0x100, "same"};
    world.map_last[1] = (struct world_symbol){0x14000, 0x100, "new"};
    differs = locate_settled(s, 0x11010, start, now_ns());
    dropped = locate_settled(s, 0x12010, start, now_ns());
    same = locate_settled(s, 0x15010, start, now_ns());
    write_map(0);
    name_all(s);
    assert_int_equal(scene_frame(s, differs)->reason, REASON_JIT_MOVED);
    expect(s, dropped, "dropped", REASON_NONE);
    expect(s, same, "same", REASON_NONE);
}

static void a_name_that_may_be_outdated_is_not_given(void **state)
{
    _cleanup_(scene_freep) struct scene *s = jit_scene();
    uint32_t at, untouched, third;

    (void)state;
    world.map_last[1] = (struct world_symbol){0x14000, 0x100, "new"};
    locate_settled(s, 0x11010, 10, 20);
    /* Nobody looked after these samples: they come at the very end. */
    at = locate(s, 100, 0x11010, now_ns(), now_ns() + NS_PER_SEC);
    untouched = locate(s, 100, 0x12010, now_ns(), now_ns() + NS_PER_SEC);
    write_map(0);
    name_all(s);
    assert_int_equal(scene_frame(s, at)->reason, REASON_JIT_MOVED);
    expect(s, untouched, "dropped", REASON_NONE);

    /* Neither is any, when the look at the end fails. */
    third = locate(s, 100, 0x12010, now_ns(), now_ns() + 2 * NS_PER_SEC);
    world.lost = WIRE_TIMEOUT;
    name_all(s);
    assert_int_equal(scene_frame(s, third)->reason, REASON_JIT_MOVED);
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
    expect(s, at, "early", REASON_NONE);
}

static void a_map_written_after_the_program_ended_is_not_believed(void **state)
{
    for (int exec = 0; exec < 2; exec++) {
        _cleanup_(scene_freep) struct scene *s = NULL;
        uint32_t at;

        if (exec)
            set_up(state);
        s = jit_scene();
        at = locate(s, 100, 0x11010, 10, 20);
        answer_all();
        write_map(0);
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
        TEST(a_sample_waits_until_the_map_was_looked_at_after_it),
        TEST(code_that_was_replaced_has_the_name_that_it_had_when_it_was_sampled),
        TEST(a_name_that_came_only_later_serves_when_it_is_the_only_one),
        TEST(a_map_made_anew_leaves_only_names_on_which_both_agree),
        TEST(a_name_that_may_be_outdated_is_not_given),
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
