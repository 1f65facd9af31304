/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/kernel.h"
#include "base/buf.h"
#include "tests/unit/tables.h"

#define BASE 0xffffffff81000000ull

static struct kernel *kernel_of(const char *kallsyms, const char *modules, int fds[2])
{
    struct kernel *k;

    fds[0] = memfd_of(kallsyms, strlen(kallsyms));
    fds[1] = modules ? memfd_of(modules, strlen(modules)) : -1;
    assert_int_equal(kernel_new(fds[0], fds[1], &k), 0);
    assert_int_equal(kernel_refresh(k), 0);
    return k;
}

static void done(struct kernel *k, const int fds[2])
{
    kernel_free(k);
    close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
}

static const char *name_of(const struct kernel *k, uint64_t address)
{
    struct kernel_symbol s;

    return kernel_find(k, address, &s) ? s.name : "";
}

static void rewrite(int fd, const char *text)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
}

static void a_function_reaches_up_to_the_next_symbol(void **state)
{
    struct kernel_symbol s;
    int fds[2];
    struct kernel *k = kernel_of("ffffffff81000000 T first\n"
                                 "ffffffff81000100 t second\n"
                                 "ffffffff81000200 D data\n"
                                 "ffffffff81000300 W weak\n",
                                 NULL, fds);

    (void)state;
    assert_true(kernel_has_symbols(k));
    assert_string_equal(name_of(k, BASE - 1), "");
    assert_string_equal(name_of(k, BASE), "first");
    assert_string_equal(name_of(k, BASE + 0xff), "first");
    assert_string_equal(name_of(k, BASE + 0x100), "second");
    assert_string_equal(name_of(k, BASE + 0x1ff), "second");
    assert_string_equal(name_of(k, BASE + 0x200), "");
    assert_string_equal(name_of(k, BASE + 0x2ff), "");
    assert_true(kernel_find(k, BASE + 0x310, &s));
    assert_string_equal(s.name, "weak");
    assert_string_equal(s.module, "[kernel]");
    assert_int_equal(s.start, BASE + 0x300);
    done(k, fds);
}

static void the_last_function_reaches_no_further_than_the_bound(void **state)
{
    int fds[2];
    struct kernel *k = kernel_of("ffffffff81000000 T last\n", NULL, fds);

    (void)state;
    assert_string_equal(name_of(k, BASE + KERNEL_SYMBOL_MAX - 1), "last");
    assert_string_equal(name_of(k, BASE + KERNEL_SYMBOL_MAX), "");
    assert_string_equal(name_of(k, UINT64_MAX), "");
    done(k, fds);
}

static void symbols_out_of_order_are_found_with_their_modules(void **state)
{
    struct kernel_symbol s;
    int fds[2];
    struct kernel *k = kernel_of("ffffffffc0000100 t ext_b\t[ext4]\n"
                                 "ffffffffc0000000 t ext_a\t[ext4]\n"
                                 "ffffffffc0002000 t nf_a\t[nf]\n"
                                 "ffffffff81000000 T core\n"
                                 "ffffffffc0000200 d ext_data\t[ext4]\n",
                                 NULL, fds);

    (void)state;
    assert_true(kernel_find(k, 0xffffffffc0000010, &s));
    assert_string_equal(s.name, "ext_a");
    assert_string_equal(s.module, "[ext4]");
    assert_true(kernel_find(k, 0xffffffffc0002010, &s));
    assert_string_equal(s.module, "[nf]");
    assert_string_equal(name_of(k, 0xffffffffc0000110), "ext_b");
    assert_string_equal(name_of(k, 0xffffffffc0000210), "");
    assert_string_equal(name_of(k, BASE), "core");
    done(k, fds);
}

static void of_aliases_the_first_function_counts_in_any_order_of_the_rest(void **state)
{
    int fds[2];
    struct kernel *k = kernel_of("ffffffff81000000 T one\n"
                                 "ffffffff81000000 T two\n"
                                 "ffffffff81000000 A absolute\n"
                                 "ffffffff81000100 D data\n"
                                 "ffffffff81000100 T behind_data\n",
                                 NULL, fds);

    (void)state;
    assert_string_equal(name_of(k, BASE), "one");
    assert_string_equal(name_of(k, BASE + 0x100), "behind_data");
    done(k, fds);

    k = kernel_of("ffffffff81000100 T late\n"
                  "ffffffff81000000 T one\n"
                  "ffffffff81000200 T later\n"
                  "ffffffff81000000 d data\n"
                  "ffffffff81000000 T two\n",
                  NULL, fds);
    assert_string_equal(name_of(k, BASE), "one");
    done(k, fds);
}

static void addresses_that_the_kernel_hides_give_no_symbols(void **state)
{
    _cleanup_buf_ struct buf text = {0};
    int fds[2];
    struct kernel *k;

    (void)state;
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "0000000000000000 T hidden_%d\n", i);
    k = kernel_of(text.data, NULL, fds);
    assert_false(kernel_has_symbols(k));
    assert_string_equal(name_of(k, 0), "");
    assert_true(lseek(fds[0], 0, SEEK_CUR) < (off_t)text.size); /* not read to the end */
    done(k, fds);
}

static void zero_addresses_among_others_are_skipped(void **state)
{
    _cleanup_buf_ struct buf text = {0};
    int fds[2];
    struct kernel *k;

    (void)state;
    buf_adds(&text, "0000000000000000 A fixed_percpu_data\n0000000000001000 A cpu_debug\n");
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "%llx T f_%d\n", BASE + (unsigned long long)i * 16, i);
    k = kernel_of(text.data, NULL, fds);
    assert_string_equal(name_of(k, BASE + 16 * 19999 + 3), "f_19999");
    assert_string_equal(name_of(k, 0x1001), "");
    done(k, fds);
}

static void lines_of_another_form_are_no_symbols(void **state)
{
    int fds[2];
    struct kernel *k = kernel_of("nonsense\n\nffffffff81000000\nffffffff81000000 T\n"
                                 "ffffffff81000000  T two_blanks\nffffffff81000010 T good\n"
                                 "ffffffff81000020 T no_newline",
                                 NULL, fds);

    (void)state;
    assert_string_equal(name_of(k, BASE), "");
    assert_string_equal(name_of(k, BASE + 0x10), "good");
    assert_string_equal(name_of(k, BASE + 0x20), "good");
    done(k, fds);
}

static void what_comes_and_goes_is_told_apart_from_functions(void **state)
{
    struct kernel_symbol s;
    int fds[2];
    struct kernel *k = kernel_of("ffffffff81000000 T core\n"
                                 "ffffffffc0000000 t bpf_prog_1\t[bpf]\n"
                                 "ffffffffc0000100 t bpf_prog_2\t[bpf]\n"
                                 "ffffffffc0001000 t ftrace_trampoline\t[__builtin__ftrace]\n",
                                 NULL, fds);

    (void)state;
    assert_string_equal(name_of(k, 0xffffffffc0000001), "");
    assert_string_equal(name_of(k, BASE), "core");
    assert_false(kernel_find_passing(k, BASE, &s));
    assert_true(kernel_find_passing(k, 0xffffffffc00000ff, &s));
    assert_string_equal(s.name, "bpf_prog_1");
    assert_string_equal(s.module, "[bpf]");
    assert_int_equal(s.start, 0xffffffffc0000000);
    assert_int_equal(s.size, 0x100);
    assert_true(kernel_find_passing(k, 0xffffffffc0000100, &s));
    assert_string_equal(s.name, "bpf_prog_2");
    assert_true(kernel_find_passing(k, 0xffffffffc0001234, &s));
    assert_string_equal(s.name, "ftrace_trampoline");
    assert_int_equal(s.size, KERNEL_SYMBOL_MAX);

    rewrite(fds[0], "ffffffff81000000 T core\nffffffffc0000000 t bpf_prog_3\t[bpf]\n");
    assert_int_equal(kernel_refresh(k), 0);
    assert_true(kernel_find_passing(k, 0xffffffffc0000001, &s));
    assert_string_equal(s.name, "bpf_prog_1"); /* no module said anything */
    assert_int_equal(kernel_read(k), 0);
    assert_true(kernel_find_passing(k, 0xffffffffc0000001, &s));
    assert_string_equal(s.name, "bpf_prog_3");
    done(k, fds);
}

static void symbols_are_read_again_when_a_module_came_or_went_and_only_then(void **state)
{
    int fds[2];
    struct kernel *k =
        kernel_of("ffffffff81000000 T before\n", "ext4 1000 2 - Live 0xffffffffc0000000\n", fds);

    (void)state;
    rewrite(fds[0], "ffffffff81000000 T after\n");
    rewrite(fds[1], "ext4 1000 3 nf, Live 0xffffffffc0000000\n");
    assert_int_equal(kernel_refresh(k), 0);
    assert_string_equal(name_of(k, BASE), "before");
    rewrite(fds[1], "ext4 1000 3 nf, Live 0xffffffffc0004000\n");
    assert_int_equal(kernel_refresh(k), 0);
    assert_string_equal(name_of(k, BASE), "after");
    rewrite(fds[0], "ffffffff81000000 T third\n");
    rewrite(fds[1], "");
    assert_int_equal(kernel_refresh(k), 0);
    assert_string_equal(name_of(k, BASE), "third");
    done(k, fds);
}

static void without_a_file_there_are_no_symbols_and_no_error(void **state)
{
    struct kernel *k;

    (void)state;
    assert_int_equal(kernel_new(-1, -1, &k), 0);
    assert_int_equal(kernel_refresh(k), 0);
    assert_false(kernel_has_symbols(k));
    assert_string_equal(name_of(k, BASE), "");
    kernel_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_reaches_up_to_the_next_symbol),
        cmocka_unit_test(the_last_function_reaches_no_further_than_the_bound),
        cmocka_unit_test(symbols_out_of_order_are_found_with_their_modules),
        cmocka_unit_test(of_aliases_the_first_function_counts_in_any_order_of_the_rest),
        cmocka_unit_test(addresses_that_the_kernel_hides_give_no_symbols),
        cmocka_unit_test(zero_addresses_among_others_are_skipped),
        cmocka_unit_test(lines_of_another_form_are_no_symbols),
        cmocka_unit_test(what_comes_and_goes_is_told_apart_from_functions),
        cmocka_unit_test(symbols_are_read_again_when_a_module_came_or_went_and_only_then),
        cmocka_unit_test(without_a_file_there_are_no_symbols_and_no_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
