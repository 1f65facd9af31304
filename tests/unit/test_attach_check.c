/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/attach_check.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#define STATUS(caught)                                                             \
    "Name:\tjava\nUid:\t1\t1000\t2\t3\nGid:\t4\t1001\t5\t6\nNSpid:\t4711\t12\t7\n" \
    "SigCgt:\t" caught "\n"

static void a_process_is_taken_as_its_effective_user(void **state)
{
    struct attach_target t = {0};

    (void)state;
    assert_int_equal(attach_check_status(STATUS("2000000181005ccf"), 7, &t), ATTACH_DONE);
    assert_int_equal(t.uid, 1000);
    assert_int_equal(t.gid, 1001);
}

static void who_does_not_catch_sigquit_is_no_target(void **state)
{
    struct attach_target t;

    (void)state;
    assert_int_equal(attach_check_status(STATUS("2000000181005ccb"), 7, &t), ATTACH_NO_HANDLER);
    assert_int_equal(attach_check_status(STATUS("0000000000000000"), 7, &t), ATTACH_NO_HANDLER);
}

static void a_status_that_does_not_fit_is_nobodys(void **state)
{
    struct attach_target t;

    (void)state;
    assert_int_equal(attach_check_status(STATUS("2000000181005ccf"), 12, &t), ATTACH_GONE);
    assert_int_equal(attach_check_status("Name:\tx\n", 7, &t), ATTACH_GONE);
    assert_int_equal(attach_check_status("", 7, &t), ATTACH_GONE);
}

#define AT "7f3f5e200000-7f3f5e400000 "

static void only_code_of_libjvm_so_makes_a_jvm(void **state)
{
    (void)state;
    assert_int_equal(attach_check_mapping(AT "r-xp 00200000 08:01 77    /a b/server/libjvm.so"),
                     ATTACH_MAPPING_HOTSPOT);
    assert_int_equal(attach_check_mapping(AT "r-xp 0 08:01 77    /x/libjvm.so (deleted)"),
                     ATTACH_MAPPING_HOTSPOT);
    assert_int_equal(attach_check_mapping(AT "r--p 0 08:01 77    /x/libjvm.so"),
                     ATTACH_MAPPING_OTHER);
    assert_int_equal(attach_check_mapping(AT "r-xp 0 00:00 0     /x/libjvm.so"),
                     ATTACH_MAPPING_OTHER);
    assert_int_equal(attach_check_mapping(AT "r-xp 0 08:01 77    /x/libjvm.so.1"),
                     ATTACH_MAPPING_OTHER);
    assert_int_equal(attach_check_mapping(AT "r-xp 0 08:01 77    /x/mylibjvm.so"),
                     ATTACH_MAPPING_OTHER);
    assert_int_equal(attach_check_mapping(AT "r-xp 0 08:01 77"), ATTACH_MAPPING_OTHER);
    assert_int_equal(attach_check_mapping("/x/libjvm.so"), ATTACH_MAPPING_OTHER);
    assert_int_equal(attach_check_mapping(""), ATTACH_MAPPING_OTHER);
}

static void another_jvms_library_rules_hotspot_out(void **state)
{
    (void)state;
    assert_int_equal(attach_check_mapping(AT "r--p 0 08:01 77  /x/default/libj9vm29.so"),
                     ATTACH_MAPPING_FOREIGN);
}

static void this_process_is_no_jvm(void **state)
{
    struct attach_target t;
    int fd = open("/proc/self", O_RDONLY | O_DIRECTORY);

    (void)state;
    assert_int_equal(attach_check(fd, getpid(), &t), ATTACH_NOT_HOTSPOT);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_taken_as_its_effective_user),
        cmocka_unit_test(who_does_not_catch_sigquit_is_no_target),
        cmocka_unit_test(a_status_that_does_not_fit_is_nobodys),
        cmocka_unit_test(only_code_of_libjvm_so_makes_a_jvm),
        cmocka_unit_test(another_jvms_library_rules_hotspot_out),
        cmocka_unit_test(this_process_is_no_jvm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
