/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/kernel_orc.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BEGINNING                                         \
    "ffffffff81000000 T _stext\n"                         \
    "ffffffff81000130 T entry_SYSCALL_64_after_hwframe\n" \
    "ffffffff82400000 T _etext\n"
#define TABLES                                   \
    "ffffffff8329dc4c R __start_orc_unwind_ip\n" \
    "ffffffff832a1c4c R __start_orc_unwind\n"    \
    "ffffffff832a1c4c R __stop_orc_unwind_ip\n"

static struct kernel_orc find(const char *text)
{
    struct kernel_orc ret = {.count = 7};
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fflush(file), 0);
    kernel_orc_find(fileno(file), &ret);
    fclose(file);
    return ret;
}

static void assert_nothing(const struct kernel_orc *orc)
{
    const struct kernel_orc nothing = {0};

    assert_memory_equal(orc, &nothing, sizeof(nothing));
}

static void tables_and_code_are_found_from_the_beginning_on(void **state)
{
    struct kernel_orc orc = find(BEGINNING TABLES "ffffffffc0000000 t _stext\t[module]\n");

    (void)state;
    assert_true(orc.text == 0xffffffff81000000 && orc.text_end == 0xffffffff82400000);
    assert_true(orc.addresses == 0xffffffff8329dc4c && orc.rules == 0xffffffff832a1c4c);
    assert_int_equal(orc.count, 0x1000);
}

static void a_kernel_without_tables_has_none(void **state)
{
    struct kernel_orc orc = find(BEGINNING);

    (void)state;
    assert_nothing(&orc);
}

static void hidden_addresses_are_none(void **state)
{
    struct kernel_orc orc = find("0000000000000000 T _stext\n0000000000000000 T _etext\n"
                                 "0000000000000000 R __start_orc_unwind_ip\n"
                                 "0000000000000000 R __stop_orc_unwind_ip\n"
                                 "0000000000000000 R __start_orc_unwind\n");

    (void)state;
    assert_nothing(&orc);
}

static void other_text_and_no_file_are_none(void **state)
{
    struct kernel_orc orc =
        find("nonsense\n\n _stext\nffffffff81000000 T\n" BEGINNING "no newline");

    (void)state;
    assert_nothing(&orc);
    kernel_orc_find(-1, &orc);
    assert_nothing(&orc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_code_are_found_from_the_beginning_on),
        cmocka_unit_test(a_kernel_without_tables_has_none),
        cmocka_unit_test(hidden_addresses_are_none),
        cmocka_unit_test(other_text_and_no_file_are_none),
    };

    return cmocka_run_group_tests_name("kernel_orc", tests, NULL, NULL);
}
