/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/loop.h"

#include <signal.h>
#include <unistd.h>

static struct loop *loop;
static struct source *source, *other, *timer;
static unsigned calls, other_calls;

static int set_up(void **state _unused_)
{
    source = other = timer = NULL;
    calls = other_calls = 0;
    return loop_new(&loop);
}

static int tear_down(void **state _unused_)
{
    loop_free(loop);
    return 0;
}

static void quit(void *data _unused_)
{
    loop_quit(loop, 7);
}

static void run_for(unsigned ms)
{
    if (!timer)
        assert_int_equal(loop_add_timer(loop, quit, NULL, &timer), 0);
    source_arm(timer, now_ns() + ms * NS_PER_MS);
    assert_int_equal(loop_run(loop), 7);
}

static void read_one(void *data, uint32_t events)
{
    char c;

    calls++;
    assert_true(events & EPOLLIN);
    assert_int_equal(read(*(int *)data, &c, 1), 1);
}

/* Whichever comes first frees both: the other must not be called any more. */
static void free_both(void *data _unused_, uint32_t events _unused_)
{
    calls++;
    source_free(source);
    source_free(other);
    source = other = NULL;
}

static void again(void *data)
{
    calls++;
    if (calls < 5)
        source_arm(*(struct source **)data, now_ns() + NS_PER_MS);
}

static void on_signal(void *data _unused_, int signo)
{
    calls += signo == SIGUSR1;
    other_calls += signo == SIGUSR2;
}

static void a_readable_fd_is_reported_until_it_is_read(void **state _unused_)
{
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(loop_add_fd(loop, p[0], EPOLLIN, read_one, &p[0], &source), 0);
    assert_int_equal(write(p[1], "abc", 3), 3);
    run_for(20);
    assert_int_equal(calls, 3);
    assert_int_equal(source_set_events(source, 0), 0);
    assert_int_equal(write(p[1], "abc", 3), 3);
    run_for(20);
    assert_int_equal(calls, 3);
    source_free(source);
    close(p[0]);
    close(p[1]);
}

static void a_callback_may_free_any_source(void **state _unused_)
{
    int p[2], q[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(q), 0);
    assert_int_equal(loop_add_fd(loop, p[0], EPOLLIN, free_both, NULL, &source), 0);
    assert_int_equal(loop_add_fd(loop, q[0], EPOLLIN, free_both, NULL, &other), 0);
    assert_int_equal(write(p[1], "a", 1), 1);
    assert_int_equal(write(q[1], "a", 1), 1);
    run_for(20);
    assert_int_equal(calls, 1);
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(q[i]);
    }
}

static void a_timer_fires_once_each_time_it_is_armed(void **state _unused_)
{
    assert_int_equal(loop_add_timer(loop, again, &source, &source), 0);
    run_for(10);
    assert_int_equal(calls, 0);
    source_arm(source, now_ns() + NS_PER_MS);
    run_for(60);
    assert_int_equal(calls, 5);
    source_arm(source, now_ns() + NS_PER_MS);
    source_arm(source, 0);
    run_for(10);
    assert_int_equal(calls, 5);
}

static void an_armed_time_is_never_early(void **state _unused_)
{
    uint64_t begin = now_ns();

    run_for(25);
    assert_true(now_ns() - begin >= 25 * NS_PER_MS);
}

static void signals_arrive_one_by_one(void **state _unused_)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, 0};

    assert_int_equal(loop_add_signals(loop, signals, on_signal, NULL), 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    run_for(20);
    assert_int_equal(calls, 1);
    assert_int_equal(other_calls, 1);
}

static void an_fd_that_cannot_be_watched_is_an_error(void **state _unused_)
{
    assert_true(loop_add_fd(loop, -1, EPOLLIN, free_both, NULL, &source) < 0);
    assert_null(source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_readable_fd_is_reported_until_it_is_read),
        TEST(a_callback_may_free_any_source),
        TEST(a_timer_fires_once_each_time_it_is_armed),
        TEST(an_armed_time_is_never_early),
        TEST(signals_arrive_one_by_one),
        TEST(an_fd_that_cannot_be_watched_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
