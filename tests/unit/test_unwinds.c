/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/unwinds.h"
#include "tests/unit/tables.h"

#include <elf.h>

#define SLOTS 4096u

/* What programs would read: 8 bytes a slot. */
struct memory {
    uint64_t slots[SLOTS];
};

static int write_slots(void *data, uint32_t first, const void *rows, uint32_t count)
{
    struct memory *m = data;

    assert_true(first <= SLOTS && count <= SLOTS - first);
    memcpy(&m->slots[first], rows, count * sizeof(m->slots[0]));
    return 0;
}

static struct unwinds *fresh(struct memory *m, uint32_t slots)
{
    struct unwind_sink sink = {.write = write_slots, .data = m, .rows_max = slots};
    struct unwinds *u;

    memset(m, 0, sizeof(*m));
    assert_int_equal(unwinds_new(&sink, &u), 0);
    return u;
}

/* Rows every `step` bytes; each says in its offset whose it is. */
static struct unwindtab *table_of(uint32_t count, uint32_t step, int16_t whose)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    const struct segment segment = {.vaddr = 0, .offset = 0, .size = UINT32_MAX};
    _cleanup_close_ int fd = memfd_empty();
    struct unwindtab *t;

    assert_int_equal(unwindtab_builder_new(&b), 0);
    unwindtab_builder_header(b)->machine = EM_X86_64;
    assert_int_equal(unwindtab_builder_add_segment(b, &segment), 0);
    assert_int_equal(unwindtab_builder_range(b, step, step * (count + 1)), 0);
    for (uint32_t i = 1; i <= count; i++) {
        struct unwind_row row = {
            .pc = i * step, .kind = UNWIND_RSP, .rbp = (uint8_t)(i & 1), .offset = whose};

        assert_int_equal(unwindtab_builder_row(b, &row), 0);
    }
    assert_int_equal(unwindtab_builder_write(b, fd), 0);
    seal(fd);
    assert_int_equal(unwindtab_open(fd, &t), 0);
    return t;
}

static struct cache_identity file_of(uint64_t ino)
{
    return (struct cache_identity){.dev = 1, .ino = ino, .size = 100};
}

/* 100 rows, which with the gap behind them and their index take 114 slots. */
static struct unwind_entry *put(struct unwinds *u, int16_t whose)
{
    struct cache_identity id = file_of((uint64_t)whose);
    struct unwind_entry *e = unwinds_put(u, &id, table_of(100, 64, whose));

    assert_non_null(e);
    return e;
}

static struct unwind_entry *get(struct unwinds *u, int16_t whose)
{
    struct cache_identity id = file_of((uint64_t)whose);

    return unwinds_get(u, &id);
}

/* As bpf/rows.bpf.h searches. */
static const struct unwind_row *search(const struct memory *m, const struct unwind_place *p,
                                       uint32_t pc)
{
    const struct unwind_block *block =
        (const void *)&m->slots[p->index + MIN(pc >> p->shift, p->blocks - 1)];
    const struct unwind_row *rows = (const void *)&m->slots[p->first];
    uint32_t low = block->begin, high = block->end;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (rows[middle].pc <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &rows[low - 1] : NULL;
}

/* All of the entry's rows are its own. */
static void assert_intact(const struct memory *m, const struct unwind_entry *e, int16_t whose)
{
    struct unwind_place p;
    uint64_t bias;

    assert_true(unwind_entry_rows(e, 0x10000, 0, &p, &bias));
    for (uint32_t i = 1; i <= 100; i++) {
        const struct unwind_row *row = search(m, &p, i * 64 + 5);

        assert_non_null(row);
        assert_int_equal(row->pc, i * 64);
        assert_int_equal(row->offset, whose);
    }
}

static void the_index_leads_to_the_row_that_a_plain_search_finds(void **state _unused_)
{
    static const uint32_t steps[] = {1, 3, 17, 64, 1000, 0x100000};
    struct memory m;

    for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
        _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, SLOTS);
        struct unwindtab *t = table_of(1000, steps[s], 1);
        _cleanup_free_ struct unwind_row *rows = NULL;
        struct cache_identity id = file_of(1);
        struct unwind_place p;
        uint32_t count, at = 0;
        uint64_t bias;

        rows = calloc(1002, sizeof(*rows));
        memcpy(rows, unwindtab_rows(t, &count), 1001 * sizeof(*rows));
        assert_int_equal(count, 1001);
        assert_true(unwind_entry_rows(unwinds_put(u, &id, t), 0, 0, &p, &bias));
        assert_true(p.blocks <= count / 4 + 1);
        for (uint64_t pc = 0; pc < 1005ull * steps[s]; pc += MAX(steps[s] / 3, 1u)) {
            const struct unwind_row *found = search(&m, &p, (uint32_t)pc);

            while (at < count && rows[at].pc <= pc)
                at++;
            if (at == 0)
                assert_null(found);
            else
                assert_memory_equal(found, &rows[at - 1], sizeof(*found));
        }
    }
}

static void the_table_that_was_not_used_for_longest_makes_room(void **state _unused_)
{
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, 300);
    struct unwinds_stats stats;
    struct unwind_entry *e;

    unwinds_unref(u, put(u, 1));
    unwinds_unref(u, put(u, 2));
    unwinds_unref(u, get(u, 1));
    e = put(u, 3);
    assert_false(unwind_entry_refused(e));
    assert_intact(&m, e, 3);
    assert_null(get(u, 2));
    e = get(u, 1);
    assert_non_null(e);
    assert_intact(&m, e, 1);
    unwinds_get_stats(u, &stats);
    assert_int_equal(stats.evicted, 1);
    assert_int_equal(stats.in_use, 2);
    assert_true(stats.rows <= stats.rows_max);
}

static void rows_that_somebody_holds_are_never_written_over(void **state _unused_)
{
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, 300);
    struct unwind_entry *one = put(u, 1), *two = put(u, 2), *three = put(u, 3);
    struct unwinds_stats stats;
    struct unwind_place p;
    uint64_t bias;

    assert_true(unwind_entry_refused(three));
    assert_false(unwind_entry_rows(three, 0, 0, &p, &bias));
    assert_intact(&m, one, 1);
    assert_intact(&m, two, 2);
    unwinds_get_stats(u, &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.evicted, 0);
}

/* What a program remembers of rows would be another file's where the place is the same. */
static void a_table_in_the_place_of_another_has_a_number_of_its_own(void **state _unused_)
{
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, 120); /* room for one */
    struct unwind_entry *one = put(u, 1);
    struct unwind_place first, again, second;
    uint64_t bias;

    assert_true(unwind_entry_rows(one, 0, 0, &first, &bias));
    unwinds_unref(u, one);
    one = get(u, 1);
    assert_true(unwind_entry_rows(one, 0, 0, &again, &bias));
    unwinds_unref(u, one);
    assert_int_not_equal(first.number, 0); /* of what is not remembered yet */
    assert_int_equal(again.number, first.number);
    assert_true(unwind_entry_rows(put(u, 2), 0, 0, &second, &bias));
    assert_int_equal(second.first, first.first);
    assert_int_not_equal(second.number, first.number);
}

/* As lld packs segments: the code's begins in the page in which the one before it ends. */
static void a_mapping_that_begins_before_its_segment_has_its_rows(void **state _unused_)
{
    const struct segment segments[] = {
        {.vaddr = 0x47880, .offset = 0x46880, .size = 0x1000},
        {.vaddr = 0, .offset = 0, .size = 0x46844},
    };
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    _cleanup_close_ int fd = memfd_empty();
    const struct cache_identity id = file_of(9);
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, SLOTS);
    struct unwind_place p;
    uint64_t bias;

    assert_int_equal(unwindtab_builder_new(&b), 0);
    unwindtab_builder_header(b)->machine = EM_X86_64;
    for (size_t i = 0; i < ARRAY_SIZE(segments); i++)
        assert_int_equal(unwindtab_builder_add_segment(b, &segments[i]), 0);
    assert_int_equal(unwindtab_builder_range(b, 0x47880, 0x47900), 0);
    assert_int_equal(
        unwindtab_builder_row(b, &(struct unwind_row){.pc = 0x47880, .kind = UNWIND_RSP}), 0);
    assert_int_equal(unwindtab_builder_write(b, fd), 0);
    seal(fd);
    assert_int_equal(unwindtab_open(fd, &t), 0);
    assert_true(
        unwind_entry_rows(unwinds_put(u, &id, TAKE_PTR(t)), 0x7f0000047000, 0x46000, &p, &bias));
    assert_int_equal(bias, 0x7f0000000000);
}

static void what_was_refused_finds_room_once_something_is_given_back(void **state _unused_)
{
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, 300);
    struct unwind_entry *one = put(u, 1), *two = put(u, 2), *three = put(u, 3), *again;
    uint64_t freed = unwinds_freed(u);

    assert_null(get(u, 3)); /* so that it is parsed again */
    unwinds_unref(u, two);
    assert_true(unwinds_freed(u) > freed);
    again = put(u, 3);
    assert_ptr_equal(again, three);
    assert_false(unwind_entry_refused(three));
    assert_intact(&m, three, 3);
    assert_intact(&m, one, 1);
}

static void gaps_are_used_again_however_often(void **state _unused_)
{
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, 700);
    struct unwind_entry *held = put(u, 1000);
    struct unwinds_stats stats;

    for (int16_t i = 1; i < 900; i++) {
        struct unwind_entry *e = put(u, i);

        assert_false(unwind_entry_refused(e));
        assert_intact(&m, e, i);
        unwinds_unref(u, e);
    }
    assert_intact(&m, held, 1000);
    unwinds_get_stats(u, &stats);
    assert_int_equal(stats.refused, 0);
    assert_true(stats.tables <= 6);
}

static void a_table_beyond_all_room_is_refused_and_puts_nobody_out(void **state _unused_)
{
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, 300);
    struct cache_identity id = file_of(2);
    struct unwind_entry *e;

    unwinds_unref(u, put(u, 1));
    e = unwinds_put(u, &id, table_of(1000, 64, 2));
    assert_true(unwind_entry_refused(e));
    unwinds_unref(u, e);
    assert_non_null(get(u, 1));
}

static void files_without_rules_are_remembered_within_bounds(void **state _unused_)
{
    struct memory m;
    _cleanup_(unwinds_freep) struct unwinds *u = fresh(&m, 300);
    struct cache_identity last = file_of(20000);
    struct unwinds_stats stats;
    struct unwind_entry *e = NULL;

    for (uint64_t ino = 1; ino <= 20000; ino++) {
        struct cache_identity id = file_of(ino);

        unwinds_unref(u, unwinds_put(u, &id, NULL));
    }
    unwinds_get_stats(u, &stats);
    assert_true(stats.tables <= 8192);
    e = unwinds_get(u, &last);
    assert_non_null(e);
    assert_false(unwind_entry_refused(e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_leads_to_the_row_that_a_plain_search_finds),
        cmocka_unit_test(the_table_that_was_not_used_for_longest_makes_room),
        cmocka_unit_test(rows_that_somebody_holds_are_never_written_over),
        cmocka_unit_test(a_table_in_the_place_of_another_has_a_number_of_its_own),
        cmocka_unit_test(what_was_refused_finds_room_once_something_is_given_back),
        cmocka_unit_test(gaps_are_used_again_however_often),
        cmocka_unit_test(a_table_beyond_all_room_is_refused_and_puts_nobody_out),
        cmocka_unit_test(a_mapping_that_begins_before_its_segment_has_its_rows),
        cmocka_unit_test(files_without_rules_are_remembered_within_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
