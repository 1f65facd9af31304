/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probe_block.h"
#include "agent/records.h"
#include "base/json.h"
#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

extern const struct records_ops block_records;

/* Two containers by their cgroups' numbers in each hierarchy, which overlap between them. */
static const char *name_of(void *data, uint32_t tgid, enum records_hierarchy h, uint64_t cgroup)
{
    (void)data;
    if (tgid == 77)
        return "web";
    if (h == HIERARCHY_MEMORY)
        return cgroup == 5 ? "web" : cgroup == 6 ? "db" : NULL;
    if (h == HIERARCHY_BLKIO)
        return cgroup == 6 ? "web" : NULL;
    return NULL;
}

static struct records *make(bool events)
{
    const struct records_setup setup = {.target = "web",
                                        .events = events,
                                        .started_ns = NS_PER_SEC,
                                        .slice_ns = NS_PER_SEC,
                                        .container_of = name_of};
    struct records *r;

    assert_int_equal(block_records.new(&setup, &r), 0);
    return r;
}

static struct event_block_done request(void)
{
    struct event_block_done d = {
        .end_ns = NS_PER_SEC + 900 * NS_PER_US,
        .request =
            {
                .start_ns = NS_PER_SEC + 100 * NS_PER_US,
                .issue_ns = NS_PER_SEC + 150 * NS_PER_US,
                .sector = 2048,
                .tgid = 77,
                .ns_tgid = 7,
                .op = EVENT_PART_WRITE,
                .comm = "dd",
                .bytes = 4096,
                .shares = 1,
                .share =
                    {{.owner = 5, .bytes = 4096, .owner_kind = EVENT_OWNER_PAGE, .charged = 1}},
                .device = "vda",
            },
    };

    return d;
}

/* The line of an event as an object; the caller puts it. */
static struct json_object *line_of(const struct event_block_done *d)
{
    _cleanup_buf_ struct buf out = {0};
    struct records *r = make(true);
    struct json_object *o = NULL;
    struct err e = {0};

    assert_int_equal(block_records.event(r, d, sizeof(*d), &out), 0);
    assert_int_equal(block_records.shown(r), 1);
    block_records.free(r);
    assert_non_null(strchr(out.data, '\n'));
    assert_int_equal(
        json_parse_strict(out.data, (size_t)(strchr(out.data, '\n') - out.data), &o, &e), 0);
    return o;
}

static void expect(const struct event_block_done *d, const char *field, const char *want)
{
    _cleanup_json_ struct json_object *o = line_of(d);
    const char *value = json_string(o, field);

    assert_string_equal(value ? value : "(none)", want);
}

static void a_request_tells_where_its_time_went(void **state)
{
    const struct event_block_done d = request();
    _cleanup_json_ struct json_object *o = line_of(&d);

    (void)state;
    assert_string_equal(json_string(o, "type"), "event");
    assert_string_equal(json_string(o, "op"), "write");
    assert_string_equal(json_string(o, "device"), "vda");
    assert_int_equal(json_count(o, "time_us"), 100);
    assert_int_equal(json_count(o, "queue_us"), 50);
    assert_int_equal(json_count(o, "device_us"), 750);
    assert_int_equal(json_count(o, "latency_us"), 800);
    assert_int_equal(json_count(o, "bytes"), 4096);
    assert_int_equal(json_count(o, "sector"), 2048);
    assert_int_equal(json_count(o, "pid"), 7);
}

static void a_flush_that_others_issue_has_waited_for_the_device(void **state)
{
    struct event_block_done d = request();
    _cleanup_json_ struct json_object *o = NULL;

    (void)state;
    d.request.issue_ns = 0;
    o = line_of(&d);
    assert_int_equal(json_count(o, "queue_us"), 0);
    assert_int_equal(json_count(o, "device_us"), 800);
}

static void who_asks_and_who_is_charged_are_told_apart(void **state)
{
    struct event_block_done d = request();

    (void)state;
    d.request.tgid = 3;
    d.request.asker = EVENT_ASKER_KERNEL;
    expect(&d, "container", "(none)");
    expect(&d, "owner", "web");
    d.request.share[0] = (struct event_block_share){.owner = 6, .owner_kind = EVENT_OWNER_PAGE};
    expect(&d, "owner", "db");
    d.request.share[0].owner_kind = EVENT_OWNER_BIO;
    expect(&d, "owner", "web");
    d.request.share[0].owner = 1;
    expect(&d, "owner", "host");
    d.request.share[0].owner_kind = EVENT_OWNER_KERNEL;
    expect(&d, "owner", "kernel");
    d.request.share[0].owner_kind = EVENT_OWNER_UNKNOWN;
    expect(&d, "owner", "unknown");
}

static void who_waits_for_a_thread_of_the_kernel_has_a_container(void **state)
{
    struct event_block_done d = request();
    _cleanup_json_ struct json_object *alone = NULL, *awaited = NULL;

    (void)state;
    d.request.asker = EVENT_ASKER_KERNEL;
    alone = line_of(&d);
    d.request.asker = EVENT_ASKER_WAITS;
    awaited = line_of(&d);
    assert_true(json_flag(alone, "kernel") && !json_flag(alone, "waits"));
    assert_true(json_flag(awaited, "kernel") && json_flag(awaited, "waits"));
    assert_null(json_string(alone, "container"));
    assert_string_equal(json_string(awaited, "container"), "web");
}

static void a_request_of_several_owners_counts_once(void **state)
{
    struct event_block_done d = request();
    _cleanup_buf_ struct buf out = {0}, quality = {0};
    struct records *r = make(true);
    const char *second;

    (void)state;
    d.request.shares = 2;
    d.request.share[1] =
        (struct event_block_share){.owner = 6, .bytes = 512, .owner_kind = EVENT_OWNER_PAGE};
    assert_int_equal(block_records.event(r, &d, sizeof(d), &out), 0);
    assert_int_equal(block_records.shown(r), 1);
    second = strchr(out.data, '\n') + 1;
    assert_non_null(strstr(out.data, "\"count\":1"));
    assert_non_null(strstr(second, "\"count\":0"));
    assert_non_null(strstr(second, "\"bytes\":512"));
    block_records.quality(r, &quality);
    assert_non_null(strstr(quality.data, "\"charged_bytes\":4096"));
    assert_non_null(strstr(quality.data, "\"others_bytes\":512"));
    block_records.free(r);
}

static void shares_beyond_what_there_is_room_for_are_not_read(void **state)
{
    struct event_block_done d = request();
    _cleanup_buf_ struct buf out = {0};
    struct records *r = make(true);
    size_t lines = 0;

    (void)state;
    d.request.shares = 255;
    assert_int_equal(block_records.event(r, &d, sizeof(d), &out), 0);
    for (const char *at = out.data; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, EVENT_BLOCK_SHARES);
    block_records.free(r);
}

static void an_error_is_named(void **state)
{
    struct event_block_done d = request();

    (void)state;
    expect(&d, "error", "(none)");
    d.request.error = 10;
    expect(&d, "error", "io");
    d.request.error = 3;
    expect(&d, "error", "no-space");
    d.request.error = (uint32_t)-5;
    expect(&d, "error", "-5");
    d.request.error = 200;
    expect(&d, "error", "200");
}

static void names_from_the_kernel_are_escaped(void **state)
{
    struct event_block_done d = request();

    (void)state;
    memcpy(d.request.comm, "a\"\x1b[31m;\nb", 11);
    expect(&d, "comm", "a\"\x1b[31m;\nb");
    memset(d.request.device, 'x', sizeof(d.request.device));
    expect(&d, "device", "xxxxxxxxxxxxxxxx");
}

static void half_an_event_is_no_event(void **state)
{
    const struct event_block_done d = request();
    _cleanup_buf_ struct buf out = {0};
    struct records *r = make(true);

    (void)state;
    assert_int_equal(block_records.event(r, &d, sizeof(d) - 1, &out), 0);
    assert_int_equal(out.size, 0);
    assert_int_equal(block_records.shown(r), 0);
    block_records.free(r);
}

/* The one that nobody saw end is in none of them. */
static void requests_that_are_told_of_have_histograms_in_all_and_over_time(void **state)
{
    struct event_block_done d = request();
    _cleanup_buf_ struct buf events = {0}, out = {0};
    struct records *r = make(true);

    (void)state;
    assert_int_equal(block_records.event(r, &d, sizeof(d), &events), 0);
    d.end_ns = 0;
    assert_int_equal(block_records.event(r, &d, sizeof(d), &events), 0);
    d.request.start_ns = 3 * NS_PER_SEC;
    d.request.issue_ns = 0;
    d.end_ns = 3 * NS_PER_SEC + NS_PER_SEC / 2;
    assert_int_equal(block_records.event(r, &d, sizeof(d), &events), 0);
    while (block_records.next(r, &out))
        ;
    assert_non_null(
        strstr(out.data, "\"state\":\"queue\",\"unit\":\"microseconds\",\"count\":2,\"sum\":50,"));
    assert_non_null(strstr(
        out.data, "\"state\":\"device\",\"unit\":\"microseconds\",\"count\":2,\"sum\":500750,"));
    assert_non_null(strstr(
        out.data, "\"state\":\"latency\",\"unit\":\"microseconds\",\"count\":2,\"sum\":500800,"));
    assert_non_null(strstr(out.data, "\"from_ms\":0,\"to_ms\":1000,\"state\":\"latency\""));
    assert_null(strstr(out.data, "\"from_ms\":1000,"));
    assert_non_null(strstr(out.data, "\"from_ms\":2000,\"to_ms\":3000,\"state\":\"latency\""));
    block_records.free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_tells_where_its_time_went),
        cmocka_unit_test(a_flush_that_others_issue_has_waited_for_the_device),
        cmocka_unit_test(who_asks_and_who_is_charged_are_told_apart),
        cmocka_unit_test(who_waits_for_a_thread_of_the_kernel_has_a_container),
        cmocka_unit_test(a_request_of_several_owners_counts_once),
        cmocka_unit_test(shares_beyond_what_there_is_room_for_are_not_read),
        cmocka_unit_test(an_error_is_named),
        cmocka_unit_test(names_from_the_kernel_are_escaped),
        cmocka_unit_test(half_an_event_is_no_event),
        cmocka_unit_test(requests_that_are_told_of_have_histograms_in_all_and_over_time),
    };

    return cmocka_run_group_tests_name("block_records", tests, NULL, NULL);
}
