/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/fetch.h"
#include "tests/unit/fake_client.h"

#include <errno.h>

#define DEBUG_FILE 7

static struct {
    struct cache *cache;
    struct fetches *fetches;
    struct fetch_group group;
    unsigned told;
} t;

static void on_end(void *data _unused_)
{
    t.told++;
}

static int set_up(void **state _unused_)
{
    memset(&world, 0, sizeof(world));
    t.told = 0;
    world.files[0] = (struct world_file){
        .ino = DEBUG_FILE, .build_id = 1, .symbols = {{.start = 0x1000, .size = 8, .name = "f"}}};
    if (cache_new(1 << 20, &t.cache) < 0)
        return -1;
    if (fetches_new(NULL, t.cache, &t.fetches) < 0)
        return -1;
    t.group = (struct fetch_group){.fetches = t.fetches, .idle = on_end};
    return 0;
}

static int tear_down(void **state _unused_)
{
    fetches_free(t.fetches);
    cache_free(t.cache);
    return 0;
}

static struct fetch_wait *begin(uint8_t id)
{
    struct fetch_wait *w = NULL;
    uint8_t build_id[20];

    memset(build_id, id, sizeof(build_id));
    assert_int_equal(fetch_begin(&t.group, build_id, sizeof(build_id), &w), 0);
    return w;
}

static struct fetches_stats stats(void)
{
    struct fetches_stats s;

    fetches_get_stats(t.fetches, &s);
    return s;
}

static void all_who_wait_share_one_question(void **state _unused_)
{
    struct fetch_wait *first = begin(1), *second = begin(1);

    world.fetched = DEBUG_FILE;
    assert_true(fetch_is_open(first));
    assert_int_equal(world.asked[WIRE_FETCH], 1);
    answer_all();
    assert_int_equal(t.told, 1); /* when the last one is over */
    assert_int_equal(t.group.open, 0);
    assert_false(fetch_is_open(first));
    assert_string_equal(name_at(fetch_table(first), 0x1000), "f");
    assert_ptr_equal(fetch_table(first), fetch_table(second));
    fetch_end(first);
    assert_string_equal(name_at(fetch_table(second), 0x1000), "f");
    fetch_end(second);
}

static void what_came_is_there_for_the_next_at_once(void **state _unused_)
{
    struct fetch_wait *w = begin(1);

    world.fetched = DEBUG_FILE;
    fetch_end(w); /* its capture is over: the answer comes nevertheless */
    answer_all();
    assert_int_equal(t.told, 0);
    w = begin(1);
    assert_false(fetch_is_open(w));
    assert_non_null(fetch_table(w));
    assert_int_equal(world.asked[WIRE_FETCH], 1);
    assert_int_equal(stats().found, 1);
    assert_int_equal(stats().open, 0);
    fetch_end(w);
}

static void that_there_is_none_is_remembered(void **state _unused_)
{
    struct fetch_wait *w = begin(1);

    world.fetch_error = ENOENT;
    answer_all();
    assert_null(fetch_table(w));
    assert_string_equal(fetch_reason(w), "debuginfod has no debug file of it");
    fetch_end(w);
    w = begin(1);
    assert_false(fetch_is_open(w));
    assert_string_equal(fetch_reason(w), "debuginfod has no debug file of it");
    assert_int_equal(world.asked[WIRE_FETCH], 1);
    fetch_end(w);
    w = begin(2); /* another one's absence says nothing */
    assert_true(fetch_is_open(w));
    fetch_end(w);
    answer_all();
    assert_int_equal(stats().absent, 2);
}

static void what_the_parser_refuses_names_nothing(void **state _unused_)
{
    struct fetch_wait *w = begin(1);

    world.fetched = DEBUG_FILE;
    world.files[0].status = WIRE_MALFORMED;
    answer_all();
    assert_int_equal(t.told, 1);
    assert_null(fetch_table(w));
    assert_string_equal(fetch_reason(w), "debuginfod sent no debug file of that build ID");
    assert_int_equal(stats().failed, 1);
    fetch_end(w);
}

static void a_lost_fetcher_ends_the_wait_with_a_reason(void **state _unused_)
{
    struct fetch_wait *w = begin(1);

    world.lost = WIRE_LOST;
    assert_non_null(fetch_reason(w));
    answer_all();
    assert_int_equal(t.told, 1);
    assert_string_equal(fetch_reason(w), "debuginfod failed");
    fetch_end(w);
}

static void a_build_id_too_short_to_tell_files_apart_is_not_asked_for(void **state _unused_)
{
    struct fetch_wait *w = NULL;
    uint8_t long_id[40] = {0};

    assert_int_equal(fetch_begin(&t.group, long_id, 4, &w), -EINVAL);
    assert_int_equal(fetch_begin(&t.group, long_id, sizeof(long_id), &w), -EINVAL);
    assert_null(w);
    assert_int_equal(world.asked[WIRE_FETCH], 0);
}

static void what_is_remembered_is_bounded(void **state _unused_)
{
    uint8_t build_id[20] = {0};

    world.fetch_error = ENOENT;
    for (unsigned i = 0; i < 3000; i++) {
        struct fetch_wait *w = NULL;

        memcpy(build_id, &i, sizeof(i));
        if (fetch_begin(&t.group, build_id, sizeof(build_id), &w) == 0)
            fetch_end(w);
        if (i % 500 == 499)
            answer_all();
    }
    assert_int_equal(world.asked[WIRE_FETCH], 3000);
    for (unsigned i = 0; i < 3000; i++) {
        struct fetch_wait *w = NULL;

        build_id[19] = 1;
        memcpy(build_id, &i, sizeof(i));
        if (fetch_begin(&t.group, build_id, sizeof(build_id), &w) == 0)
            fetch_end(w);
    }
    assert_true(world.asked[WIRE_FETCH] < 3000 + 1100); /* nobody answers: no more are taken */
    answer_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_who_wait_share_one_question),
        TEST(what_came_is_there_for_the_next_at_once),
        TEST(that_there_is_none_is_remembered),
        TEST(what_the_parser_refuses_names_nothing),
        TEST(a_lost_fetcher_ends_the_wait_with_a_reason),
        TEST(a_build_id_too_short_to_tell_files_apart_is_not_asked_for),
        TEST(what_is_remembered_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
