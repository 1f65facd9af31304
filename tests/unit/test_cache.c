/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/cache.h"
#include "tests/unit/tables.h"

static struct cache *fresh(size_t budget)
{
    struct cache *c;

    assert_int_equal(cache_new(budget, &c), 0);
    return c;
}

/* A table with one symbol; id 0: no build ID. */
static struct symtab *table_of(uint8_t id, const char *name)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b;

    assert_int_equal(symtab_builder_new(&b), 0);
    assert_int_equal(symtab_builder_add(b, 0x1000, 0x100, 1, name, strlen(name)), 0);
    if (id) {
        symtab_builder_header(b)->build_id_size = 20;
        memset(symtab_builder_header(b)->build_id, id, 20);
    }
    return built(b);
}

static struct cache_identity file_of(uint64_t ino)
{
    return (struct cache_identity){.dev = 1, .ino = ino, .size = 100, .mtime_ns = 5, .ctime_ns = 6};
}

static void put(struct cache *c, uint64_t ino, struct symtab *t, enum wire_status status)
{
    struct cache_identity id = file_of(ino);
    struct cache_entry *e = cache_put(c, &id, t, status);

    assert_non_null(e);
    cache_entry_unref(e);
}

static const char *name_in(struct cache *c, uint64_t ino)
{
    struct cache_identity id = file_of(ino);
    struct cache_entry *e = cache_get(c, &id);
    const char *name = e && cache_entry_table(e) ? name_at(cache_entry_table(e), 0x1000) : NULL;

    cache_entry_unref(e);
    return name;
}

static uint64_t bytes_of(const struct cache *c)
{
    struct cache_stats s;

    cache_get_stats(c, &s);
    return s.bytes;
}

static void a_file_is_found_only_by_its_whole_identity(void **state)
{
    _cleanup_(cache_freep) struct cache *c = fresh(1 << 20);
    struct cache_identity id = file_of(7), other;

    (void)state;
    put(c, 7, table_of(1, "alpha"), WIRE_OK);
    assert_string_equal(name_in(c, 7), "alpha");
    assert_null(name_in(c, 8));
    for (size_t field = 0; field < sizeof(id) / sizeof(uint64_t); field++) {
        other = id;
        ((uint64_t *)&other)[field]++;
        assert_null(cache_get(c, &other));
    }
}

static void a_failure_is_remembered_with_its_status(void **state)
{
    _cleanup_(cache_freep) struct cache *c = fresh(1 << 20);
    struct cache_identity id = file_of(7);
    struct cache_entry *e;

    (void)state;
    put(c, 7, NULL, WIRE_CRASHED);
    e = cache_get(c, &id);
    assert_non_null(e);
    assert_null(cache_entry_table(e));
    assert_int_equal(cache_entry_status(e), WIRE_CRASHED);
    cache_entry_unref(e);
}

static void a_later_failure_does_not_displace_a_table_but_a_table_does_a_failure(void **state)
{
    _cleanup_(cache_freep) struct cache *c = fresh(1 << 20);
    uint64_t bytes;

    (void)state;
    put(c, 7, table_of(1, "alpha"), WIRE_OK);
    put(c, 7, NULL, WIRE_TIMEOUT);
    assert_string_equal(name_in(c, 7), "alpha");
    put(c, 8, NULL, WIRE_TIMEOUT);
    put(c, 8, table_of(0, "beta"), WIRE_OK);
    assert_string_equal(name_in(c, 8), "beta");
    bytes = bytes_of(c);
    put(c, 8, table_of(0, "beta"), WIRE_OK);
    assert_int_equal(bytes_of(c), bytes);
}

static void equal_tables_of_one_build_id_are_stored_once(void **state)
{
    _cleanup_(cache_freep) struct cache *c = fresh(1 << 20);
    uint64_t one;

    (void)state;
    put(c, 7, table_of(1, "alpha"), WIRE_OK);
    one = bytes_of(c);
    put(c, 8, table_of(1, "alpha"), WIRE_OK);
    assert_int_equal(bytes_of(c), one);
    assert_ptr_equal(name_in(c, 7), name_in(c, 8));
}

static void a_foreign_file_with_anothers_build_id_gets_and_gives_no_names(void **state)
{
    _cleanup_(cache_freep) struct cache *c = fresh(1 << 20);

    (void)state;
    put(c, 7, table_of(1, "genuine"), WIRE_OK);
    put(c, 8, table_of(1, "hostile"), WIRE_OK);
    put(c, 9, table_of(1, "genuine"), WIRE_OK);
    assert_string_equal(name_in(c, 7), "genuine");
    assert_string_equal(name_in(c, 8), "hostile");
    assert_string_equal(name_in(c, 9), "genuine");
}

static void tables_that_share_a_build_id_all_count_against_the_budget(void **state)
{
    _cleanup_(cache_freep) struct cache *c = fresh(64 << 10);
    char name[4000];
    struct cache_stats s;

    (void)state;
    memset(name, 'x', sizeof(name));
    for (int i = 0; i < 100; i++) {
        snprintf(name, 12, "%010d", i);
        name[11] = 'x';
        name[10] = 'x';
        name[sizeof(name) - 1] = '\0';
        put(c, (uint64_t)i, table_of(1, name), WIRE_OK);
        assert_true(bytes_of(c) <= 64 << 10);
    }
    cache_get_stats(c, &s);
    assert_in_range(s.entries, 10, 17);
    assert_int_equal(s.evicted, 100 - s.entries);
}

static void the_longest_unused_goes_first(void **state)
{
    _cleanup_(cache_freep) struct cache *c = NULL;
    struct symtab *t = table_of(1, "a");
    size_t one = symtab_bytes(t);

    (void)state;
    symtab_free(t);
    c = fresh(one * 3);
    put(c, 1, table_of(1, "a"), WIRE_OK);
    put(c, 2, table_of(2, "b"), WIRE_OK);
    put(c, 3, table_of(0, "c"), WIRE_OK);
    assert_int_equal(bytes_of(c), one * 3);
    assert_string_equal(name_in(c, 1), "a");
    put(c, 4, table_of(4, "d"), WIRE_OK);
    assert_null(name_in(c, 2));
    assert_string_equal(name_in(c, 1), "a");
    assert_string_equal(name_in(c, 3), "c");
    assert_string_equal(name_in(c, 4), "d");
    assert_int_equal(bytes_of(c), one * 3);
}

static void a_table_that_is_in_use_outlives_its_eviction_and_the_cache(void **state)
{
    struct cache *c = fresh(1);
    struct cache_identity id = file_of(1);
    struct cache_entry *e = cache_put(c, &id, table_of(1, "alpha"), WIRE_OK);

    (void)state;
    put(c, 2, table_of(2, "beta"), WIRE_OK);
    assert_null(name_in(c, 1));
    assert_string_equal(name_at(cache_entry_table(e), 0x1000), "alpha");
    cache_free(c);
    assert_string_equal(name_at(cache_entry_table(e), 0x1000), "alpha");
    cache_entry_unref(e);
}

static void failures_are_bounded_in_number(void **state)
{
    _cleanup_(cache_freep) struct cache *c = fresh(1 << 20);
    struct cache_stats s;

    (void)state;
    for (uint64_t i = 0; i < 8300; i++)
        put(c, i, NULL, WIRE_MALFORMED);
    cache_get_stats(c, &s);
    assert_int_equal(s.entries, 8192);
    assert_int_equal(s.bytes, 0);
    assert_int_equal(s.evicted, 8300 - 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_found_only_by_its_whole_identity),
        cmocka_unit_test(a_failure_is_remembered_with_its_status),
        cmocka_unit_test(a_later_failure_does_not_displace_a_table_but_a_table_does_a_failure),
        cmocka_unit_test(equal_tables_of_one_build_id_are_stored_once),
        cmocka_unit_test(a_foreign_file_with_anothers_build_id_gets_and_gives_no_names),
        cmocka_unit_test(tables_that_share_a_build_id_all_count_against_the_budget),
        cmocka_unit_test(the_longest_unused_goes_first),
        cmocka_unit_test(a_table_that_is_in_use_outlives_its_eviction_and_the_cache),
        cmocka_unit_test(failures_are_bounded_in_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
