/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/mappings.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The module only compares files by address. */
static char letters[8];
#define FILE_A ((struct file *)&letters[0])
#define FILE_B ((struct file *)&letters[1])

static struct mapping piece(uint64_t start, uint64_t end, struct file *file, uint64_t offset,
                            uint64_t born)
{
    return (struct mapping){
        .start = start, .end = end, .offset = offset, .born_ns = born, .file = file};
}

static void add(struct mappings **m, uint64_t start, uint64_t end, struct file *file,
                uint64_t offset, uint64_t born)
{
    struct mapping p = piece(start, end, file, offset, born);

    assert_int_equal(mappings_add(m, &p), 0);
}

/* The file offset that addr stands for, and its file; UINT64_MAX where nothing is. */
static uint64_t at(const struct mappings *m, uint64_t addr, uint64_t time, struct file **file)
{
    const struct mapping *p = mappings_find(m, addr, time);

    *file = p ? p->file : NULL;
    return p ? addr - p->start + p->offset : UINT64_MAX;
}

static void expect(const struct mappings *m, uint64_t addr, uint64_t time, struct file *file,
                   uint64_t offset)
{
    struct file *found;

    assert_int_equal(at(m, addr, time, &found), offset);
    assert_ptr_equal(found, file);
}

static void expect_nothing(const struct mappings *m, uint64_t addr, uint64_t time)
{
    assert_null(mappings_find(m, addr, time));
}

static struct mappings *fresh(void)
{
    struct mappings *m;

    assert_int_equal(mappings_new(&m), 0);
    return m;
}

static void an_address_in_a_gap_between_mappings_has_no_mapping(void **state)
{
    struct mappings *m = fresh();

    (void)state;
    add(&m, 0x1000, 0x2000, FILE_A, 0, 10);
    add(&m, 0x3000, 0x4000, FILE_B, 0x500, 10);
    expect_nothing(m, 0xfff, 20);
    expect(m, 0x1000, 20, FILE_A, 0);
    expect(m, 0x1fff, 20, FILE_A, 0xfff);
    expect_nothing(m, 0x2000, 20);
    expect_nothing(m, 0x2fff, 20);
    expect(m, 0x3000, 20, FILE_B, 0x500);
    expect_nothing(m, 0x4000, 20);
    mappings_unref(m);
}

static void a_mapping_is_not_there_before_it_was_born(void **state)
{
    struct mappings *m = fresh();

    (void)state;
    add(&m, 0x1000, 0x2000, FILE_A, 0, 10);
    expect_nothing(m, 0x1000, 9);
    expect(m, 0x1000, 10, FILE_A, 0);
    mappings_unref(m);
}

static void what_is_covered_is_still_found_for_the_time_before(void **state)
{
    struct mappings *m = fresh();

    (void)state;
    add(&m, 0x1000, 0x4000, FILE_A, 0, 10);
    add(&m, 0x2000, 0x3000, FILE_B, 0x7000, 20);
    assert_int_equal(mappings_count(m), 3);
    expect(m, 0x1800, 25, FILE_A, 0x800);
    expect(m, 0x2800, 25, FILE_B, 0x7800);
    expect(m, 0x2800, 20, FILE_B, 0x7800);
    expect(m, 0x2800, 19, FILE_A, 0x1800);
    expect(m, 0x3800, 25, FILE_A, 0x2800);
    expect_nothing(m, 0x2800, 9);
    mappings_unref(m);
}

static void a_mapping_over_several_cuts_the_outer_and_ends_the_inner(void **state)
{
    struct mappings *m = fresh();

    (void)state;
    add(&m, 0x1000, 0x2000, FILE_A, 0, 1);
    add(&m, 0x2000, 0x3000, FILE_A, 0x9000, 1);
    add(&m, 0x3000, 0x4000, FILE_A, 0x5000, 1);
    add(&m, 0x1800, 0x3800, FILE_B, 0, 2);
    assert_int_equal(mappings_count(m), 3);
    expect(m, 0x17ff, 3, FILE_A, 0x7ff);
    expect(m, 0x1800, 3, FILE_B, 0);
    expect(m, 0x37ff, 3, FILE_B, 0x1fff);
    expect(m, 0x3800, 3, FILE_A, 0x5800);
    expect(m, 0x2800, 1, FILE_A, 0x9800);
    mappings_unref(m);
}

static void the_same_piece_again_changes_nothing(void **state)
{
    struct mappings *m = fresh();
    const struct mapping *before;

    (void)state;
    add(&m, 0x1000, 0x4000, FILE_A, 0x1000, 1);
    before = mappings_find(m, 0x2000, 1);
    add(&m, 0x2000, 0x3000, FILE_A, 0x2000, 5);
    assert_ptr_equal(mappings_find(m, 0x2000, 1), before);
    assert_int_equal(mappings_count(m), 1);
    /* At another offset it is another piece. */
    add(&m, 0x2000, 0x3000, FILE_A, 0x8000, 6);
    expect(m, 0x2000, 6, FILE_A, 0x8000);
    mappings_unref(m);
}

static void an_empty_or_reversed_range_is_no_mapping(void **state)
{
    struct mappings *m = fresh();

    (void)state;
    add(&m, 0x1000, 0x1000, FILE_A, 0, 1);
    add(&m, 0x2000, 0x1000, FILE_A, 0, 1);
    assert_int_equal(mappings_count(m), 0);
    add(&m, UINT64_MAX - 0xfff, UINT64_MAX, FILE_A, 0, 1);
    expect(m, UINT64_MAX - 1, 1, FILE_A, 0xffe);
    expect_nothing(m, UINT64_MAX, 1);
    mappings_unref(m);
}

static void a_change_is_not_seen_by_those_who_shared_it(void **state)
{
    struct mappings *m = fresh(), *other;

    (void)state;
    add(&m, 0x1000, 0x2000, FILE_A, 0, 1);
    add(&m, 0x1000, 0x2000, FILE_B, 0, 2);
    other = mappings_ref(m);
    add(&other, 0x1000, 0x2000, FILE_A, 0x100, 3);
    assert_ptr_not_equal(m, other);
    expect(m, 0x1000, 5, FILE_B, 0);
    expect(other, 0x1000, 5, FILE_A, 0x100);
    expect(other, 0x1000, 2, FILE_B, 0); /* the past came along */
    expect(other, 0x1000, 1, FILE_A, 0);
    mappings_unref(m);
    expect(other, 0x1000, 5, FILE_A, 0x100);
    mappings_unref(other);
}

static void nothing_can_be_shared_too(void **state)
{
    struct mappings *m = fresh(), *other = mappings_ref(m);

    (void)state;
    add(&other, 0x1000, 0x2000, FILE_A, 0, 1);
    assert_int_equal(mappings_count(m), 0);
    expect(other, 0x1000, 1, FILE_A, 0);
    mappings_unref(m);
    mappings_unref(other);
}

static void a_snapshot_fills_only_where_no_newer_record_is(void **state)
{
    struct mappings *m = fresh();
    struct mapping over = piece(0x1800, 0x2800, FILE_B, 0, 0),
                   beside = piece(0x3000, 0x4000, FILE_B, 0, 0);

    (void)state;
    add(&m, 0x1000, 0x2000, FILE_A, 0, 5);
    assert_int_equal(mappings_fill(&m, &over), 0);
    assert_int_equal(mappings_fill(&m, &beside), 0);
    expect(m, 0x1800, 9, FILE_A, 0x800);
    expect_nothing(m, 0x2000, 9);
    expect(m, 0x3000, 0, FILE_B, 0);
    mappings_unref(m);
}

static void a_child_is_filled_with_what_its_parent_had_when_it_forked(void **state)
{
    struct mappings *child = fresh(), *parent = fresh();

    (void)state;
    add(&parent, 0x1000, 0x2000, FILE_A, 0, 1);
    add(&parent, 0x3000, 0x4000, FILE_A, 0, 9);
    add(&child, 0x5000, 0x6000, FILE_B, 0, 6);
    assert_int_equal(mappings_fill_from(&child, parent, 5), 0);
    expect(child, 0x1000, 7, FILE_A, 0);
    expect_nothing(child, 0x3000, 9);
    expect(child, 0x5000, 7, FILE_B, 0);
    mappings_unref(child);
    mappings_unref(parent);
}

static void only_the_last_dead_ones_are_remembered(void **state)
{
    struct mappings *m = fresh();

    (void)state;
    for (uint64_t i = 0; i < 200; i++)
        add(&m, 0x1000, 0x2000, i % 2 ? FILE_B : FILE_A, i * 0x1000, 100 + i);
    assert_int_equal(mappings_count(m), 1);
    expect(m, 0x1000, 500, FILE_B, 199 * 0x1000);
    for (uint64_t i = 199 - 128; i < 200; i++)
        expect(m, 0x1000, 100 + i, i % 2 ? FILE_B : FILE_A, i * 0x1000);
    expect_nothing(m, 0x1000, 100 + 199 - 129);
    mappings_unref(m);
}

static void more_live_mappings_than_the_bound_are_refused_even_in_a_copy(void **state)
{
    struct mappings *m = fresh(), *copy;
    struct mapping one;
    int r = 0;

    (void)state;
    /* An odd number first, so that the copy's room is no power of two. */
    for (uint64_t i = 0; i < 40001; i++)
        add(&m, i * 0x2000, i * 0x2000 + 0x1000, FILE_A, 0, 1);
    copy = mappings_ref(m);
    for (uint64_t i = 40001; r == 0 && i < 100000; i++) {
        one = piece(i * 0x2000, i * 0x2000 + 0x1000, FILE_A, 0, 1);
        r = mappings_add(&copy, &one);
    }
    assert_int_equal(r, -E2BIG);
    assert_in_range(mappings_count(copy), MAPPINGS_MAX - 1, MAPPINGS_MAX + 1);
    assert_int_equal(mappings_count(m), 40001);
    mappings_unref(m);
    mappings_unref(copy);
}

/* ---- against a model: a page by page history ---- */

#define PAGES 64
#define STEPS 120

struct model {
    struct file *file[STEPS + 1][PAGES];
    uint64_t offset[STEPS + 1][PAGES];
};

static void check_model(const struct mappings *m, const struct model *model, uint64_t steps)
{
    for (uint64_t t = 1; t <= steps; t++)
        for (uint64_t page = 0; page < PAGES; page++) {
            const struct file *want = model->file[t][page];
            struct file *found;
            uint64_t offset = at(m, page * 0x1000 + 5, t, &found);

            assert_ptr_equal(found, want);
            if (want)
                assert_int_equal(offset, model->offset[t][page] + 5);
        }
}

static void random_histories_answer_as_a_page_by_page_model_does(void **state)
{
    static struct model model;

    (void)state;
    for (unsigned seed = 1; seed <= 30; seed++) {
        struct mappings *m = fresh();
        uint64_t steps = 0;

        srandom(seed);
        memset(&model, 0, sizeof(model));
        /* Few enough to bury that none is forgotten. */
        for (uint64_t t = 1; t <= 25; t++) {
            uint64_t start = (uint64_t)random() % PAGES, size = 1 + (uint64_t)random() % 5;
            uint64_t end = MIN(start + size, (uint64_t)PAGES);
            uint64_t offset = ((uint64_t)random() % 8) * 0x1000;
            struct file *file = random() % 2 ? FILE_A : FILE_B;

            memcpy(model.file[t], model.file[t - 1], sizeof(model.file[t]));
            memcpy(model.offset[t], model.offset[t - 1], sizeof(model.offset[t]));
            for (uint64_t p = start; p < end; p++) {
                model.file[t][p] = file;
                model.offset[t][p] = offset + (p - start) * 0x1000;
            }
            add(&m, start * 0x1000, end * 0x1000, file, offset, t);
            steps = t;
        }
        check_model(m, &model, steps);
        mappings_unref(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_in_a_gap_between_mappings_has_no_mapping),
        cmocka_unit_test(a_mapping_is_not_there_before_it_was_born),
        cmocka_unit_test(what_is_covered_is_still_found_for_the_time_before),
        cmocka_unit_test(a_mapping_over_several_cuts_the_outer_and_ends_the_inner),
        cmocka_unit_test(the_same_piece_again_changes_nothing),
        cmocka_unit_test(an_empty_or_reversed_range_is_no_mapping),
        cmocka_unit_test(a_change_is_not_seen_by_those_who_shared_it),
        cmocka_unit_test(nothing_can_be_shared_too),
        cmocka_unit_test(a_snapshot_fills_only_where_no_newer_record_is),
        cmocka_unit_test(a_child_is_filled_with_what_its_parent_had_when_it_forked),
        cmocka_unit_test(only_the_last_dead_ones_are_remembered),
        cmocka_unit_test(more_live_mappings_than_the_bound_are_refused_even_in_a_copy),
        cmocka_unit_test(random_histories_answer_as_a_page_by_page_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
