/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/overhead.h"

#define SECOND 1000000000ull

static void within_the_budget_all_stacks_are_taken(void **state)
{
    (void)state;
    assert_int_equal(overhead_every(1, 0.0, 2), 1);
    assert_int_equal(overhead_every(1, 2.0, 2), 1);
}

static void beyond_it_as_few_as_it_takes_but_not_fewer_than_one_in_64(void **state)
{
    (void)state;
    assert_int_equal(overhead_every(1, 2.1, 2), 2);
    assert_int_equal(overhead_every(1, 15.0, 2), 8);
    assert_int_equal(overhead_every(4, 15.0, 2), 32);
    assert_int_equal(overhead_every(8, 90.0, 2), OVERHEAD_EVERY_MAX);
    assert_int_equal(overhead_every(OVERHEAD_EVERY_MAX, 90.0, 2), OVERHEAD_EVERY_MAX);
}

static void more_are_taken_again_only_when_that_fits(void **state)
{
    (void)state;
    assert_int_equal(overhead_every(8, 1.5, 2), 8);
    assert_int_equal(overhead_every(8, 0.5, 2), 4);
}

static void the_busiest_cpu_of_the_last_stretch_counts(void **state)
{
    uint64_t run_ns[2] = {SECOND / 100, SECOND / 10};
    struct overhead *o;

    (void)state;
    assert_int_equal(overhead_new(2, SECOND, &o), 0);
    assert_int_equal(overhead_adjust(o, run_ns, 1, 2 * SECOND), 1);
    run_ns[0] += SECOND / 10;
    assert_int_equal(overhead_adjust(o, run_ns, 1, 3 * SECOND), 8);
    assert_true(overhead_percent(o) > 5.4 && overhead_percent(o) < 5.6);
    /* Too soon to tell. */
    run_ns[0] += SECOND;
    assert_int_equal(overhead_adjust(o, run_ns, 1, 3 * SECOND + 1), 8);
    overhead_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_the_budget_all_stacks_are_taken),
        cmocka_unit_test(beyond_it_as_few_as_it_takes_but_not_fewer_than_one_in_64),
        cmocka_unit_test(more_are_taken_again_only_when_that_fits),
        cmocka_unit_test(the_busiest_cpu_of_the_last_stretch_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
