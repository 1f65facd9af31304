/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static int pair[2];

static int set_up(void **state _unused_)
{
    return record_pair(pair);
}

static int tear_down(void **state _unused_)
{
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static int open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void a_record_keeps_its_bounds_and_fds(void **state _unused_)
{
    static char big[RECORD_MAX], got[RECORD_MAX];
    int send[3] = {0, 1, 2}, fds[4];
    size_t fd_count = 4;

    memset(big, 'x', sizeof(big));
    assert_int_equal(record_send(pair[0], big, sizeof(big), send, 3, MSG_DONTWAIT), 0);
    assert_int_equal(record_send(pair[0], "ab", 2, NULL, 0, MSG_DONTWAIT), 0);
    assert_int_equal(record_receive(pair[1], got, sizeof(got), fds, &fd_count, 0), sizeof(got));
    assert_memory_equal(big, got, sizeof(big));
    assert_int_equal(fd_count, 3);
    for (size_t i = 0; i < fd_count; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        close(fds[i]);
    }
    fd_count = 4;
    assert_int_equal(record_receive(pair[1], got, sizeof(got), fds, &fd_count, 0), 2);
    assert_int_equal(fd_count, 0);
}

static void what_does_not_fit_is_refused_and_closed(void **state _unused_)
{
    int send[3] = {0, 1, 2}, fds[4], before = open_fds();
    size_t fd_count = 2;
    char got[4];

    assert_int_equal(record_send(pair[0], "abcd", 4, send, 3, 0), 0);
    assert_int_equal(record_receive(pair[1], got, 4, fds, &fd_count, 0), -EMSGSIZE);
    assert_int_equal(record_send(pair[0], "abcd", 4, send, 1, 0), 0);
    assert_int_equal(record_receive(pair[1], got, 4, NULL, NULL, 0), -EMSGSIZE);
    fd_count = 4;
    assert_int_equal(record_send(pair[0], "abcde", 5, send, 2, 0), 0);
    assert_int_equal(record_receive(pair[1], got, 4, fds, &fd_count, 0), -EMSGSIZE);
    assert_int_equal(open_fds(), before);
}

static void nothing_too_big_is_sent(void **state _unused_)
{
    static char big[RECORD_MAX + 1];
    int fds[RECORD_FDS + 1] = {0};

    assert_int_equal(record_send(pair[0], big, sizeof(big), NULL, 0, 0), -EMSGSIZE);
    assert_int_equal(record_send(pair[0], big, 1, fds, RECORD_FDS + 1, 0), -EMSGSIZE);
}

static void the_end_is_told_apart_from_no_record_yet(void **state _unused_)
{
    char got[4];

    assert_int_equal(record_receive(pair[1], got, 4, NULL, NULL, MSG_DONTWAIT), -EAGAIN);
    shutdown(pair[0], SHUT_RDWR);
    assert_int_equal(record_receive(pair[1], got, 4, NULL, NULL, 0), 0);
    assert_int_equal(record_send(pair[1], got, 4, NULL, 0, 0), -EPIPE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_keeps_its_bounds_and_fds),
        TEST(what_does_not_fit_is_refused_and_closed),
        TEST(nothing_too_big_is_sent),
        TEST(the_end_is_told_apart_from_no_record_yet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
