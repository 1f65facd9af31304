/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kernel_hooks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A kernel whose sched_switch has that many arguments, or that has none. */
static struct btf *kernel_with_arguments(int count)
{
    struct btf *k = btf__new_empty();
    int number = btf__add_int(k, "int", 4, BTF_INT_SIGNED), function;

    if (count == 0)
        return k;
    function = btf__add_func_proto(k, 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(btf__add_func_param(k, "argument", number), 0);
    assert_true(btf__add_typedef(k, "btf_trace_sched_switch", btf__add_ptr(k, function)) > 0);
    return k;
}

static bool tells_state(int arguments)
{
    struct btf *k = kernel_with_arguments(arguments);

    assert_int_equal(kernel_hooks_learn(k), 0);
    btf__free(k);
    return kernel_hooks_switch_tells_state();
}

static void whether_a_switch_tells_the_state_is_seen_from_its_arguments(void **state)
{
    (void)state;
    assert_false(tells_state(4));
    assert_true(tells_state(5));
    assert_false(tells_state(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whether_a_switch_tells_the_state_is_seen_from_its_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
