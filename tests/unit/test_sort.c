/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nsresolve/sort.h"

#include <stdbool.h>
#include <stdlib.h>

#define COUNT 5000

struct element {
    uint32_t order; /* in which it was added */
    uint32_t narrow;
    uint64_t wide;
};

/* Few different keys, so that stability shows; no two bytes of a wide one are always equal. */
static struct element *elements(void)
{
    struct element *e = calloc(COUNT, sizeof(*e));
    uint64_t state = 1;

    assert_non_null(e);
    for (uint32_t i = 0; i < COUNT; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        e[i] = (struct element){.order = i,
                                .narrow = (uint32_t)(state >> 33) % 700 * 6135163u,
                                .wide = (state >> 33) % 700 * 0x9e3779b97f4a7c15ull};
    }
    return e;
}

static int by_wide(const void *a, const void *b)
{
    const struct element *x = a, *y = b;

    return (x->wide > y->wide) - (x->wide < y->wide);
}

static void is_sorted(const struct element *e, bool wide)
{
    for (size_t i = 1; i < COUNT; i++) {
        uint64_t before = wide ? e[i - 1].wide : e[i - 1].narrow;
        uint64_t here = wide ? e[i].wide : e[i].narrow;

        assert_true(before <= here);
        if (before == here)
            assert_true(e[i - 1].order < e[i].order);
    }
}

static void merging_is_stable(void **state _unused_)
{
    _cleanup_free_ struct element *e = elements();

    assert_int_equal(sort_stable(e, COUNT, sizeof(*e), by_wide), 0);
    is_sorted(e, true);
}

static void sorting_by_digits_is_stable(void **state _unused_)
{
    void *wide = elements(), *narrow = elements();

    assert_int_equal(
        sort_by_u64(&wide, COUNT, sizeof(struct element), offsetof(struct element, wide)), 0);
    is_sorted(wide, true);
    assert_int_equal(
        sort_by_u32(&narrow, COUNT, sizeof(struct element), offsetof(struct element, narrow)), 0);
    is_sorted(narrow, false);
    free(wide);
    free(narrow);
}

static void what_is_sorted_stays_where_it_is(void **state _unused_)
{
    uint64_t numbers[] = {1, 1, 2, 1ull << 60};
    void *data = numbers;

    assert_int_equal(sort_by_u64(&data, ARRAY_SIZE(numbers), sizeof(numbers[0]), 0), 0);
    assert_ptr_equal(data, numbers);
    assert_int_equal(sort_by_u64(&data, 0, sizeof(numbers[0]), 0), 0);
    assert_ptr_equal(data, numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_is_stable),
        cmocka_unit_test(sorting_by_digits_is_stable),
        cmocka_unit_test(what_is_sorted_stays_where_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
