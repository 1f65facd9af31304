/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stacks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

static struct stacks *new_stacks(void)
{
    struct stacks *s = NULL;

    assert_int_equal(stacks_new(&s), 0);
    return s;
}

static void finish(struct stacks *s)
{
    uint32_t rank[64];

    for (uint32_t i = 0; i < ARRAY_SIZE(rank); i++)
        rank[i] = i;
    assert_int_equal(stacks_finish(s, rank), 0);
}

/* Writes the frames that lead to a node; returns how many. */
static uint32_t path_to(const struct stacks *s, uint32_t node, uint32_t *path)
{
    uint32_t count = 0;

    if (node == STACKS_ROOT)
        return 0;
    count = path_to(s, s->nodes[node].parent, path);
    memcpy(path + count, s->pool + s->nodes[node].frames,
           s->nodes[node].frame_count * sizeof(*path));
    return count + s->nodes[node].frame_count;
}

static uint64_t value_of(const struct stacks *s, const uint32_t *frames, uint32_t count)
{
    uint32_t path[64];

    for (uint32_t i = 0; i < s->node_count; i++)
        if (path_to(s, i, path) == count && memcmp(path, frames, count * sizeof(*path)) == 0)
            return s->nodes[i].self;
    return 0;
}

static void stacks_that_share_no_frame_are_apart(void **state _unused_)
{
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();

    assert_int_equal(stacks_add(s, (uint32_t[]){1, 2, 3}, 3, 5), 0);
    assert_int_equal(stacks_add(s, (uint32_t[]){4, 5}, 2, 7), 0);
    finish(s);
    assert_int_equal(s->node_count, 3);
    assert_int_equal(s->total, 12);
    assert_int_equal(s->nodes[STACKS_ROOT].total, 12);
    assert_int_equal(value_of(s, (uint32_t[]){1, 2, 3}, 3), 5);
}

static void a_run_is_cut_where_stacks_part(void **state _unused_)
{
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();

    assert_int_equal(stacks_add(s, (uint32_t[]){1, 2, 3, 4}, 4, 1), 0);
    assert_int_equal(stacks_add(s, (uint32_t[]){1, 2, 5}, 3, 2), 0);
    assert_int_equal(stacks_add(s, (uint32_t[]){1, 2}, 2, 4), 0);
    assert_int_equal(stacks_add(s, (uint32_t[]){1, 2, 3, 4}, 4, 8), 0);
    finish(s);
    assert_int_equal(s->node_count, 4);
    assert_int_equal(value_of(s, (uint32_t[]){1, 2, 3, 4}, 4), 9);
    assert_int_equal(value_of(s, (uint32_t[]){1, 2, 5}, 3), 2);
    assert_int_equal(value_of(s, (uint32_t[]){1, 2}, 2), 4);
    assert_int_equal(s->nodes[s->order[1]].total, 15);
}

static void the_same_stack_twice_is_one_node(void **state _unused_)
{
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();

    for (int i = 0; i < 100; i++)
        assert_int_equal(stacks_add(s, (uint32_t[]){1, 1, 1}, 3, 1), 0);
    finish(s);
    assert_int_equal(s->node_count, 2);
    assert_int_equal(value_of(s, (uint32_t[]){1, 1, 1}, 3), 100);
}

static void an_empty_stack_counts_at_the_root(void **state _unused_)
{
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();

    assert_int_equal(stacks_add(s, NULL, 0, 3), 0);
    finish(s);
    assert_int_equal(s->nodes[STACKS_ROOT].self, 3);
    assert_int_equal(s->nodes[STACKS_ROOT].total, 3);
}

static void siblings_follow_their_rank(void **state _unused_)
{
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();
    uint32_t before = 0;

    for (uint32_t i = 40; i > 0; i--)
        assert_int_equal(stacks_add(s, (uint32_t[]){i * 7 % 41}, 1, 1), 0);
    finish(s);
    for (uint32_t i = 1; i < s->node_count; i++) {
        assert_true(s->nodes[s->order[i]].head > before);
        before = s->nodes[s->order[i]].head;
    }
}

/* Against the plainest thing that can be right: a list of all stacks. */
static void random_stacks_add_up_as_in_a_plain_list(void **state _unused_)
{
    enum { STACKS = 3000, DEPTH = 12 };
    static uint32_t frames[STACKS][DEPTH];
    static uint32_t counts[STACKS];
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();
    uint64_t sum = 0;
    unsigned seed = 7;

    for (uint32_t i = 0; i < STACKS; i++) {
        counts[i] = (uint32_t)rand_r(&seed) % DEPTH + 1;
        for (uint32_t j = 0; j < counts[i]; j++)
            frames[i][j] = (uint32_t)rand_r(&seed) % 3;
        assert_int_equal(stacks_add(s, frames[i], counts[i], i % 5), 0);
        sum += i % 5;
    }
    finish(s);
    assert_int_equal(s->nodes[STACKS_ROOT].total, sum);
    for (uint32_t i = 0; i < STACKS; i += 50) {
        uint64_t want = 0;

        for (uint32_t j = 0; j < STACKS; j++)
            if (counts[j] == counts[i] &&
                memcmp(frames[j], frames[i], counts[i] * sizeof(uint32_t)) == 0)
                want += j % 5;
        assert_int_equal(value_of(s, frames[i], counts[i]), want);
    }
}

static void a_sum_beyond_64_bits_is_refused_and_changes_nothing(void **state _unused_)
{
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();

    assert_int_equal(stacks_add(s, (uint32_t[]){1}, 1, UINT64_MAX - 1), 0);
    assert_int_equal(stacks_add(s, (uint32_t[]){2}, 1, 2), -EOVERFLOW);
    assert_int_equal(s->total, UINT64_MAX - 1);
}

static void a_stack_too_deep_is_refused(void **state _unused_)
{
    _cleanup_(stacks_freep) struct stacks *s = new_stacks();
    static uint32_t frames[STACKS_DEPTH_MAX + 1];

    assert_int_equal(stacks_add(s, frames, STACKS_DEPTH_MAX + 1, 1), -E2BIG);
    assert_int_equal(stacks_add(s, frames, STACKS_DEPTH_MAX, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_that_share_no_frame_are_apart),
        cmocka_unit_test(a_run_is_cut_where_stacks_part),
        cmocka_unit_test(the_same_stack_twice_is_one_node),
        cmocka_unit_test(an_empty_stack_counts_at_the_root),
        cmocka_unit_test(siblings_follow_their_rank),
        cmocka_unit_test(random_stacks_add_up_as_in_a_plain_list),
        cmocka_unit_test(a_sum_beyond_64_bits_is_refused_and_changes_nothing),
        cmocka_unit_test(a_stack_too_deep_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
