/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery against a client that answers when the test says so. */
#include "tests/unit/craft_census.h"

#include "agent/discovery.h"

#include <sys/mman.h>

/* ---- the client ---- */

static struct {
    client_fn fn;
    void *data;
    unsigned asked, cancelled;
    uint32_t roots, stamps; /* of the last question */
    int refuse;             /* -errno for the next ask */
} fake;

int client_ask(struct client *c, enum wire_op op, uint64_t container, const void *payload,
               size_t size, const int *fds, size_t fd_count, client_fn fn, void *data,
               uint64_t *ticket)
{
    struct census_question q;

    (void)c;
    (void)container;
    (void)payload;
    assert_int_equal(op, WIRE_CENSUS);
    assert_int_equal(size, 0);
    assert_int_equal(fd_count, 1);
    assert_null(fake.fn);
    if (fake.refuse < 0)
        return fake.refuse;
    assert_int_equal(pread(fds[0], &q, sizeof(q), 0), sizeof(q));
    fake.roots = q.root_count;
    fake.stamps = q.stamp_count;
    fake.fn = fn;
    fake.data = data;
    *ticket = ++fake.asked;
    return 0;
}

void client_cancel(struct client *c, uint64_t ticket)
{
    (void)c;
    (void)ticket;
    fake.cancelled++;
    fake.fn = NULL;
}

int client_seal(int memfd)
{
    (void)memfd;
    return 0;
}

static void reply(enum wire_status status, int error, int fd)
{
    client_fn fn = fake.fn;
    struct client_answer a = {
        .status = status,
        .error = error,
        .fds = &fd,
        .fd_count = fd >= 0,
    };

    assert_non_null(fn);
    fake.fn = NULL;
    fn(fake.data, &a);
}

/* An answer with one container called name and a runc state file. */
static void reply_with(const char *name, enum census_file_state file)
{
    int fd = memfd_create("answer", MFD_CLOEXEC);
    struct craft c;
    char cgroup[64];

    craft_begin(&c);
    snprintf(cgroup, sizeof(cgroup), "0::/%s\n", name);
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, cgroup));
    craft_file(&c, CENSUS_FILE_RUNC_STATE, file, "/run/runc/x/state.json",
               file == CENSUS_FILE_READ
                   ? "{\"id\":\"x\",\"init_process_pid\":5,\"init_process_start\":5}"
                   : "");
    craft_end(&c);
    assert_int_equal(write(fd, c.b.data, c.b.size), c.b.size);
    buf_free(&c.b);
    reply(WIRE_OK, 0, fd);
    close(fd);
}

/* ---- those who ask ---- */

struct asker {
    struct discovery *d;
    unsigned calls;
    char name[64]; /* of the first container, or empty */
    struct err e;
    struct asker *then; /* refreshed from within the callback */
    uint64_t cancel;    /* ticket cancelled from within the callback */
};

static void on_list(void *data, const struct containers *cs, const struct err *e)
{
    struct asker *a = data;
    size_t count = 0;
    const struct container *all = cs ? containers_all(cs, &count) : NULL;

    a->calls++;
    if (count > 0)
        snprintf(a->name, sizeof(a->name), "%s", all[0].name);
    if (e)
        a->e = *e;
    assert_true(!cs == !!e);
    if (a->cancel)
        discovery_cancel(a->d, a->cancel);
    if (a->then) {
        a->then->d = a->d;
        assert_int_equal(discovery_refresh(a->d, on_list, a->then, NULL), 0);
    }
}

static int setup(void **state)
{
    struct discovery *d;

    memset(&fake, 0, sizeof(fake));
    assert_int_equal(discovery_new(NULL, NULL, &d), 0);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    discovery_free(*state);
    return 0;
}

static void everybody_who_asked_gets_the_list_once(void **state)
{
    struct asker a = {.d = *state}, b = {.d = *state};

    assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), 0);
    assert_int_equal(a.calls, 0);
    reply_with("one", CENSUS_FILE_READ);
    assert_int_equal(a.calls, 1);
    assert_string_equal(a.name, "one");
    assert_int_equal(discovery_refresh(*state, on_list, &b, NULL), 0);
    reply_with("two", CENSUS_FILE_UNCHANGED);
    assert_int_equal(a.calls, 1);
    assert_string_equal(b.name, "two");
}

static void who_asks_during_a_census_gets_the_next_one(void **state)
{
    struct asker a = {.d = *state}, b = {.d = *state}, c = {.d = *state};

    assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), 0);
    assert_int_equal(discovery_refresh(*state, on_list, &b, NULL), 0);
    assert_int_equal(discovery_refresh(*state, on_list, &c, NULL), 0);
    assert_int_equal(fake.asked, 1);
    reply_with("old", CENSUS_FILE_READ);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls + c.calls, 0);
    assert_int_equal(fake.asked, 2);
    reply_with("new", CENSUS_FILE_READ);
    assert_string_equal(b.name, "new");
    assert_string_equal(c.name, "new");
    assert_int_equal(fake.asked, 2);
}

static void a_refresh_from_within_a_callback_is_a_census_of_its_own(void **state)
{
    struct asker last = {0}, first = {.d = *state, .then = &last};

    assert_int_equal(discovery_refresh(*state, on_list, &first, NULL), 0);
    reply_with("old", CENSUS_FILE_READ);
    assert_int_equal(last.calls, 0);
    reply_with("new", CENSUS_FILE_READ);
    assert_int_equal(first.calls, 1);
    assert_string_equal(last.name, "new");
}

static void a_cancelled_refresh_is_never_called(void **state)
{
    struct asker a = {.d = *state}, b = {.d = *state}, c = {.d = *state};
    uint64_t ticket;

    assert_int_equal(discovery_refresh(*state, on_list, &a, &ticket), 0);
    discovery_cancel(*state, ticket);
    discovery_cancel(*state, 4711);
    assert_int_equal(discovery_refresh(*state, on_list, &b, NULL), 0);
    assert_int_equal(discovery_refresh(*state, on_list, &c, &b.cancel), 0);
    reply_with("old", CENSUS_FILE_READ);
    reply_with("new", CENSUS_FILE_READ);
    assert_int_equal(a.calls, 0);
    assert_int_equal(b.calls, 1);
    assert_int_equal(c.calls, 0);
}

static void every_way_to_fail_ends_in_one_error_that_says_which(void **state)
{
    static const struct {
        enum wire_status status;
        int error;
        const char *word;
    } cases[] = {
        {WIRE_TIMEOUT, 0, "in time"},       {WIRE_CRASHED, 0, "died"},
        {WIRE_BREAKER, 0, "stuck"},         {WIRE_LOST, 0, "gone"},
        {WIRE_FAILED, EACCES, "ermission"}, {WIRE_OK, 0, "sense"}, /* without an answer */
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asker a = {.d = *state};
        struct discovery_stats stats;

        assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), 0);
        reply(cases[i].status, cases[i].error, -1);
        assert_int_equal(a.calls, 1);
        assert_int_equal(a.e.code, ERR_FAILED);
        if (!strstr(a.e.message, cases[i].word))
            fail_msg("'%s' has no '%s'", a.e.message, cases[i].word);
        discovery_get_stats(*state, &stats);
        assert_int_equal(stats.failed, i + 1);
    }
}

static void an_answer_that_lies_is_an_error_and_the_next_one_is_fine(void **state)
{
    int fd = memfd_create("answer", MFD_CLOEXEC);
    struct asker a = {.d = *state}, b = {.d = *state};

    assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    reply(WIRE_OK, 0, fd);
    close(fd);
    assert_int_equal(a.e.code, ERR_FAILED);
    assert_int_equal(discovery_refresh(*state, on_list, &b, NULL), 0);
    reply_with("fine", CENSUS_FILE_READ);
    assert_string_equal(b.name, "fine");
}

static void a_client_that_refuses_makes_refresh_fail(void **state)
{
    struct asker a = {.d = *state}, b = {.d = *state};

    fake.refuse = -EMFILE;
    assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), -EMFILE);
    fake.refuse = 0;
    assert_int_equal(discovery_refresh(*state, on_list, &b, NULL), 0);
    reply_with("fine", CENSUS_FILE_READ);
    assert_int_equal(a.calls, 0);
    assert_int_equal(b.calls, 1);
}

static void a_client_that_refuses_later_ends_those_who_wait(void **state)
{
    struct asker a = {.d = *state}, b = {.d = *state};

    assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), 0);
    assert_int_equal(discovery_refresh(*state, on_list, &b, NULL), 0);
    fake.refuse = -EMFILE;
    reply_with("fine", CENSUS_FILE_READ);
    assert_string_equal(a.name, "fine");
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.e.code, ERR_FAILED);
}

static void a_known_file_is_asked_for_with_its_stamp(void **state)
{
    struct asker a = {.d = *state};

    assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), 0);
    assert_int_equal(fake.stamps, 0);
    assert_true(fake.roots > 5);
    reply_with("x", CENSUS_FILE_READ);
    assert_int_equal(discovery_refresh(*state, on_list, &a, NULL), 0);
    assert_int_equal(fake.stamps, 1);
    reply_with("x", CENSUS_FILE_UNCHANGED);
}

static void freeing_cancels_what_is_under_way(void **state)
{
    struct asker a = {0};
    struct discovery *d;

    (void)state;
    assert_int_equal(discovery_new(NULL, NULL, &d), 0);
    assert_int_equal(discovery_refresh(d, on_list, &a, NULL), 0);
    assert_int_equal(discovery_refresh(d, on_list, &a, NULL), 0);
    discovery_free(d);
    assert_int_equal(fake.cancelled, 1);
    assert_int_equal(a.calls, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everybody_who_asked_gets_the_list_once),
        TEST(who_asks_during_a_census_gets_the_next_one),
        TEST(a_refresh_from_within_a_callback_is_a_census_of_its_own),
        TEST(a_cancelled_refresh_is_never_called),
        TEST(every_way_to_fail_ends_in_one_error_that_says_which),
        TEST(an_answer_that_lies_is_an_error_and_the_next_one_is_fine),
        TEST(a_client_that_refuses_makes_refresh_fail),
        TEST(a_client_that_refuses_later_ends_those_who_wait),
        TEST(a_known_file_is_asked_for_with_its_stamp),
        TEST(freeing_cancels_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
