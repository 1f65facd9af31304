/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/table.h"

#include <string.h>

static unsigned freed;

static void count_free(void *value)
{
    freed++;
    free(value);
}

static int *number(int n)
{
    int *p = malloc(sizeof(*p));

    *p = n;
    return p;
}

static void values_are_found_replaced_and_removed(void **state _unused_)
{
    _cleanup_(table_freep) struct table *t = NULL;

    freed = 0;
    assert_int_equal(table_new(&t, count_free), 0);
    assert_null(table_get(t, "a", 1));
    assert_int_equal(table_put(t, "a", 1, number(1)), 0);
    assert_int_equal(table_put(t, "a\0b", 3, number(2)), 0);
    assert_int_equal(table_put(t, "", 0, number(3)), 0);
    assert_int_equal(*(int *)table_get(t, "a", 1), 1);
    assert_int_equal(*(int *)table_get(t, "a\0b", 3), 2);
    assert_int_equal(*(int *)table_get(t, "", 0), 3);
    assert_int_equal(table_put(t, "a", 1, number(4)), 0);
    assert_int_equal(freed, 1);
    assert_int_equal(table_count(t), 3);
    assert_true(table_remove(t, "a", 1));
    assert_false(table_remove(t, "a", 1));
    assert_null(table_get(t, "a", 1));
    assert_int_equal(freed, 2);
}

static void thousands_come_and_go_in_their_order(void **state _unused_)
{
    _cleanup_(table_freep) struct table *t = NULL;
    size_t cursor = 0, key_size, seen = 0;
    const void *key;
    int *value, last = -1;

    freed = 0;
    assert_int_equal(table_new(&t, count_free), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++)
            assert_int_equal(table_put(t, &i, sizeof(i), number(i)), 0);
        for (int i = 0; i < 5000; i++)
            if (i % 3)
                assert_true(table_remove(t, &i, sizeof(i)));
    }
    for (int i = 0; i < 5000; i++)
        assert_int_equal(table_get(t, &i, sizeof(i)) != NULL, i % 3 == 0);
    while ((value = table_next(t, &cursor, &key, &key_size))) {
        assert_int_equal(key_size, sizeof(int));
        assert_memory_equal(key, value, sizeof(int));
        assert_true(*value > last);
        last = *value;
        seen++;
        table_remove(t, &last, sizeof(last)); /* allowed for the one just returned */
    }
    assert_int_equal(seen, 1667);
    assert_int_equal(table_count(t), 0);
}

static void the_hash_depends_on_seed_size_and_every_byte(void **state _unused_)
{
    char text[24] = "a key of some length...";
    uint64_t h = hash_bytes(text, sizeof(text), 1);

    assert_int_equal(h, hash_bytes(text, sizeof(text), 1));
    assert_int_not_equal(h, hash_bytes(text, sizeof(text), 2));
    assert_int_not_equal(h, hash_bytes(text, sizeof(text) - 1, 1));
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] ^= 1;
        assert_int_not_equal(h, hash_bytes(text, sizeof(text), 1));
        text[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_replaced_and_removed),
        cmocka_unit_test(thousands_come_and_go_in_their_order),
        cmocka_unit_test(the_hash_depends_on_seed_size_and_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
