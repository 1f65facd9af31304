/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static struct config c;
static struct err e;

static int set_up(void **state _unused_)
{
    e = (struct err){0};
    return config_init(&c);
}

static int tear_down(void **state _unused_)
{
    config_free(&c);
    return 0;
}

static int read_text(const char *text, size_t size)
{
    _cleanup_close_ int fd = memfd_create("config", MFD_CLOEXEC);
    char path[64];

    assert_int_equal(write(fd, text, size), size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return config_read(&c, path, &e);
}

static void all_keys_of_a_good_file_are_taken(void **state _unused_)
{
    static const char text[] = "# a comment\n\n  socket = /tmp/a.sock\r\ngroup=staff\n"
                               "max-captures = 3\nagent-uid = 1234\n\tdocker-root = /a b\n"
                               "docker-root = /c\nrunc-root = /d=e";

    assert_int_equal(read_text(text, sizeof(text) - 1), 0);
    assert_string_equal(c.socket_path, "/tmp/a.sock");
    assert_string_equal(c.group, "staff");
    assert_int_equal(c.max_captures, 3);
    assert_int_equal(c.agent_uid, 1234);
    assert_int_equal(c.agent_gid, 1234);
    assert_int_equal(c.root_count, 3);
    assert_string_equal(c.roots[0].path, "/a b");
    assert_int_equal(c.roots[1].kind, CENSUS_ROOT_DOCKER);
    assert_string_equal(c.roots[2].path, "/d=e");
    assert_int_equal(c.roots[2].kind, CENSUS_ROOT_RUNC);
    assert_int_equal(config_check(&c, &e), 0);
}

static void a_wrong_line_is_refused_with_its_number(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"\n\ncolour = red\n", ":3: unknown key 'colour'"},
        {"max-captures = 0\n", ":1: '0' is not a valid max-captures"},
        {"max-captures = 3x\n", ":1: '3x'"},
        {"#\nsocket\n", ":2: 'socket' is not of the form"},
        {"socket =\n", ":1: 'socket' has no value"},
        {"socket = run/a\n", "absolute"},
        {"docker-root = var\n", "'var' is not an absolute path"},
        {"agent-uid = 0\n", "agent-uid"},
        {"agent-uid = 4294967295\n", "agent-uid"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_true(read_text(bad[i].text, strlen(bad[i].text)) < 0);
        assert_int_equal(e.code, ERR_USAGE);
        assert_non_null(strstr(e.message, bad[i].says));
        tear_down(state);
        set_up(state);
    }
    assert_true(read_text("socket = /a\0b\n", 14) < 0);
    assert_non_null(strstr(e.message, "NUL"));
}

static void a_missing_file_is_an_error(void **state _unused_)
{
    assert_true(config_read(&c, "/proc/self/no-such-file", &e) < 0);
    assert_non_null(strstr(e.message, "'/proc/self/no-such-file'"));
}

static void processes_may_not_share_a_user(void **state _unused_)
{
    assert_int_equal(config_check(&c, &e), 0);
    assert_int_equal(read_text("parser-uid = 65521\n", 19), 0);
    assert_true(config_check(&c, &e) < 0);
    assert_int_equal(read_text("parser-uid = 65530\nattacher-uid = 65530\n", 39), 0);
    assert_true(config_check(&c, &(struct err){0}) < 0);
}

static void stacks_are_walked_by_tables_unless_it_says_no(void **state _unused_)
{
    assert_true(c.unwind_tables);
    assert_int_equal(read_text("unwind-tables = no\n", 19), 0);
    assert_false(c.unwind_tables);
}

static void jvms_are_left_alone_unless_it_says_yes(void **state _unused_)
{
    assert_false(c.java);
    assert_true(read_text("java = maybe\n", 13) < 0);
    assert_non_null(strstr(e.message, "neither yes nor no"));
    assert_int_equal(read_text("java = yes\n", 11), 0);
    assert_true(c.java);
    assert_int_equal(read_text("java = no\n", 10), 0);
    assert_false(c.java);
}

static void a_socket_path_must_fit_its_address(void **state _unused_)
{
    char path[200];

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[107] = '\0';
    assert_int_equal(config_set_socket(&c, path, &e), 0);
    path[107] = 'a';
    path[108] = '\0';
    assert_true(config_set_socket(&c, path, &e) < 0);
    assert_true(config_set_socket(&c, "/tmp/", &e) < 0);
    assert_true(config_set_socket(&c, "", &e) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_keys_of_a_good_file_are_taken),
        TEST(a_wrong_line_is_refused_with_its_number),
        TEST(a_missing_file_is_an_error),
        TEST(processes_may_not_share_a_user),
        TEST(stacks_are_walked_by_tables_unless_it_says_no),
        TEST(jvms_are_left_alone_unless_it_says_yes),
        TEST(a_socket_path_must_fit_its_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
