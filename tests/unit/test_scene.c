/* SPDX-License-Identifier: Apache-2.0 */
/* Scenes: processes, mappings and files over a made-up world. */
#include "tests/unit/scene.h"

static void a_process_that_was_there_before_is_named_from_its_snapshot(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    uint32_t in, gap, out;

    (void)state;
    add_file(5, "work");
    add_process(100, 5);
    look_at(s, 100, 10);
    in = locate(s, 100, 0x11010, 10, 20);
    gap = locate(s, 100, 0x15000, 10, 20);
    out = locate(s, 100, 0x90000, 10, 20);
    assert_int_equal(locate(s, 100, 0x11010, 11, 12), in);
    name_all(s);
    expect(s, in, "work", REASON_NONE);
    assert_string_equal(scene_frame(s, in)->file, "/f5");
    expect(s, gap, "[f5]", REASON_NO_SYMBOL);
    expect(s, out, "[unknown]", REASON_NO_MAPPING);
    assert_null(scene_frame(s, out)->file);
}

static void addresses_are_shown_only_when_they_were_asked_for(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(true);
    uint32_t out;

    (void)state;
    scene_exec(s, 100, 1);
    out = locate(s, 100, 0x90000, 10, 20);
    name_all(s);
    expect(s, out, "[unknown+0x90000]", REASON_NO_MAPPING);
}

static void a_newer_record_wins_over_the_snapshot_whichever_came_first(void **state)
{
    (void)state;
    add_file(5, "old");
    add_file(6, "new");
    add_process(100, 5)->maps[0].end = 0x18000;
    for (int late = 0; late < 2; late++) {
        _cleanup_(scene_freep) struct scene *s = scene_of(false);
        uint32_t before, after;

        assert_int_equal(scene_process(s, 100, 0, 10), SCENE_PENDING);
        if (!late)
            map_at(s, 100, 0x14000, 6, 50);
        answer_all();
        scene_advance(s, LATER, 0);
        if (late)
            map_at(s, 100, 0x14000, 6, 50);
        scene_advance(s, LATER, 0);
        before = locate(s, 100, 0x11010, 60, 70);
        after = locate(s, 100, 0x15010, 60, 70);
        name_all(s);
        expect(s, after, "new", REASON_NONE);
        if (late)
            expect(s, before, "old", REASON_NONE);
    }
}

static void an_exec_between_snapshot_and_merge_leaves_the_records_alone(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    uint64_t exec;
    uint32_t at;

    (void)state;
    add_file(5, "old");
    add_file(6, "new");
    add_process(100, 5);
    assert_int_equal(scene_process(s, 100, 0, 10), SCENE_PENDING);
    answer_all();
    exec = now_ns();
    scene_exec(s, 100, exec);
    map_at(s, 100, 0x40000, 6, exec + 1);
    scene_advance(s, LATER, 0);
    at = locate(s, 100, 0x11010, exec + 5, exec + 9);
    name_all(s);
    expect(s, at, "[unknown]", REASON_NO_MAPPING);
}

static void a_snapshot_of_one_life_is_not_believed_of_the_next(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    struct fake_ask *second;
    uint32_t at;

    (void)state;
    add_file(5, "old");
    add_process(100, 5)->start_ticks = 5;
    assert_int_equal(scene_process(s, 100, 0, 10), SCENE_PENDING);
    scene_exit(s, 100, 20);
    scene_fork(s, 100, 1, 30);
    /* The second life cannot be looked at: whoever is there started at another time. */
    assert_int_equal(scene_process(s, 100, 9 * 10000000ull, 40), SCENE_PENDING);
    second = TAKE_PTR(world.queue->next);
    answer_all();
    scene_advance(s, LATER, 0); /* the first answer, while the second is still awaited */
    world.queue = second;
    at = locate(s, 100, 0x11010, 41, 42);
    name_all(s);
    assert_int_equal(scene_frame(s, at)->source, SOURCE_NONE);
}

static void a_number_used_again_unseen_is_not_named_by_the_dead(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_with_init();
    uint64_t died = now_ns() - NS_PER_SEC;
    struct timespec boot;
    uint32_t of_dead, of_new;

    (void)state;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    add_file(5, "dead");
    scene_exec(s, 100, 1);
    map_at(s, 100, 0x10000, 5, 2);
    scene_exit(s, 100, died);
    add_process(100, 5)->map_count = 0;
    of_dead = locate(s, 100, 0x11010, died - 10, died - 5);
    assert_int_equal(
        scene_process(s, 100,
                      (uint64_t)boot.tv_sec * NS_PER_SEC + (uint64_t)boot.tv_nsec - NS_PER_SEC / 2,
                      died + NS_PER_SEC / 2 + 10),
        SCENE_PENDING);
    of_new = locate(s, 100, 0x11010, died + NS_PER_SEC / 2 + 10, died + NS_PER_SEC / 2 + 20);
    name_all(s);
    expect(s, of_dead, "dead", REASON_NONE);
    assert_int_equal(scene_frame(s, of_new)->source, SOURCE_NONE);
}

static void threads_that_outlive_their_first_keep_their_names(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_with_init();
    uint64_t died = now_ns() - NS_PER_SEC;
    uint32_t at;

    (void)state;
    add_file(5, "work");
    scene_exec(s, 100, 1);
    map_at(s, 100, 0x10000, 5, 2);
    scene_exit(s, 100, died);
    assert_int_equal(scene_process(s, 100, 1000, died + 100), SCENE_READY);
    at = locate(s, 100, 0x11010, died + 50, died + 100);
    name_all(s);
    expect(s, at, "work", REASON_NONE);
}

static void a_mapping_that_was_replaced_between_the_samples_is_never_named(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_with_init();
    uint32_t across, before, after, there_and_back;

    (void)state;
    add_file(5, "first");
    add_file(6, "second");
    scene_exec(s, 100, 1);
    map_at(s, 100, 0x10000, 5, 10);
    map_at(s, 100, 0x10000, 6, 20);
    map_at(s, 100, 0x10000, 5, 30);
    before = locate(s, 100, 0x11010, 12, 18);
    across = locate(s, 100, 0x11010, 18, 22);
    after = locate(s, 100, 0x11010, 22, 28);
    there_and_back = locate(s, 100, 0x11010, 18, 35);
    name_all(s);
    expect(s, before, "first", REASON_NONE);
    expect(s, after, "second", REASON_NONE);
    expect(s, across, "[unknown]", REASON_CHANGED);
    expect(s, there_and_back, "[unknown]", REASON_CHANGED);
}

static void a_process_that_is_gone_says_so(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    uint32_t at;

    (void)state;
    look_at(s, 100, 10);
    at = locate(s, 100, 0x11010, 10, 20);
    name_all(s);
    expect(s, at, "[unknown]", REASON_PROCESS_GONE);
}

static void a_file_that_one_process_refuses_is_opened_through_another(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    uint32_t one, two;

    (void)state;
    add_file(5, "work");
    add_process(100, 5)->refuses = FILE_UNREADABLE;
    add_process(101, 5);
    look_at(s, 100, 10);
    one = locate(s, 100, 0x11010, 10, 20);
    answer_all();
    look_at(s, 101, 10);
    scene_advance(s, LATER, 0);
    two = locate(s, 101, 0x11010, 10, 20);
    name_all(s);
    assert_int_equal(one, two);
    expect(s, one, "work", REASON_NONE);
}

static void a_file_that_nobody_can_open_says_why_and_is_not_asked_for_ever(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    uint32_t at = 0;

    (void)state;
    add_file(5, "work");
    add_process(100, 5)->refuses = FILE_UNREADABLE;
    look_at(s, 100, 10);
    for (int i = 0; i < 50; i++) {
        at = locate(s, 100, 0x11010, 10, 20);
        scene_advance(s, LATER, 0);
        answer_all();
    }
    assert_in_range(world.asked[WIRE_OPEN], 2, 6);
    name_all(s);
    expect(s, at, "[f5]", REASON_FILE_UNREADABLE);
    assert_string_equal(scene_frame(s, at)->detail, file_reason_text(FILE_UNREADABLE));
}

static void what_keeps_a_file_closed_has_its_own_name_and_remedy(void **state)
{
    static const struct {
        enum file_reason open;
        enum frame_reason frame;
    } rows[] = {
        {FILE_NOT_FOUND, REASON_FILE_GONE},      {FILE_REPLACED, REASON_FILE_GONE},
        {FILE_GONE, REASON_FILE_GONE},           {FILE_UNREADABLE, REASON_FILE_UNREADABLE},
        {FILE_NOT_REGULAR, REASON_FILE_REFUSED}, {FILE_PSEUDO, REASON_FILE_REFUSED},
        {FILE_LEASED, REASON_FILE_REFUSED},      {FILE_TIMEOUT, REASON_TIMEOUT},
        {FILE_BREAKER, REASON_TIMEOUT},          {FILE_LIMIT, REASON_LIMIT},
    };
    uint32_t at = 0;

    (void)state;
    add_file(5, "work");
    add_process(100, 5);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(scene_freep) struct scene *s = scene_of(false);

        world.processes[0].refuses = rows[i].open;
        look_at(s, 100, 10);
        for (int k = 0; k < 10; k++) {
            at = locate(s, 100, 0x11010, 10, 20);
            scene_advance(s, LATER, 0);
            answer_all();
        }
        name_all(s);
        expect(s, at, "[f5]", rows[i].frame);
        assert_string_equal(scene_frame(s, at)->detail, file_reason_text(rows[i].open));
        assert_true(*frame_reason_remedy(rows[i].frame));
    }
}

/* One process maps file after file; another one that comes later still has names. */
static void a_process_with_thousands_of_files_leaves_room_for_others(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_with_init();
    uint32_t own, beyond;

    (void)state;
    add_file(5, "work");
    for (uint32_t tgid = 100; tgid < 103; tgid++) {
        add_process(tgid, 5)->map_count = 0;
        scene_exec(s, tgid, 5);
    }
    for (uint64_t i = 0; i < 2 * 4096; i++)
        for (uint32_t tgid = 100; tgid < 102; tgid++)
            map_at(s, tgid, 0x1000000 + i * 0x2000, 1000 + i * 2 + tgid % 2, 10);
    map_at(s, 102, 0x10000, 5, 11);
    own = locate(s, 102, 0x11010, 20, 30);
    beyond = locate(s, 100, 0x1000000 + 4095 * 0x2000, 20, 30);
    name_all(s);
    expect(s, own, "work", REASON_NONE);
    expect(s, beyond, "[unknown]", REASON_LIMIT);
}

static void parser_failures_are_told_apart(void **state)
{
    static const enum wire_status statuses[] = {WIRE_CRASHED, WIRE_TIMEOUT, WIRE_LOST,
                                                WIRE_MALFORMED};
    const char *details[ARRAY_SIZE(statuses)];

    (void)state;
    add_file(5, "work");
    add_process(100, 5);
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        _cleanup_(scene_freep) struct scene *s = scene_of(false);
        uint32_t at;

        resolver_free(resolver);
        assert_int_equal(resolver_new(NULL, -1, -1, 1 << 20, &resolver), 0);
        scene_free(s);
        s = scene_of(false);
        world.files[0].status = statuses[i];
        look_at(s, 100, 10);
        at = locate(s, 100, 0x11010, 10, 20);
        name_all(s);
        expect(s, at, "[f5]", statuses[i] == WIRE_LOST ? REASON_TIMEOUT : REASON_PARSER);
        details[i] = scene_frame(s, at)->detail;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(details[k], details[i]);
    }
}

static void a_lost_parser_is_asked_again_by_the_next_capture_a_crash_is_not(void **state)
{
    (void)state;
    add_file(5, "work");
    add_process(100, 5);
    for (int crash = 0; crash < 2; crash++) {
        world.asked[WIRE_PARSE_ELF] = 0;
        world.files[0].status = crash ? WIRE_CRASHED : WIRE_LOST;
        for (int i = 0; i < 2; i++) {
            _cleanup_(scene_freep) struct scene *s = scene_of(false);

            look_at(s, 100, 10);
            locate(s, 100, 0x11010, 10, 20);
            name_all(s);
        }
        assert_int_equal(world.asked[WIRE_PARSE_ELF], crash ? 1 : 2);
    }
}

static void a_second_capture_takes_the_table_from_the_cache(void **state)
{
    (void)state;
    add_file(5, "work");
    add_process(100, 5);
    for (int i = 0; i < 2; i++) {
        _cleanup_(scene_freep) struct scene *s = scene_of(false);
        uint32_t at;

        look_at(s, 100, 10);
        at = locate(s, 100, 0x11010, 10, 20);
        name_all(s);
        expect(s, at, "work", REASON_NONE);
    }
    assert_int_equal(world.asked[WIRE_PARSE_ELF], 1);
}

static void lost_helpers_leave_everything_unnamed_and_nothing_open(void **state)
{
    _cleanup_(scene_freep) struct scene *s = scene_of(false);
    uint32_t at;

    (void)state;
    world.lost = WIRE_LOST;
    look_at(s, 100, 10);
    map_at(s, 100, 0x10000, 5, 5);
    at = locate(s, 100, 0x11010, 10, 20);
    name_all(s);
    assert_int_equal(scene_frame(s, at)->source, SOURCE_NONE);
}

static void a_scene_freed_with_questions_open_is_not_called_back(void **state)
{
    struct scene *s = scene_of(false);

    (void)state;
    add_file(5, "work");
    add_process(100, 5);
    look_at(s, 100, 10);
    locate(s, 100, 0x11010, 10, 20);
    scene_process(s, 101, 0, 10);
    scene_collect(s);
    assert_non_null(world.queue);
    scene_free(s);
    assert_null(world.queue);
}

/* ---- perf maps ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
        TEST(a_process_that_was_there_before_is_named_from_its_snapshot),
        TEST(addresses_are_shown_only_when_they_were_asked_for),
        TEST(a_newer_record_wins_over_the_snapshot_whichever_came_first),
        TEST(an_exec_between_snapshot_and_merge_leaves_the_records_alone),
        TEST(a_snapshot_of_one_life_is_not_believed_of_the_next),
        TEST(a_number_used_again_unseen_is_not_named_by_the_dead),
        TEST(threads_that_outlive_their_first_keep_their_names),
        TEST(a_mapping_that_was_replaced_between_the_samples_is_never_named),
        TEST(a_process_that_is_gone_says_so),
        TEST(a_file_that_one_process_refuses_is_opened_through_another),
        TEST(a_file_that_nobody_can_open_says_why_and_is_not_asked_for_ever),
        TEST(what_keeps_a_file_closed_has_its_own_name_and_remedy),
        TEST(a_process_with_thousands_of_files_leaves_room_for_others),
        TEST(parser_failures_are_told_apart),
        TEST(a_lost_parser_is_asked_again_by_the_next_capture_a_crash_is_not),
        TEST(a_second_capture_takes_the_table_from_the_cache),
        TEST(lost_helpers_leave_everything_unnamed_and_nothing_open),
        TEST(a_scene_freed_with_questions_open_is_not_called_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
