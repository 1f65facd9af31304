/* SPDX-License-Identifier: Apache-2.0 */
/* jitdump files, and the tables of code over time that are made of them. */
#include "nsresolve/sort.h"
#include "tests/unit/craft_jitdump.h"
#include "tests/unit/tables.h"

#include <errno.h>
#include <sys/resource.h>

static struct codetab *built_codes(struct codetab_builder *b)
{
    _cleanup_close_ int fd = memfd_empty();
    struct codetab *t = NULL;

    assert_int_equal(codetab_builder_write(b, fd), 0);
    seal(fd);
    assert_int_equal(codetab_open(fd, &t), 0);
    return t;
}

static struct codetab *parsed_fd(int fd)
{
    _cleanup_(codetab_builder_freep) struct codetab_builder *b = NULL;

    assert_int_equal(codetab_builder_new(&b), 0);
    assert_int_equal(jitdump_parse(fd, b), 0);
    return built_codes(b);
}

static struct codetab *parsed(const struct buf *file)
{
    _cleanup_close_ int fd = memfd_of(file->data, file->size);

    return parsed_fd(fd);
}

/* What stood at an address then; "-" before anything did. */
static const char *at(const struct codetab *t, uint64_t address, uint64_t time)
{
    size_t count = 0;
    const struct codetab_row *rows = codetab_cell(t, address, &count);
    const char *name = "-";

    for (size_t i = 0; rows && i < count && rows[i].born_ns <= time; i++)
        name = codetab_name(t, &rows[i]);
    return name;
}

/* What the record at that offset says of its size. */
static void set_size(struct buf *f, size_t offset, uint32_t size)
{
    memcpy(f->data + offset + offsetof(struct jitdump_record, total_size), &size, sizeof(size));
}

static void code_has_the_name_that_stood_there_at_the_time(void **state)
{
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_buf_ struct buf f = {0};

    (void)state;
    craft_dump(&f, 0);
    craft_load(&f, 100, 0x1000, 0x100, 1, "big with blanks");
    craft_load(&f, 200, 0x1040, 0x20, 2, "inner");
    craft_load(&f, 300, 0x1000, 0x80, 3, "later");
    craft_load(&f, 150, 0x3000, 0x10, 4, "late in the file");
    craft_load(&f, 150, 0x3000, 0x10, 5, "of the same time");
    t = parsed(&f);
    assert_string_equal(at(t, 0x1000, 99), "-");
    assert_string_equal(at(t, 0x1000, 100), "big with blanks");
    assert_string_equal(at(t, 0x10ff, 1000), "big with blanks");
    assert_string_equal(at(t, 0x1100, 1000), "-");
    assert_string_equal(at(t, 0x1040, 199), "big with blanks");
    assert_string_equal(at(t, 0x1040, 200), "inner");
    assert_string_equal(at(t, 0x105f, 299), "inner");
    assert_string_equal(at(t, 0x1060, 299), "big with blanks");
    assert_string_equal(at(t, 0x1040, 300), "later");
    assert_string_equal(at(t, 0x1080, 300), "big with blanks");
    assert_string_equal(at(t, 0x3000, 200), "of the same time");
    assert_int_equal(codetab_header(t)->bad_records, 0);
    assert_int_equal(codetab_header(t)->flags, 0);
}

static void moved_code_takes_its_name_along_and_leaves_nothing_behind(void **state)
{
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_buf_ struct buf f = {0};

    (void)state;
    craft_dump(&f, 0);
    craft_load(&f, 100, 0x1000, 0x100, 7, "mover");
    craft_move(&f, 200, 0x1000, 0x2000, 0x100, 7);
    craft_load(&f, 300, 0x1000, 0x40, 8, "next");
    craft_move(&f, 400, 0x2000, 0x2080, 0x100, 7); /* overlaps itself */
    craft_load(&f, 500, 0x5000, 0x40, 7, "other code of that index");
    craft_move(&f, 600, 0x5000, 0x6000, 0x40, 7);
    craft_move(&f, 700, 0x1000, 0x7000, 0x40, 99); /* never loaded */
    t = parsed(&f);
    assert_string_equal(at(t, 0x1000, 199), "mover");
    assert_string_equal(at(t, 0x1000, 200), "");
    assert_string_equal(at(t, 0x1000, 300), "next");
    assert_string_equal(at(t, 0x1040, 300), "");
    assert_string_equal(at(t, 0x2000, 200), "mover");
    assert_string_equal(at(t, 0x2000, 400), "");
    assert_string_equal(at(t, 0x2080, 400), "mover");
    assert_string_equal(at(t, 0x2100, 400), "mover");
    assert_string_equal(at(t, 0x6000, 600), "other code of that index");
    assert_string_equal(at(t, 0x7000, 700), "-");
    assert_int_equal(codetab_header(t)->bad_records, 1);
}

static void other_records_are_stepped_over_until_the_log_is_closed(void **state)
{
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_buf_ struct buf f = {0};

    (void)state;
    craft_dump(&f, 0);
    craft_other(&f, JITDUMP_DEBUG_INFO, 100000);
    craft_other(&f, JITDUMP_UNWINDING_INFO, 33);
    craft_other(&f, 77, 16);
    craft_load(&f, 100, 0x1000, 0x10, 1, "first");
    craft_other(&f, JITDUMP_CLOSE, 16);
    craft_load(&f, 200, 0x1000, 0x10, 1, "after the end");
    t = parsed(&f);
    assert_string_equal(at(t, 0x1000, 1000), "first");
    assert_int_equal(codetab_header(t)->bad_records, 0);
}

static void times_of_the_processor_are_taken_as_an_order_only(void **state)
{
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_buf_ struct buf f = {0};

    (void)state;
    craft_dump(&f, JITDUMP_ARCH_TIMES);
    craft_load(&f, 987654321, 0x1000, 0x10, 1, "first");
    craft_load(&f, 5, 0x1000, 0x10, 2, "second");
    t = parsed(&f);
    assert_int_equal(codetab_header(t)->flags, CODETAB_UNTIMED);
    assert_string_equal(at(t, 0x1000, 1), "first");
    assert_string_equal(at(t, 0x1000, 2), "second");
}

static void a_file_without_its_header_is_no_dump(void **state)
{
    static const struct {
        size_t field;
        uint32_t value;
    } lies[] = {
        {offsetof(struct jitdump_header, magic), 0x4454694A}, /* of the other byte order */
        {offsetof(struct jitdump_header, version), 2},
        {offsetof(struct jitdump_header, total_size), 39},
        {offsetof(struct jitdump_header, total_size), UINT32_MAX},
    };

    (void)state;
    for (size_t i = 0; i <= ARRAY_SIZE(lies); i++) {
        _cleanup_(codetab_builder_freep) struct codetab_builder *b = NULL;
        _cleanup_buf_ struct buf f = {0};
        _cleanup_close_ int fd = -1;

        craft_dump(&f, 0);
        craft_load(&f, 1, 0x1000, 0x10, 1, "x");
        if (i < ARRAY_SIZE(lies))
            memcpy(f.data + lies[i].field, &lies[i].value, sizeof(lies[i].value));
        else
            f.size = sizeof(struct jitdump_header) - 1;
        fd = memfd_of(f.data, f.size);
        assert_int_equal(codetab_builder_new(&b), 0);
        assert_int_equal(jitdump_parse(fd, b), -EBADMSG);
    }
}

static void records_that_lie_are_dropped_and_counted(void **state)
{
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_buf_ struct buf f = {0};
    size_t last;

    (void)state;
    craft_dump(&f, 0);
    craft_load(&f, 1, 0x1000, 0, 1, "empty");
    craft_load(&f, 1, 0xffffffff81000000, 0x10, 1, "kernel");
    craft_load(&f, 1, 0x7fffffffffffffff, 0x10, 1, "into the kernel");
    craft_load(&f, 1, 0x1000, 0x10, 1, "");
    craft_other(&f, JITDUMP_LOAD, 20);
    craft_other(&f, JITDUMP_MOVE, 20);
    craft_move(&f, 1, 0x1000, 0x2000, 1ull << 32, 1);
    craft_load(&f, 1, 0x1000, 0x10, 1, "good");
    last = f.size;
    craft_load(&f, 2, 0x1000, 0x10, 1, "behind a size that goes back");
    set_size(&f, last, 15);
    t = parsed(&f);
    assert_int_equal(codetab_header(t)->bad_records, 8);
    assert_string_equal(at(t, 0x1000, 2), "good");

    /* A record that is longer than the file may be one that is being written. */
    set_size(&f, last, UINT32_MAX);
    codetab_free(t);
    t = parsed(&f);
    assert_int_equal(codetab_header(t)->bad_records, 7);
    assert_string_equal(at(t, 0x1000, 2), "good");
}

static void a_name_ends_at_a_nul_at_its_record_and_at_its_bound(void **state)
{
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_buf_ struct buf f = {0};
    static char endless[100000];

    (void)state;
    memset(endless, 'n', sizeof(endless) - 1);
    craft_dump(&f, 0);
    craft_load(&f, 1, 0x1000, 0x10, 1, endless);
    craft_load(&f, 1, 0x2000, 4, 2, "abcdef");
    /* The record ends in the middle of the name. */
    set_size(&f, f.size - sizeof(struct jitdump_load) - 7 - 4, sizeof(struct jitdump_load) + 3);
    f.size -= 4 + 4;
    t = parsed(&f);
    assert_int_equal(strlen(at(t, 0x1000, 1)), CODETAB_NAME_MAX);
    assert_string_equal(at(t, 0x2000, 1), "abc");
}

static long peak_rss_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void a_sparse_file_without_end_is_read_in_a_moment_with_flat_memory(void **state)
{
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    _cleanup_buf_ struct buf f = {0};
    _cleanup_close_ int fd = -1;
    long before = peak_rss_kib();

    (void)state;
    craft_dump(&f, 0);
    craft_load(&f, 1, 0x1000, 0x10, 1, "good");
    craft_other(&f, JITDUMP_DEBUG_INFO, 16);
    set_size(&f, f.size - 16, UINT32_MAX);
    fd = memfd_of(f.data, f.size);
    assert_int_equal(ftruncate(fd, 1ll << 40), 0);
    t = parsed_fd(fd);
    assert_string_equal(at(t, 0x1000, 1), "good");
    assert_true(peak_rss_kib() - before < 16 << 10);
}

static void code_over_code_stays_within_the_bounds(void **state)
{
    _cleanup_(codetab_builder_freep) struct codetab_builder *b = NULL;
    _cleanup_(codetab_freep) struct codetab *t = NULL;
    uint32_t name;

    (void)state;
    assert_int_equal(codetab_builder_new(&b), 0);
    assert_int_equal(codetab_builder_name(b, "f", 1, &name), 0);
    /* Each covers all later ones: 4,000 squared halves of cells and rows. */
    for (unsigned i = 0; i < 4000; i++)
        assert_int_equal(codetab_builder_add(b, 0x1000 + i, 10000, i, name), 0);
    t = built_codes(b);
    assert_int_equal(codetab_header(t)->row_count, CODETAB_MAX_ROWS);
    assert_true(codetab_header(t)->flags & CODETAB_TRUNCATED);
    assert_string_equal(at(t, 0x1000, 0), "f");
}

static int by_first(const void *a, const void *b)
{
    return (int)*(const uint8_t *)a - (int)*(const uint8_t *)b;
}

static void sorting_keeps_the_order_of_equals(void **state)
{
    (void)state;
    for (unsigned count = 0; count < 200; count++) {
        uint8_t pairs[200][2];

        for (unsigned i = 0; i < count; i++) {
            pairs[i][0] = (uint8_t)(i * 37 % 11);
            pairs[i][1] = (uint8_t)i;
        }
        assert_int_equal(sort_stable(pairs, count, sizeof(pairs[0]), by_first), 0);
        for (unsigned i = 1; i < count; i++)
            assert_true(pairs[i - 1][0] < pairs[i][0] ||
                        (pairs[i - 1][0] == pairs[i][0] && pairs[i - 1][1] < pairs[i][1]));
    }
}

static void a_table_that_lies_is_refused(void **state)
{
    _cleanup_buf_ struct buf f = {0};
    _cleanup_(codetab_builder_freep) struct codetab_builder *b = NULL;
    _cleanup_close_ int in_fd = -1, good_fd = memfd_empty();
    _cleanup_free_ char *good = NULL;
    size_t size;
    const struct {
        size_t offset;
        uint64_t value;
    } lies[] = {
        {offsetof(struct codetab_header, magic), 0},
        {offsetof(struct codetab_header, row_count), 1 | 1ull << 63},
        {offsetof(struct codetab_header, strings_size), UINT64_MAX},
        {sizeof(struct codetab_header), 0x9000},                    /* not sorted */
        {sizeof(struct codetab_header) + 8, UINT64_MAX},            /* time */
        {sizeof(struct codetab_header) + 16, 0},                    /* size */
        {sizeof(struct codetab_header) + 16, 0x10 | 1000ull << 32}, /* name */
        {sizeof(struct codetab_header) + 16, 0x11 | 1ull << 32},    /* size of a cell */
        {sizeof(struct codetab_header) + 24 + 8, 1},                /* time of a cell */
    };

    (void)state;
    craft_dump(&f, 0);
    craft_load(&f, 1, 0x1000, 0x10, 1, "a");
    craft_load(&f, 2, 0x1000, 0x10, 1, "b");
    in_fd = memfd_of(f.data, f.size);
    assert_int_equal(codetab_builder_new(&b), 0);
    assert_int_equal(jitdump_parse(in_fd, b), 0);
    assert_int_equal(codetab_builder_write(b, good_fd), 0);
    good = contents(good_fd, &size);
    for (size_t i = 0; i <= ARRAY_SIZE(lies); i++) {
        _cleanup_free_ char *copy = malloc(size);
        _cleanup_close_ int fd = -1;
        struct codetab *t = NULL;

        memcpy(copy, good, size);
        if (i < ARRAY_SIZE(lies))
            memcpy(copy + lies[i].offset, &lies[i].value, sizeof(lies[i].value));
        fd = memfd_of(copy, size);
        seal(fd);
        assert_int_equal(codetab_open(fd, &t), i < ARRAY_SIZE(lies) ? -EBADMSG : 0);
        codetab_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_has_the_name_that_stood_there_at_the_time),
        cmocka_unit_test(moved_code_takes_its_name_along_and_leaves_nothing_behind),
        cmocka_unit_test(other_records_are_stepped_over_until_the_log_is_closed),
        cmocka_unit_test(times_of_the_processor_are_taken_as_an_order_only),
        cmocka_unit_test(a_file_without_its_header_is_no_dump),
        cmocka_unit_test(records_that_lie_are_dropped_and_counted),
        cmocka_unit_test(a_name_ends_at_a_nul_at_its_record_and_at_its_bound),
        cmocka_unit_test(a_sparse_file_without_end_is_read_in_a_moment_with_flat_memory),
        cmocka_unit_test(code_over_code_stays_within_the_bounds),
        cmocka_unit_test(sorting_keeps_the_order_of_equals),
        cmocka_unit_test(a_table_that_lies_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
