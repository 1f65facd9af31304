/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/record.h"
#include "nsresolve/client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* The other ends are in this process: nothing here may block. */
static struct {
    struct loop *loop;
    struct client *client;
    int opener, parser, monitor;
    struct source *stop;
} t;

/* What the asks' function saw. */
static struct {
    unsigned calls;
    enum wire_status status;
    size_t size;
    int fd;
} seen;

static void on_answer(void *data, const struct client_answer *a)
{
    seen.calls++;
    seen.status = a->status;
    seen.size = a->size;
    if (data && a->fd_count) {
        seen.fd = a->fds[0];
        a->fds[0] = -1;
    }
}

static void ask_again(void *data, const struct client_answer *a)
{
    on_answer(NULL, a);
    if (seen.calls < 3)
        client_ask(t.client, WIRE_MAPS, 1, NULL, 0, NULL, 0, ask_again, data, NULL);
}

static void quit(void *data _unused_)
{
    loop_quit(t.loop, 0);
}

/* Lets the loop run for a while. */
static void turn(unsigned ms)
{
    source_arm(t.stop, now_ns() + ms * NS_PER_MS);
    assert_int_equal(loop_run(t.loop), 0);
}

static int set_up(void **state _unused_)
{
    int opener[2], parser[2], monitor[2];

    memset(&seen, 0, sizeof(seen));
    if (loop_new(&t.loop) < 0 || record_pair(opener) < 0 || record_pair(parser) < 0 ||
        record_pair(monitor) < 0 || loop_add_timer(t.loop, quit, NULL, &t.stop) < 0)
        return -1;
    t.opener = opener[1];
    t.parser = parser[1];
    t.monitor = monitor[1];
    return client_new(t.loop, (int[]){opener[0], parser[0], -1, -1}, monitor[0], &t.client);
}

static int tear_down(void **state _unused_)
{
    client_free(t.client);
    loop_free(t.loop);
    if (t.opener >= 0)
        close(t.opener);
    close(t.parser);
    close(t.monitor);
    return 0;
}

static void ask(enum wire_op op, uint64_t container, uint64_t *ticket)
{
    assert_int_equal(
        client_ask(t.client, op, container, "abc", 3, NULL, 0, on_answer, &seen, ticket), 0);
}

/* The next request that arrived at a fake peer; its id, or 0. */
static uint32_t arrived(int fd)
{
    struct {
        struct wire_request head;
        char payload[64];
    } r;
    int fds[4];
    size_t fd_count = 4;
    ssize_t n = record_receive(fd, &r, sizeof(r), fds, &fd_count, MSG_DONTWAIT);

    for (size_t i = 0; n > 0 && i < fd_count; i++)
        close(fds[i]);
    return n > 0 ? r.head.id : 0;
}

static void answer(int fd, uint32_t id, uint32_t status, const int *fds, size_t fd_count)
{
    struct {
        struct wire_reply head;
        char payload[5];
    } r = {.head = {.id = id, .status = status, .size = 5}, .payload = "reply"};

    assert_int_equal(record_send(fd, &r, sizeof(r.head) + 5, fds, fd_count, MSG_DONTWAIT), 0);
}

static int open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void an_ask_ends_in_one_call_with_its_answer(void **state _unused_)
{
    int memfd = memfd_create("test", MFD_CLOEXEC), before = open_fds();
    uint32_t id;

    assert_int_equal(client_ask(t.client, WIRE_PIN, 1, "abc", 3, &memfd, 1, on_answer, &seen, NULL),
                     0);
    id = arrived(t.opener);
    assert_int_not_equal(id, 0);
    assert_int_equal(arrived(t.parser), 0);
    answer(t.opener, id, WIRE_OK, &memfd, 1);
    answer(t.opener, id, WIRE_OK, &memfd, 1); /* twice: the second is nobody's */
    turn(20);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.status, WIRE_OK);
    assert_int_equal(seen.size, 5);
    assert_true(seen.fd > 2);
    assert_int_equal(close(seen.fd), 0);
    assert_int_equal(open_fds(), before);
    close(memfd);
}

static void no_more_is_sent_than_the_peer_works_on(void **state _unused_)
{
    uint32_t ids[16];
    unsigned n = 0;

    for (int i = 0; i < 10; i++)
        ask(WIRE_MAPS, 1, NULL);
    while ((ids[n] = arrived(t.opener)))
        n++;
    assert_int_equal(n, 4); /* one container's share */
    ask(WIRE_MAPS, 2, NULL);
    assert_int_not_equal(arrived(t.opener), 0);
    answer(t.opener, ids[0], WIRE_OK, NULL, 0);
    turn(20);
    assert_int_not_equal(arrived(t.opener), 0);
    assert_int_equal(arrived(t.opener), 0);
}

static void a_cancelled_ask_is_never_answered(void **state _unused_)
{
    uint64_t sent, waiting;
    struct client_stats stats;
    uint32_t id;

    ask(WIRE_MAPS, 1, &sent);
    for (int i = 0; i < 4; i++)
        ask(WIRE_MAPS, 1, &waiting);
    client_cancel(t.client, sent);
    client_cancel(t.client, waiting);
    client_cancel(t.client, 4711);
    id = arrived(t.opener);
    answer(t.opener, id, WIRE_OK, NULL, 0);
    turn(20);
    assert_int_equal(seen.calls, 0);
    client_get_stats(t.client, CLIENT_OPENER, &stats);
    assert_int_equal(stats.pending, 3);
}

static void
a_lost_peer_fails_what_it_was_asked_and_its_successor_gets_the_rest(void **state _unused_)
{
    struct wire_replacement new = {.which = CLIENT_OPENER, .pid = 77};
    struct client_stats stats;
    int pair[2];

    for (int i = 0; i < 5; i++)
        ask(WIRE_MAPS, 1, NULL);
    close(t.opener);
    turn(20);
    assert_int_equal(seen.calls, 4);
    assert_int_equal(seen.status, WIRE_LOST);
    assert_int_equal(record_pair(pair), 0);
    assert_int_equal(record_send(t.monitor, &new, sizeof(new), &pair[0], 1, 0), 0);
    close(pair[0]);
    t.opener = pair[1];
    turn(20);
    answer(t.opener, arrived(t.opener), WIRE_OK, NULL, 0);
    turn(20);
    assert_int_equal(seen.calls, 5);
    assert_int_equal(seen.status, WIRE_OK);
    client_get_stats(t.client, CLIENT_OPENER, &stats);
    assert_int_equal(stats.restarts, 1);
    assert_int_equal(stats.pid, 77);
    assert_int_equal(stats.lost, 4);
    assert_int_equal(stats.pending, 0);
}

static void asking_from_within_an_answer_is_fine(void **state _unused_)
{
    assert_int_equal(client_ask(t.client, WIRE_MAPS, 1, NULL, 0, NULL, 0, ask_again, NULL, NULL),
                     0);
    for (int i = 0; i < 3; i++) {
        answer(t.opener, arrived(t.opener), WIRE_OK, NULL, 0);
        turn(10);
    }
    assert_int_equal(seen.calls, 3);
}

static void a_peer_that_talks_nonsense_is_reported(void **state _unused_)
{
    uint8_t which = 99;

    ask(WIRE_DEMANGLE, 1, NULL);
    assert_int_equal(record_send(t.parser, "junk", 4, NULL, 0, 0), 0);
    turn(20);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.status, WIRE_LOST);
    assert_int_equal(record_receive(t.monitor, &which, 1, NULL, NULL, MSG_DONTWAIT), 1);
    assert_int_equal(which, CLIENT_PARSER);
}

static void a_silent_peer_is_reported_after_its_deadline(void **state _unused_)
{
    uint8_t which = 99;

    ask(WIRE_MAPS, 1, NULL);
    turn(4800);
    assert_int_equal(seen.calls, 0);
    turn(400);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.status, WIRE_LOST);
    assert_int_equal(record_receive(t.monitor, &which, 1, NULL, NULL, MSG_DONTWAIT), 1);
    assert_int_equal(which, CLIENT_OPENER);
}

static void a_peer_cannot_use_the_clients_own_status(void **state _unused_)
{
    ask(WIRE_MAPS, 1, NULL);
    answer(t.opener, arrived(t.opener), WIRE_LOST, NULL, 0);
    turn(10);
    assert_int_equal(seen.status, WIRE_CRASHED);
}

static void a_sealed_answer_cannot_change(void **state _unused_)
{
    int fd = client_answer_memfd();

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(client_seal(fd), 0);
    assert_int_equal(client_seal(fd), 0);
    assert_true(write(fd, "x", 1) < 0 && ftruncate(fd, 0) < 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ask_ends_in_one_call_with_its_answer),
        TEST(no_more_is_sent_than_the_peer_works_on),
        TEST(a_cancelled_ask_is_never_answered),
        TEST(a_lost_peer_fails_what_it_was_asked_and_its_successor_gets_the_rest),
        TEST(asking_from_within_an_answer_is_fine),
        TEST(a_peer_that_talks_nonsense_is_reported),
        TEST(a_silent_peer_is_reported_after_its_deadline),
        TEST(a_peer_cannot_use_the_clients_own_status),
        TEST(a_sealed_answer_cannot_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
