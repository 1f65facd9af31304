/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/ksymbols.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define BASE 0xffffffffc0000000ull

static struct ksymbols *fresh(void)
{
    struct ksymbols *ks;

    assert_int_equal(ksymbols_new(&ks), 0);
    return ks;
}

/* The name at address, or what else is the answer. */
static const char *at(const struct ksymbols *ks, uint64_t address)
{
    const char *name;
    uint64_t start;

    switch (ksymbols_find(ks, address, &name, &start)) {
    case KSYMBOLS_NONE:
        return "";
    case KSYMBOLS_SEVERAL:
        return "several";
    default:
        assert_true(start <= address);
        return name;
    }
}

static void a_program_that_was_there_alone_is_named(void **state)
{
    _cleanup_(ksymbols_freep) struct ksymbols *ks = fresh();

    (void)state;
    assert_string_equal(at(ks, BASE), "");
    ksymbols_add(ks, BASE, 0x100, "bpf_prog_a");
    ksymbols_add(ks, BASE + 0x100, 0x100, "bpf_prog_b");
    assert_string_equal(at(ks, BASE - 1), "");
    assert_string_equal(at(ks, BASE), "bpf_prog_a");
    assert_string_equal(at(ks, BASE + 0xff), "bpf_prog_a");
    assert_string_equal(at(ks, BASE + 0x100), "bpf_prog_b");
    assert_string_equal(at(ks, BASE + 0x200), "");
}

static void the_same_program_seen_again_is_one(void **state)
{
    _cleanup_(ksymbols_freep) struct ksymbols *ks = fresh();

    (void)state;
    for (int i = 0; i < 10000; i++)
        ksymbols_add(ks, BASE, 0x80 + (uint64_t)i % 0x80, "bpf_prog_a");
    assert_string_equal(at(ks, BASE + 0xfe), "bpf_prog_a");
}

static void where_two_programs_were_neither_is_named(void **state)
{
    _cleanup_(ksymbols_freep) struct ksymbols *ks = fresh();

    (void)state;
    ksymbols_add(ks, BASE, 0x100, "bpf_prog_a");
    ksymbols_add(ks, BASE + 0x80, 0x100, "bpf_prog_b");
    ksymbols_add(ks, BASE + 0x200, 0x10, "bpf_prog_c");
    ksymbols_add(ks, BASE + 0x200, 0x10, "bpf_prog_d");
    assert_string_equal(at(ks, BASE + 0x7f), "bpf_prog_a");
    assert_string_equal(at(ks, BASE + 0x80), "several");
    assert_string_equal(at(ks, BASE + 0x100), "bpf_prog_b");
    assert_string_equal(at(ks, BASE + 0x200), "several");
}

static void when_something_was_missed_no_name_counts(void **state)
{
    _cleanup_(ksymbols_freep) struct ksymbols *ks = fresh(), *full = fresh();

    (void)state;
    ksymbols_add(ks, BASE, 0x100, "bpf_prog_a");
    ksymbols_distrust(ks);
    assert_string_equal(at(ks, BASE), "several");
    assert_string_equal(at(ks, BASE + 0x100), "");

    for (unsigned i = 0; i <= KSYMBOLS_MAX; i++) {
        char name[32];

        snprintf(name, sizeof(name), "bpf_prog_%u", i);
        ksymbols_add(full, BASE + i * 16ull, 16, name);
        assert_string_equal(at(full, BASE), i < KSYMBOLS_MAX ? "bpf_prog_0" : "several");
    }
}

static void sizes_that_wrap_or_are_nothing_name_nothing_else(void **state)
{
    _cleanup_(ksymbols_freep) struct ksymbols *ks = fresh();

    (void)state;
    ksymbols_add(ks, BASE, 0, "empty");
    ksymbols_add(ks, UINT64_MAX - 15, UINT64_MAX, "last");
    assert_string_equal(at(ks, BASE), "");
    assert_string_equal(at(ks, 0), "");
    assert_string_equal(at(ks, UINT64_MAX - 1), "last");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_was_there_alone_is_named),
        cmocka_unit_test(the_same_program_seen_again_is_one),
        cmocka_unit_test(where_two_programs_were_neither_is_named),
        cmocka_unit_test(when_something_was_missed_no_name_counts),
        cmocka_unit_test(sizes_that_wrap_or_are_nothing_name_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
