/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/histogram.h"
#include "base/cleanup.h"

#include <string.h>

static void each_value_lies_in_its_bucket(void **state _unused_)
{
    static const uint64_t values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 1000, 1ull << 40, UINT64_MAX - 1};
    uint64_t low, high;

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        uint32_t b = histogram_bucket(values[i]);

        assert_true(b < HISTOGRAM_BUCKETS);
        histogram_bounds(b, &low, &high);
        assert_true(low <= values[i] && values[i] < high);
    }
}

static void buckets_leave_no_gap(void **state _unused_)
{
    uint64_t low, high, previous = 0;

    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
        histogram_bounds(b, &low, &high);
        assert_int_equal(low, previous);
        assert_true(high > low);
        previous = high;
    }
    assert_true(previous == UINT64_MAX);
}

static void a_percentile_is_right_within_its_bucket(void **state _unused_)
{
    struct histogram h = {0};

    for (uint64_t v = 1; v <= 1000; v++)
        histogram_add(&h, histogram_bucket(v), 1, v, v);
    assert_int_equal(h.count, 1000);
    assert_int_equal(h.sum, 500500);
    assert_in_range(histogram_permille(&h, 500), 384, 512);
    assert_in_range(histogram_permille(&h, 990), 768, 1000);
    assert_int_equal(histogram_permille(&h, 1000), 1000);
}

static void nothing_lies_above_the_largest(void **state _unused_)
{
    struct histogram h = {0};

    histogram_add(&h, histogram_bucket(1025), 3, 3075, 1025);
    assert_in_range(histogram_permille(&h, 999), 1024, 1025);
}

static void an_empty_one_has_percentiles_of_zero(void **state _unused_)
{
    struct histogram h = {0};

    assert_int_equal(histogram_permille(&h, 500), 0);
    histogram_add(&h, HISTOGRAM_BUCKETS, 1, 1, 1); /* out of range */
    assert_int_equal(h.count, 0);
}

static void json_has_the_buckets_that_are_used(void **state _unused_)
{
    _cleanup_buf_ struct buf b = {0};
    struct histogram h = {0}, other = {0};

    histogram_add(&h, histogram_bucket(5), 2, 11, 6);
    histogram_add(&other, histogram_bucket(1), 1, 1, 1);
    histogram_merge(&h, &other);
    histogram_add_json(&h, &b);
    assert_non_null(strstr(b.data, "\"count\":3,\"sum\":12,\"max\":6"));
    assert_non_null(strstr(b.data, "\"buckets\":[[1,2,1],[4,6,2]]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_lies_in_its_bucket),
        cmocka_unit_test(buckets_leave_no_gap),
        cmocka_unit_test(a_percentile_is_right_within_its_bucket),
        cmocka_unit_test(nothing_lies_above_the_largest),
        cmocka_unit_test(an_empty_one_has_percentiles_of_zero),
        cmocka_unit_test(json_has_the_buckets_that_are_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
