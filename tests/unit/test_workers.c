/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/loop.h"
#include "nsresolve/workers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What the handler under test can be asked for. */
enum { ECHO = 100, HANG, CRASH, LEAVE, FORGE, COUNT_FDS, HAND_BACK };

static struct {
    int fd;
    pid_t pid;
    uint32_t last_id;
} served;

static void handle(const struct work *w, struct work_answer *a)
{
    struct dirent *entry;
    DIR *d;

    switch (w->op) {
    case ECHO:
        memcpy(a->payload, w->payload, w->size);
        a->head.size = (uint32_t)w->size;
        return;
    case HANG:
        for (;;)
            pause();
    case CRASH:
        raise(SIGKILL);
        return;
    case LEAVE:
        _exit(0);
    case FORGE:
        a->head.status = WIRE_LOST;
        return;
    case COUNT_FDS:
        d = opendir("/proc/self/fd");
        while (d && (entry = readdir(d)))
            a->head.error += entry->d_name[0] != '.';
        return;
    case HAND_BACK:
        a->fds[0] = w->fds[0];
        a->fd_count = 1;
        return;
    }
}

static int serve(void **state _unused_)
{
    static const struct workers_spec spec = {
        .name = "test",
        .concurrency = 4,
        .per_container = 2,
        .queue = 8,
        .deadline_ns = NS_PER_SEC,
        .stuck_container = 4,
        .stuck_total = 16,
        .answers_fds = true,
        .handle = handle,
    };
    int pair[2];

    if (record_pair(pair) < 0)
        return -1;
    served.pid = fork();
    if (served.pid == 0) {
        close(pair[0]);
        _exit(workers_run(&spec, pair[1]) == 0 ? 0 : 1);
    }
    close(pair[1]);
    served.fd = pair[0];
    return 0;
}

static int end(void **state _unused_)
{
    int status;

    close(served.fd);
    waitpid(served.pid, &status, 0);
    return status;
}

static uint32_t post(uint32_t op, uint64_t container, const void *payload, size_t size,
                     const int *fds, size_t fd_count)
{
    static char record[RECORD_MAX];
    struct wire_request head = {
        .op = op, .id = ++served.last_id, .container = container, .size = (uint32_t)size};

    memcpy(record, &head, sizeof(head));
    if (size)
        memcpy(record + sizeof(head), payload, size);
    assert_int_equal(record_send(served.fd, record, sizeof(head) + size, fds, fd_count, 0), 0);
    return head.id;
}

static struct {
    struct wire_reply head;
    char payload[RECORD_MAX - sizeof(struct wire_reply)];
} answer;
static int answer_fds[4];
static size_t answer_fd_count;

static void await(void)
{
    struct pollfd p = {.fd = served.fd, .events = POLLIN};

    answer_fd_count = 4;
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(record_receive(served.fd, &answer, sizeof(answer), answer_fds, &answer_fd_count,
                               0) >= (ssize_t)sizeof(answer.head));
}

static void ask(uint32_t op, const void *payload, size_t size)
{
    uint32_t id = post(op, 1, payload, size, NULL, 0);

    await();
    assert_int_equal(answer.head.id, id);
}

static void an_answer_comes_back_under_its_id(void **state _unused_)
{
    static char big[RECORD_MAX - sizeof(struct wire_request) - 64];

    memset(big, 'b', sizeof(big));
    ask(ECHO, big, sizeof(big));
    assert_int_equal(answer.head.status, WIRE_OK);
    assert_int_equal(answer.head.size, sizeof(big));
    assert_memory_equal(answer.payload, big, sizeof(big));
    ask(WIRE_PING, NULL, 0);
    assert_int_equal(answer.head.status, WIRE_OK);
}

static void a_child_that_hangs_is_killed_at_its_deadline(void **state _unused_)
{
    uint64_t begin = now_ns();

    ask(HANG, NULL, 0);
    assert_int_equal(answer.head.status, WIRE_TIMEOUT);
    assert_in_range(now_ns() - begin, 990 * NS_PER_MS, 3 * NS_PER_SEC);
    ask(ECHO, "x", 1);
    assert_int_equal(answer.head.status, WIRE_OK);
}

static void a_child_that_dies_or_says_what_it_must_not_counts_as_crashed(void **state _unused_)
{
    static const uint32_t ops[] = {CRASH, LEAVE, FORGE};

    for (size_t i = 0; i < 3; i++) {
        ask(ops[i], NULL, 0);
        assert_int_equal(answer.head.status, WIRE_CRASHED);
        assert_int_equal(answer.head.size, 0);
    }
}

static void a_child_holds_nothing_but_its_own_fds(void **state _unused_)
{
    int fds[2] = {0, 1};

    post(HANG, 7, NULL, 0, fds, 2); /* somebody else's are there to be seen */
    post(COUNT_FDS, 1, NULL, 0, fds, 2);
    await();
    /* 0, 1, 2, its channel, two of the request, and the directory itself. */
    assert_int_equal(answer.head.error, 7);
    await();
    assert_int_equal(answer.head.status, WIRE_TIMEOUT);
}

static void fds_are_handed_back(void **state _unused_)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_int_equal(write(fd, "hello", 5), 5);
    post(HAND_BACK, 1, NULL, 0, &fd, 1);
    await();
    assert_int_equal(answer_fd_count, 1);
    assert_int_equal(lseek(answer_fds[0], 0, SEEK_END), 5);
    close(answer_fds[0]);
    close(fd);
}

static void a_container_that_hangs_leaves_room_for_others(void **state _unused_)
{
    uint64_t begin = now_ns();
    uint32_t id;

    for (int i = 0; i < 6; i++)
        post(HANG, 1, NULL, 0, NULL, 0);
    id = post(ECHO, 2, "x", 1, NULL, 0);
    await();
    assert_int_equal(answer.head.id, id);
    assert_true(now_ns() - begin < 800 * NS_PER_MS);
    for (int i = 0; i < 6; i++) {
        await();
        assert_int_equal(answer.head.status, WIRE_TIMEOUT);
    }
    /* Those that waited had the same deadline as those that ran. */
    assert_true(now_ns() - begin < 3 * NS_PER_SEC);
}

static void more_requests_than_the_queue_holds_are_all_answered(void **state _unused_)
{
    bool seen[64] = {false};
    uint32_t first = served.last_id + 1;

    for (uint64_t i = 0; i < 64; i++)
        post(ECHO, i, "x", 1, NULL, 0);
    for (int i = 0; i < 64; i++) {
        await();
        assert_int_equal(answer.head.status, WIRE_OK);
        assert_false(seen[answer.head.id - first]);
        seen[answer.head.id - first] = true;
    }
}

static void a_request_of_a_wrong_size_is_dropped(void **state _unused_)
{
    struct wire_request head = {.op = ECHO, .id = 1, .size = 100};

    assert_int_equal(record_send(served.fd, &head, sizeof(head), NULL, 0, 0), 0);
    assert_int_equal(record_send(served.fd, &head, 3, NULL, 0, 0), 0);
    ask(ECHO, "x", 1);
    assert_int_equal(answer.head.status, WIRE_OK);
}

static void it_ends_when_nobody_can_ask_any_more(void **state)
{
    post(HANG, 1, NULL, 0, NULL, 0);
    assert_int_equal(end(state), 0);
    assert_int_equal(serve(state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back_under_its_id),
        cmocka_unit_test(a_child_that_hangs_is_killed_at_its_deadline),
        cmocka_unit_test(a_child_that_dies_or_says_what_it_must_not_counts_as_crashed),
        cmocka_unit_test(a_child_holds_nothing_but_its_own_fds),
        cmocka_unit_test(fds_are_handed_back),
        cmocka_unit_test(a_container_that_hangs_leaves_room_for_others),
        cmocka_unit_test(more_requests_than_the_queue_holds_are_all_answered),
        cmocka_unit_test(a_request_of_a_wrong_size_is_dropped),
        cmocka_unit_test(it_ends_when_nobody_can_ask_any_more),
    };

    return cmocka_run_group_tests(tests, serve, end);
}
