/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/mapping_list.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MANY 64000u
#define PAGE 0x1000u

static struct mapping page(uint64_t number)
{
    return (struct mapping){
        .start = number * PAGE, .end = (number + 1) * PAGE, .offset = number * 7};
}

static void insert(struct mapping_list *l, uint64_t number)
{
    struct mapping_place at = mapping_list_behind(l, number * PAGE);
    struct mapping m = page(number);

    assert_int_equal(mapping_list_insert(l, &at, &m), 0);
    assert_int_equal(mapping_list_get(l, at)->start, m.start);
}

static void take_out(struct mapping_list *l, uint64_t number)
{
    struct mapping_place at = mapping_list_behind(l, number * PAGE);
    const struct mapping *next;

    assert_int_equal(mapping_list_get(l, at)->start, number * PAGE);
    assert_int_equal(mapping_list_remove(l, &at), 0);
    next = mapping_list_get(l, at);
    assert_true(!next || next->start > number * PAGE);
}

/* Even numbers below 2 * MANY, in an order that is none. */
static void fill(struct mapping_list *l)
{
    for (uint64_t i = 0; i < MANY; i++)
        insert(l, i * 40503 % MANY * 2);
}

/* In order, and as many as they say. */
static void check(const struct mapping_list *l)
{
    struct mapping_place at = {0};
    const struct mapping *m;
    uint64_t end = 0;
    size_t n = 0;

    for (; (m = mapping_list_get(l, at)); at = mapping_list_next(l, at), n++) {
        assert_true(m->start >= end);
        assert_int_equal(m->offset, m->start / PAGE * 7);
        end = m->end;
    }
    assert_int_equal(n, l->count);
}

/* Chunks of a that b does not share. */
static size_t apart(const struct mapping_list *a, const struct mapping_list *b)
{
    size_t n = 0;

    for (size_t i = 0; i < a->chunk_count; i++) {
        bool found = false;

        for (size_t k = 0; k < b->chunk_count; k++)
            found |= a->chunks[i] == b->chunks[k];
        n += !found;
    }
    return n;
}

static void many_in_no_order_come_out_sorted(void **state)
{
    struct mapping_list l = {0};

    (void)state;
    fill(&l);
    assert_int_equal(l.count, MANY);
    check(&l);
    for (uint64_t i = 0; i < MANY; i += 131) {
        struct mapping_place at = mapping_list_behind(&l, i * 2 * PAGE);

        assert_int_equal(mapping_list_get(&l, at)->start, i * 2 * PAGE);
        at = mapping_list_behind(&l, (i * 2 + 1) * PAGE);
        assert_true(i == MANY - 1 || mapping_list_get(&l, at)->start == (i + 1) * 2 * PAGE);
    }
    mapping_list_clear(&l);
}

static void a_change_among_64000_touches_two_chunks_at_most(void **state)
{
    struct mapping_list l = {0};

    (void)state;
    fill(&l);
    for (uint64_t i = 0; i < 50; i++) {
        struct mapping_list before = {0};

        assert_int_equal(mapping_list_copy(&before, &l), 0);
        assert_int_equal(apart(&before, &l), 0);
        insert(&l, i * 2 * 1009 + 1);
        assert_in_range(apart(&l, &before), 1, 2);
        assert_in_range(l.chunk_count, before.chunk_count, before.chunk_count + 1);
        mapping_list_clear(&before);
        assert_int_equal(mapping_list_copy(&before, &l), 0);
        take_out(&l, i * 2 * 1009 + 1);
        assert_in_range(apart(&l, &before), 0, 1);
        check(&before);
        mapping_list_clear(&before);
    }
    check(&l);
    /* No chunk is larger than it takes to hold them all in about a thousand. */
    assert_in_range(l.chunk_count, MANY / 64, MANY / 16);
    mapping_list_clear(&l);
}

/* Or memory would follow what was ever there: a container could have a chunk for each mapping. */
static void lists_that_were_long_are_short_again(void **state)
{
    struct mapping_list l = {0};

    (void)state;
    for (int round = 0; round < 3; round++) {
        fill(&l);
        for (uint64_t i = 0; i < MANY; i++)
            if (i % 100)
                take_out(&l, i * 2);
        check(&l);
        assert_int_equal(l.count, MANY / 100);
        assert_in_range(l.chunk_count, 1, MANY / 100 / 8);
        for (uint64_t i = 0; i < MANY; i += 100)
            take_out(&l, i * 2);
        assert_int_equal(l.count, 0);
        assert_int_equal(l.chunk_count, 0);
    }
    mapping_list_clear(&l);
}

static void what_is_edited_stays_as_it_was_in_the_copy(void **state)
{
    struct mapping_list l = {0}, copy = {0};
    struct mapping_place at;

    (void)state;
    insert(&l, 1);
    insert(&l, 3);
    assert_int_equal(mapping_list_copy(&copy, &l), 0);
    at = mapping_list_behind(&l, 3 * PAGE);
    mapping_list_edit(&l, at)->end += PAGE;
    assert_int_equal(mapping_list_get(&l, at)->end, 5 * PAGE);
    assert_int_equal(mapping_list_get(&copy, at)->end, 4 * PAGE);
    mapping_list_clear(&l);
    check(&copy);
    mapping_list_clear(&copy);
}

static void an_empty_list_has_nothing_anywhere(void **state)
{
    struct mapping_list l = {0}, copy = {0};

    (void)state;
    assert_null(mapping_list_get(&l, mapping_list_behind(&l, 0)));
    assert_int_equal(mapping_list_copy(&copy, &l), 0);
    assert_int_equal(copy.count, 0);
    mapping_list_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_in_no_order_come_out_sorted),
        cmocka_unit_test(a_change_among_64000_touches_two_chunks_at_most),
        cmocka_unit_test(lists_that_were_long_are_short_again),
        cmocka_unit_test(what_is_edited_stays_as_it_was_in_the_copy),
        cmocka_unit_test(an_empty_list_has_nothing_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
