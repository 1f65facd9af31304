/* SPDX-License-Identifier: Apache-2.0 */
/* Profile and quality report over a real scene in a made-up world. */
#include "agent/profile.h"
#include "agent/quality.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/loop.h"
#include "tests/unit/fake_client.h"

#define MEMORY (1u << 20)
#define STACKS 8

/* ---- the probe: stacks by hash ---- */

static struct {
    uint64_t hash; /* 0: not there */
    uint32_t depth;
    uint64_t ip[2];
} stacks[STACKS];

unsigned probe_wakers(const struct probe *p _unused_, uint64_t key _unused_,
                      struct event_waker ret[EVENT_CHAIN_MAX] _unused_)
{
    return 0;
}

bool probe_stack(const struct probe *p _unused_, uint64_t key, struct event_stack *ret)
{
    for (size_t i = 0; i < STACKS; i++)
        if (stacks[i].hash == key) {
            *ret = (struct event_stack){.depth = stacks[i].depth};
            memcpy(ret->ip, stacks[i].ip, sizeof(stacks[i].ip));
            return true;
        }
    return false;
}

static void set_stack(uint64_t hash, uint64_t leaf, uint64_t caller)
{
    for (size_t i = 0; i < STACKS; i++)
        if (!stacks[i].hash || stacks[i].hash == hash) {
            stacks[i].hash = hash;
            stacks[i].depth = caller ? 2 : 1;
            stacks[i].ip[0] = leaf;
            stacks[i].ip[1] = caller;
            return;
        }
    fail();
}

/* ---- a capture's worth of it ---- */

static struct resolver *resolver;
static struct scene *scene;
static struct profile *profile;
static uint64_t taken;

static void begin(const struct profile_setup *how)
{
    struct profile_setup setup = *how;

    setup.stack_max = 127;
    assert_int_equal(resolver_new(NULL, -1, -1, 1 << 20, &resolver), 0);
    assert_int_equal(scene_new(resolver, 0, false, &scene), 0);
    setup.scene = scene;
    assert_int_equal(profile_new(&setup, &profile), 0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(stacks, 0, sizeof(stacks));
    taken = 0;
    world.files[0] = (struct world_file){.ino = 5, .has_symtab = true, .build_id = 5};
    world.files[0].symbols[0] = (struct world_symbol){0x401000, 0x1000, "inner"};
    world.files[0].symbols[1] = (struct world_symbol){0x402000, 0x1000, "_start"};
    for (uint32_t i = 0; i < 2; i++) {
        world.processes[i] = (struct world_process){.pid = 100 + i, .map_count = 1};
        world.processes[i].maps[0] =
            (struct wire_mapping){.start = 0x10000, .end = 0x20000, .dev = 1, .ino = 5};
    }
    set_stack(7, 0x11010, 0x12010);
    set_stack(8, 0x11020, 0x12010); /* other addresses, the same functions */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_free(scene);
    profile_free(profile);
    resolver_free(resolver);
    return 0;
}

static struct event_key key_of(uint32_t tgid, uint64_t user)
{
    struct event_key k = {.user_stack = user, .tgid = tgid, .ns_tgid = tgid - 99, .comm = "work"};

    return k;
}

static void row(uint32_t tgid, uint64_t user, uint64_t count, uint64_t first, uint64_t last)
{
    struct event_key k = key_of(tgid, user);
    struct event_value v = {.count = count, .first_ns = first, .last_ns = last};

    assert_int_equal(profile_row(profile, NULL, &k, &v), 0);
}

static void tick(void)
{
    profile_locate(profile, false);
    answer_all();
    scene_advance(scene, now_ns() + 1000, 0);
    profile_locate(profile, false);
    answer_all();
}

static void finish(void)
{
    profile_locate(profile, true);
    scene_collect(scene);
    answer_all();
    assert_int_equal(scene_name(scene), 0);
    answer_all();
    assert_int_equal(profile_finish(profile), 0);
}

static size_t stack_count(void)
{
    size_t cursor = 0, n = 0;

    while (profile_next(profile, &cursor))
        n++;
    return n;
}

static const struct profile_stack *only_stack(void)
{
    size_t cursor = 0;

    assert_int_equal(stack_count(), 1);
    return profile_next(profile, &cursor);
}

/* Writes the report and checks that taken = shown + lost, cause by cause. Returns lost[cause]. */
static uint64_t balance(struct event_counters counters, const char *cause)
{
    const struct remarks remarks = {.items = {(char[]){"a \"remark\""}}, .count = 1};
    struct quality_setup setup = {.counters = counters, .remarks = &remarks};
    _cleanup_(quality_freep) struct quality *q = NULL;
    _cleanup_json_ struct json_object *o = NULL;
    _cleanup_buf_ struct buf line = {0};
    const struct profile_stack *s;
    uint64_t lost = 0, wanted = 0;
    struct json_object *by_cause;
    struct err e = {0};
    size_t cursor = 0;

    assert_int_equal(quality_new(&setup, &q), 0);
    while ((s = profile_next(profile, &cursor)))
        quality_add(q, scene, s);
    quality_write(q, profile, &line);
    assert_int_equal(line.data[line.size - 1], '\n');
    assert_int_equal(json_parse_strict(line.data, line.size - 1, &o, &e), 0);
    by_cause = json_member(o, "lost", json_type_object);
    json_object_object_foreach(by_cause, name, value)
    {
        lost += json_object_get_uint64(value);
        if (strcmp(name, cause) == 0)
            wanted = json_object_get_uint64(value);
    }
    assert_int_equal(json_count(o, "shown"), profile_shown(profile));
    assert_int_equal(json_count(o, "taken"), profile_shown(profile) + lost);
    assert_int_equal(lost, quality_lost(q, profile));
    return wanted;
}

static void growing_counts_of_a_row_are_counted_once(void **state)
{
    const struct profile_stack *s;

    (void)state;
    begin(&(struct profile_setup){.memory_max = MEMORY});
    row(100, 7, 3, 10, 20);
    tick();
    row(100, 7, 5, 10, 30);
    row(100, 7, 5, 10, 30); /* a batch may show a row twice */
    tick();
    row(100, 7, 9, 10, 40);
    finish();
    s = only_stack();
    assert_int_equal(s->value, 9);
    assert_int_equal(s->frame_count, 2);
    assert_string_equal(scene_frame_by_id(scene, s->frames[0])->name, "_start");
    assert_string_equal(scene_frame_by_id(scene, s->frames[1])->name, "inner");
    assert_string_equal(s->comm, "work");
    assert_int_equal(s->shape, SHAPE_WHOLE);
    assert_int_equal(balance((struct event_counters){.taken = 9}, ""), 0);
}

static void counts_begin_again_after_the_kernel_forgot_the_rows(void **state)
{
    (void)state;
    begin(&(struct profile_setup){.memory_max = MEMORY});
    row(100, 7, 3, 10, 20);
    tick();
    row(100, 7, 5, 10, 30); /* two are not located when it forgets */
    profile_rows_forgotten(profile);
    row(100, 7, 1, 40, 40);
    tick();
    profile_rows_forgotten(profile);
    row(100, 7, 4, 50, 60);
    finish();
    assert_int_equal(only_stack()->value, 10);
    assert_int_equal(balance((struct event_counters){.taken = 10}, ""), 0);
}

static void located_rows_give_their_memory_back_when_the_kernel_forgets(void **state)
{
    size_t before, empty;

    (void)state;
    begin(&(struct profile_setup){.memory_max = MEMORY});
    empty = profile_bytes(profile);
    row(100, 7, 1, 10, 20);
    tick();
    profile_rows_forgotten(profile);
    before = profile_bytes(profile);
    assert_true(before > empty); /* the located stack */
    for (uint64_t i = 1; i < 200; i++) {
        struct event_key k = key_of(100, 7);
        struct event_value v = {.count = 1, .first_ns = 20 + i, .last_ns = 20 + i};

        k.exec_id = (uint32_t)i;
        profile_row(profile, NULL, &k, &v);
        tick();
        profile_rows_forgotten(profile);
    }
    assert_int_equal(profile_bytes(profile), before);
    finish();
    assert_int_equal(only_stack()->value, 200);
}

static void rows_wait_for_their_process_and_are_located_at_last(void **state)
{
    (void)state;
    begin(&(struct profile_setup){.memory_max = MEMORY});
    row(100, 7, 3, 10, 20);
    profile_locate(profile, false); /* asks, and nobody answers */
    profile_rows_forgotten(profile);
    row(100, 7, 2, 30, 40);
    profile_locate(profile, false);
    finish();
    assert_int_equal(profile_shown(profile), 5);
    assert_int_equal(balance((struct event_counters){.taken = 5}, ""), 0);
}

static void stacks_merge_by_their_functions_and_apart_by_what_was_asked(void **state)
{
    for (int apart = 0; apart < 2; apart++) {
        if (apart)
            set_up(state);
        begin(&(struct profile_setup){.memory_max = MEMORY, .per_process = apart});
        row(100, 7, 1, 10, 20);
        row(100, 8, 2, 10, 20);
        row(101, 7, 4, 10, 20);
        tick();
        finish();
        assert_int_equal(stack_count(), apart ? 2 : 1);
        assert_int_equal(profile_shown(profile), 7);
        if (!apart) {
            assert_int_equal(only_stack()->ns_tgid, 0);
            tear_down(state);
        }
    }
}

static void a_walk_that_leaves_what_is_mapped_ends_where_it_was_lost(void **state)
{
    const struct profile_stack *s;

    (void)state;
    set_stack(9, 0x11010, 0x90000); /* nothing is mapped at its caller */
    begin(&(struct profile_setup){.memory_max = MEMORY});
    row(100, 9, 3, 10, 20);
    tick();
    finish();
    s = only_stack();
    assert_int_equal(s->frame_count, 1);
    assert_string_equal(scene_frame_by_id(scene, s->frames[0])->name, "inner");
    assert_int_equal(s->shape, SHAPE_BROKEN);
    tear_down(state);

    set_up(state);
    set_stack(10, 0x90000, 0);
    begin(&(struct profile_setup){.memory_max = MEMORY});
    row(100, 10, 3, 10, 20);
    tick();
    finish();
    s = only_stack();
    assert_int_equal(s->frame_count, 1);
    assert_string_equal(scene_frame_by_id(scene, s->frames[0])->name, "[unknown]");
}

static void a_sample_without_frames_is_shown_too(void **state)
{
    (void)state;
    begin(&(struct profile_setup){.memory_max = MEMORY});
    row(100, 0, 3, 10, 20);
    finish();
    assert_int_equal(only_stack()->value, 3);
    assert_int_equal(only_stack()->frame_count, 0);
}

static void a_stack_that_is_gone_is_lost_as_such(void **state)
{
    (void)state;
    begin(&(struct profile_setup){.memory_max = MEMORY});
    row(100, 7, 3, 10, 20);
    row(100, 999, 4, 10, 20);
    tick();
    finish();
    assert_int_equal(profile_lost(profile, PROFILE_LOST_STACK), 4);
    assert_int_equal(balance((struct event_counters){.taken = 7}, "stack-gone"), 4);
}

static void beyond_the_memory_samples_are_lost_as_memory_and_the_sum_still_fits(void **state)
{
    (void)state;
    /* Room for a row and less than a stack; further rows do not even get in. */
    begin(&(struct profile_setup){.memory_max = 200});
    row(100, 7, 3, 10, 20);
    row(101, 7, 5, 10, 20);
    tick();
    finish();
    assert_int_equal(profile_shown(profile), 0);
    assert_int_equal(profile_lost(profile, PROFILE_LOST_STACK), 0);
    assert_int_equal(balance((struct event_counters){.taken = 8}, "agent-memory"), 8);
}

static void every_loss_of_the_kernel_counts_under_its_own_name(void **state)
{
    struct event_counters c = {.taken = 2 + 3 + 5 + 7};

    (void)state;
    begin(&(struct profile_setup){.memory_max = MEMORY});
    c.lost[EVENT_LOST_KEYS_FULL] = 3;
    c.lost[EVENT_LOST_STACKS_FULL] = 5;
    c.lost[EVENT_LOST_BUSY] = 7;
    row(100, 7, 2, 10, 20);
    tick();
    finish();
    assert_int_equal(balance(c, "row-map-full"), 3);
    assert_int_equal(balance(c, "stack-map-full"), 5);
    assert_int_equal(balance(c, "map-busy"), 7);
    assert_int_equal(balance(c, "agent-memory"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
        TEST(growing_counts_of_a_row_are_counted_once),
        TEST(counts_begin_again_after_the_kernel_forgot_the_rows),
        TEST(located_rows_give_their_memory_back_when_the_kernel_forgets),
        TEST(rows_wait_for_their_process_and_are_located_at_last),
        TEST(stacks_merge_by_their_functions_and_apart_by_what_was_asked),
        TEST(a_walk_that_leaves_what_is_mapped_ends_where_it_was_lost),
        TEST(a_sample_without_frames_is_shown_too),
        TEST(a_stack_that_is_gone_is_lost_as_such),
        TEST(beyond_the_memory_samples_are_lost_as_memory_and_the_sum_still_fits),
        TEST(every_loss_of_the_kernel_counts_under_its_own_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
