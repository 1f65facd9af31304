/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/arguments.h"
#include "nsresolve/language.h"
#include "nsresolve/wire.h"
#include "tests/unit/tables.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define FIND(cmdline, environment) \
    arguments_find(cmdline, sizeof(cmdline) - 1, environment, sizeof(environment) - 1)

static void options_of_jvms_are_found_in_arguments_and_variables(void **state)
{
    (void)state;
    assert_int_equal(FIND("java\0-XX:+PreserveFramePointer\0Main\0", ""), ARGUMENT_FRAME_POINTERS);
    assert_int_equal(FIND("java\0", "A=b\0JAVA_TOOL_OPTIONS=-Xmx1g -XX:+PreserveFramePointer\0"),
                     ARGUMENT_FRAME_POINTERS);
    assert_int_equal(FIND("java\0-XX:+DisableAttachMechanism", ""), ARGUMENT_NO_ATTACH);
    assert_int_equal(FIND("java\0@options\0Main\0", ""), ARGUMENT_FILE);
    assert_int_equal(FIND("java\0-XX:Flags=/x\0", ""), ARGUMENT_FILE);
}

static void the_last_of_several_wins(void **state)
{
    (void)state;
    assert_int_equal(FIND("-XX:+PreserveFramePointer\0-XX:-PreserveFramePointer\0", ""), 0);
    assert_int_equal(
        FIND("-XX:+PreserveFramePointer\0", "_JAVA_OPTIONS=-XX:-PreserveFramePointer\0"),
        ARGUMENT_FRAME_POINTERS);
}

static void words_count_as_a_whole_and_variables_by_their_name(void **state)
{
    (void)state;
    assert_int_equal(FIND("-XX:+PreserveFramePointers\0x-XX:+DisableAttachMechanism\0", ""), 0);
    assert_int_equal(FIND("", "OTHER=-XX:+DisableAttachMechanism\0PYTHONPERFSUPPORT=0\0"), 0);
    assert_int_equal(FIND("perf\0", "XJAVA_TOOL_OPTIONS=@x\0"), 0);
}

static void options_of_interpreters_are_found(void **state)
{
    (void)state;
    assert_int_equal(FIND("python3\0-X\0perf\0a.py\0", ""), ARGUMENT_PYTHON_MAP);
    assert_int_equal(FIND("python3\0-Xperf\0a.py\0", ""), ARGUMENT_PYTHON_MAP);
    assert_int_equal(FIND("python3\0", "PYTHONPERFSUPPORT=1\0"), ARGUMENT_PYTHON_MAP);
    assert_int_equal(FIND("node\0--perf-basic-prof\0", ""), ARGUMENT_NODE_MAP);
    assert_int_equal(FIND("node\0", "NODE_OPTIONS=--perf-basic-prof\0"), ARGUMENT_NODE_MAP);
    assert_int_equal(FIND("ruby\0--yjit\0", ""), ARGUMENT_RUBY_JIT);
    assert_int_equal(FIND("ruby\0--yjit-perf=map\0", ""), ARGUMENT_RUBY_JIT | ARGUMENT_RUBY_MAP);
}

static void no_bytes_at_all_have_no_options(void **state)
{
    (void)state;
    assert_int_equal(arguments_find(NULL, 0, NULL, 0), 0);
    assert_int_equal(FIND("\0\0\0", "\0=\0"), 0);
}

/* The answer to these bytes of a memfd, or -errno. */
static int parse(const void *bytes, size_t size)
{
    int in = memfd_of(bytes, size), out = memfd_of("", 0), r = arguments_parse(in, out);
    uint32_t found = 0;

    if (r == 0)
        assert_int_equal(pread(out, &found, sizeof(found), 0), sizeof(found));
    close(in);
    close(out);
    return r < 0 ? r : (int)found;
}

static void sizes_that_lie_are_refused(void **state)
{
    struct {
        struct wire_arguments head;
        char text[16];
    } input = {{6, 10}, "-Xperf@234567890"};

    (void)state;
    assert_int_equal(parse(&input, sizeof(input)), ARGUMENT_PYTHON_MAP);
    input.head.environment_size = 11;
    assert_int_equal(parse(&input, sizeof(input)), -EBADMSG);
    input.head.cmdline_size = ARGUMENTS_MAX + 1;
    assert_int_equal(parse(&input, sizeof(input)), -EBADMSG);
    assert_int_equal(parse(&input, 5), -EBADMSG);
}

static void runtimes_are_known_by_the_names_of_their_files(void **state)
{
    static const struct {
        const char *path;
        struct language is;
    } rows[] = {
        {"/usr/lib/jvm/java-17/lib/server/libjvm.so", {LANGUAGE_JAVA, 0, 0}},
        {"/usr/lib/libpython3.11.so.1.0", {LANGUAGE_PYTHON, 3, 11}},
        {"/usr/bin/python3.12", {LANGUAGE_PYTHON, 3, 12}},
        {"/usr/bin/python3.13 (deleted)", {LANGUAGE_PYTHON, 3, 13}},
        {"/usr/local/bin/python", {LANGUAGE_PYTHON, 0, 0}},
        {"/usr/lib/libruby-3.1.so.3.1.2", {LANGUAGE_RUBY, 3, 1}},
        {"/usr/local/lib/libruby.so.3.3", {LANGUAGE_RUBY, 3, 3}},
        {"/usr/bin/node", {LANGUAGE_NODE, 0, 0}},
        {"/usr/lib/libnode.so.108", {LANGUAGE_NODE, 108, 0}},
        {"/usr/sbin/php-fpm8.2", {LANGUAGE_PHP, 8, 2}},
        {"php8.2", {LANGUAGE_PHP, 8, 2}},
        {"/usr/bin/pythonista", {LANGUAGE_NONE, 0, 0}},
        {"/usr/lib/libjvmti.so", {LANGUAGE_NONE, 0, 0}},
        {"/usr/lib/python3.11/lib-dynload/_json.so", {LANGUAGE_NONE, 0, 0}},
        {"/usr/bin/node/", {LANGUAGE_NONE, 0, 0}},
        {"", {LANGUAGE_NONE, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct language l = {LANGUAGE_NONE, 0, 0};

        assert_int_equal(language_of_file(rows[i].path, &l), rows[i].is.kind != LANGUAGE_NONE);
        assert_int_equal(l.kind, rows[i].is.kind);
        assert_int_equal(l.major, rows[i].is.major);
        assert_int_equal(l.minor, rows[i].is.minor);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_jvms_are_found_in_arguments_and_variables),
        cmocka_unit_test(the_last_of_several_wins),
        cmocka_unit_test(words_count_as_a_whole_and_variables_by_their_name),
        cmocka_unit_test(options_of_interpreters_are_found),
        cmocka_unit_test(no_bytes_at_all_have_no_options),
        cmocka_unit_test(sizes_that_lie_are_refused),
        cmocka_unit_test(runtimes_are_known_by_the_names_of_their_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
