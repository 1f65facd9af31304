/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/request.h"
#include "agent/proto.h"
#include "base/buf.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HEAD "{\"porthole\":1,\"op\":\"capture\",\"view\":\"cpu\",\"target\":\"web1\""

static int parse(const char *line, struct request *r, struct err *e)
{
    *e = (struct err){0};
    *r = (struct request){0};
    return request_parse(line, strlen(line), r, e);
}

/* Refused as the client's fault, in words that hold this. */
static void refuse_sized(const char *line, size_t size, const char *words)
{
    struct request r = {0};
    struct err e = {0};

    assert_true(request_parse(line, size, &r, &e) < 0);
    assert_int_equal(e.code, ERR_USAGE);
    if (!strstr(e.message, words))
        fail_msg("'%s' does not say '%s'", e.message, words);
    request_free(&r);
}

static void refuse(const char *line, const char *words)
{
    refuse_sized(line, strlen(line), words);
}

static struct request accept(const char *line)
{
    struct request r;
    struct err e;

    if (parse(line, &r, &e) < 0)
        fail_msg("%s: %s", line, e.message);
    return r;
}

/* A capture with one more member. */
static void refuse_member(const char *member, const char *words)
{
    _cleanup_buf_ struct buf b = {0};

    buf_addf(&b, HEAD ",%s}", member);
    refuse(b.data, words);
}

static struct request accept_member(const char *member)
{
    _cleanup_buf_ struct buf b = {0};

    buf_addf(&b, HEAD ",%s}", member);
    return accept(b.data);
}

static void a_plain_capture_gets_the_defaults(void **state)
{
    struct request r = accept(HEAD "}");

    (void)state;
    assert_int_equal(r.op, REQUEST_CAPTURE);
    assert_string_equal(r.target, "web1");
    assert_string_equal(r.event_word, "cpu-clock");
    assert_int_equal(r.duration_ms, PROTO_DURATION_MS_DEFAULT);
    assert_int_equal(r.frequency, PROTO_FREQUENCY_DEFAULT);
    assert_int_equal(r.period, 0);
    assert_int_equal(r.max_stack, PROTO_STACK_DEFAULT);
    assert_false(r.per_process || r.per_thread || r.addresses || r.inlines);
    request_free(&r);
    assert_null(r.target);
}

static void numbers_are_taken_within_their_bounds_and_refused_beyond(void **state)
{
    static const struct {
        const char *field;
        unsigned long long min, max;
        const char *rest;
    } fields[] = {
        {"duration_ms", 1, PROTO_DURATION_MS_MAX, ""},
        {"frequency", 1, PROTO_FREQUENCY_MAX, ""},
        {"period", 1, PROTO_PERIOD_MAX, ",\"event\":\"page-faults\""},
        {"pid", 1, INT32_MAX, ""},
        {"max_stack", 1, PROTO_STACK_MAX, ""},
    };
    static const char *const wrong[] = {"-1",
                                        "1.0",
                                        "1e3",
                                        "\"5\"",
                                        "null",
                                        "true",
                                        "[]",
                                        "18446744073709551615",
                                        "-9999999999999999999"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        char member[200];
        struct request r;

        for (int k = 0; k < 2; k++) {
            snprintf(member, sizeof(member), "\"%s\":%llu%s", fields[i].field,
                     k ? fields[i].max : fields[i].min, fields[i].rest);
            r = accept_member(member);
            request_free(&r);
            snprintf(member, sizeof(member), "\"%s\":%llu%s", fields[i].field,
                     k ? fields[i].max + 1 : fields[i].min - 1, fields[i].rest);
            refuse_member(member, fields[i].field);
        }
        for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
            snprintf(member, sizeof(member), "\"%s\":%s%s", fields[i].field, wrong[k],
                     fields[i].rest);
            refuse_member(member, fields[i].field);
        }
    }
}

static void flags_are_true_or_false_and_nothing_else(void **state)
{
    static const char *const flags[] = {"per_process", "per_thread", "addresses", "inline"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        char member[100];
        struct request r;

        snprintf(member, sizeof(member), "\"%s\":true", flags[i]);
        r = accept_member(member);
        assert_int_equal(r.per_process, i == 0);
        assert_int_equal(r.per_thread, i == 1);
        assert_int_equal(r.addresses, i == 2);
        assert_int_equal(r.inlines, i == 3);
        request_free(&r);
        snprintf(member, sizeof(member), "\"%s\":1", flags[i]);
        refuse_member(member, flags[i]);
        snprintf(member, sizeof(member), "\"%s\":\"true\"", flags[i]);
        refuse_member(member, flags[i]);
    }
}

/* A capture of this target. */
static char *capture_of(const char *target)
{
    struct buf b = {0};

    buf_addf(&b, "{\"porthole\":1,\"op\":\"capture\",\"view\":\"cpu\",\"target\":\"%s\"}", target);
    return b.data;
}

static void refuse_target(const char *target)
{
    _cleanup_free_ char *line = capture_of(target);

    refuse(line, "target");
}

static void a_target_is_a_bounded_string_without_zero_bytes(void **state)
{
    char target[PROTO_TARGET_MAX + 2];
    _cleanup_free_ char *line = NULL;
    struct request r;

    (void)state;
    memset(target, 'x', sizeof(target));
    target[PROTO_TARGET_MAX + 1] = '\0';
    refuse_target(target);
    target[PROTO_TARGET_MAX] = '\0';
    line = capture_of(target);
    r = accept(line);
    request_free(&r);
    refuse_target("");
    refuse_target("a\\u0000b");
    refuse("{\"porthole\":1,\"op\":\"capture\",\"view\":\"cpu\"}", "target");
    refuse("{\"porthole\":1,\"op\":\"capture\",\"view\":\"cpu\",\"target\":7}", "target");
}

static void unknown_words_are_refused_by_name(void **state)
{
    (void)state;
    refuse("{\"porthole\":1,\"op\":\"explode\"}", "explode");
    refuse("{\"porthole\":1}", "op");
    refuse("{\"porthole\":1,\"op\":7}", "op");
    refuse("{\"porthole\":1,\"op\":\"capture\",\"view\":\"dream\",\"target\":\"x\"}", "dream");
    refuse("{\"porthole\":1,\"op\":\"capture\",\"target\":\"x\"}", "view");
    refuse_member("\"event\":\"no-such\"", "no-such");
    refuse_member("\"event\":\"\"", "event");
}

static void unknown_fields_are_ignored_and_every_op_is_known(void **state)
{
    struct request r = accept("{\"porthole\":1,\"op\":\"list\",\"colour\":{\"a\":[1,{}]}}");

    (void)state;
    assert_int_equal(r.op, REQUEST_LIST);
    request_free(&r);
    r = accept("{\"porthole\":1,\"op\":\"status\"}");
    assert_int_equal(r.op, REQUEST_STATUS);
    r = accept("{\"op\":\"stop\"}");
    assert_int_equal(r.op, REQUEST_STOP);
}

static void frequency_and_period_fit_the_event(void **state)
{
    struct request r;

    (void)state;
    refuse_member("\"frequency\":99,\"period\":5", "not both");
    refuse_member("\"event\":\"sched:sched_switch\",\"frequency\":99", "tracepoint");
    refuse_member("\"event\":\"sched:sched_switch\",\"period\":2", "tracepoint");
    r = accept_member("\"event\":\"sched:sched_switch\"");
    assert_int_equal(r.frequency, 0);
    request_free(&r);
    r = accept_member("\"event\":\"page-faults\"");
    assert_int_equal(r.period, 1);
    assert_int_equal(r.frequency, 0);
    request_free(&r);
    r = accept_member("\"event\":\"cycles\"");
    assert_int_equal(r.frequency, PROTO_FREQUENCY_DEFAULT);
    request_free(&r);
    r = accept_member("\"event\":\"cpu-clock\",\"period\":1000000");
    assert_int_equal(r.frequency, 0);
    assert_int_equal(r.period, 1000000);
    request_free(&r);
}

static void equal_keys_are_refused_however_they_are_spelled(void **state)
{
    struct request r;

    (void)state;
    refuse("{\"porthole\":1,\"op\":\"list\",\"op\":\"status\"}", "twice");
    refuse("{\"porthole\":1,\"op\":\"list\",\"\\u006fp\":\"status\"}", "equal");
    refuse("{\"porthole\":1,\"op\":\"list\",\"x\":[{\"a\":1,\"\\u0061\":2}]}", "equal");
    /* The same key in two objects is two keys. */
    r = accept("{\"porthole\":1,\"op\":\"list\",\"x\":{\"op\":1,\"\\u0062\":2}}");

    request_free(&r);
}

static void what_is_no_strict_json_is_refused(void **state)
{
    static const char zero[] = "{\"porthole\":1,\"op\":\"list\"\0}";

    (void)state;
    refuse("", "JSON");
    refuse("{\"porthole\":1,\"op\":\"list\"", "cut off");
    refuse("{\"porthole\":1,\"op\":\"list\"} x", "JSON");
    refuse("{\"porthole\":1,\"op\":\"list\"}{}", "JSON");
    refuse("[1]", "object");
    refuse("7", "JSON");
    refuse("{\"porthole\":1,\"op\":\"list\",\"x\":NaN}", "JSON");
    refuse("{\"porthole\":1,\"op\":\"list\",\"x\":[-Infinity]}", "JSON");
    refuse("{\"porthole\":1,\"op\":\"list\",}", "JSON");
    refuse("{'porthole':1,\"op\":\"list\"}", "JSON");
    refuse("{\"porthole\":1,\"op\":\"\xff\xfe\"}", "JSON");
    refuse_sized(zero, sizeof(zero) - 1, "zero byte");
}

static void numbers_of_more_than_64_bits_are_refused_anywhere(void **state)
{
    struct request r = accept("{\"porthole\":1,\"op\":\"list\",\"x\":18446744073709551615}");

    (void)state;
    request_free(&r);
    refuse("{\"porthole\":1,\"op\":\"list\",\"x\":18446744073709551616}", "64 bits");
    refuse("{\"porthole\":1,\"op\":\"list\",\"x\":[[99999999999999999999]]}", "64 bits");
}

static void ten_thousand_levels_are_refused(void **state)
{
    _cleanup_buf_ struct buf b = {0};

    (void)state;
    buf_adds(&b, "{\"porthole\":1,\"op\":\"list\",\"x\":");
    for (int i = 0; i < 10000; i++)
        buf_addc(&b, '[');
    for (int i = 0; i < 10000; i++)
        buf_addc(&b, ']');
    buf_addc(&b, '}');
    refuse(b.data, "JSON");
}

static void fields_that_nobody_knows_are_told(void **state _unused_)
{
    struct request r = accept_member("\"colour\":\"red\",\"pid\":1,\"shape\":null,\"q\\\"\":[1]");

    assert_string_equal(r.ignored.data, "\"colour\",\"shape\",\"q\\\"\"");
    request_free(&r);
    r = accept_member("\"per_thread\":true,\"inline\":false,\"duration_ms\":5,\"frequency\":9");
    assert_int_equal(r.ignored.size, 0);
    request_free(&r);
    r = accept("{\"porthole\":1,\"op\":\"capture\",\"view\":\"block\",\"target\":\"x\","
               "\"stacks\":true,\"weight\":\"bytes\"}");
    assert_int_equal(r.ignored.size, 0);
    request_free(&r);
    r = accept("{\"porthole\":1,\"op\":\"capture\",\"view\":\"offcpu\",\"target\":\"x\","
               "\"state\":\"all\",\"thread\":\"x\",\"min_us\":1,\"max_us\":2,\"max_overhead\":3}");
    assert_int_equal(r.ignored.size, 0);
    request_free(&r);
}

static void other_versions_are_refused_with_who_is_older(void **state _unused_)
{
    struct request r;
    struct err e;

    assert_true(parse("{\"porthole\":2,\"op\":\"list\"}", &r, &e) < 0);
    assert_int_equal(e.code, ERR_VERSION);
    assert_non_null(strstr(e.remedy, "upgrade portholed"));
    assert_true(parse("{\"porthole\":0,\"op\":\"list\"}", &r, &e) < 0);
    assert_int_equal(e.code, ERR_VERSION);
    assert_non_null(strstr(e.remedy, "upgrade porthole,"));
    refuse("{\"op\":\"list\"}", "version of the protocol");
    refuse("{\"porthole\":\"1\",\"op\":\"list\"}", "version of the protocol");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_that_nobody_knows_are_told),
        cmocka_unit_test(other_versions_are_refused_with_who_is_older),
        cmocka_unit_test(a_plain_capture_gets_the_defaults),
        cmocka_unit_test(numbers_are_taken_within_their_bounds_and_refused_beyond),
        cmocka_unit_test(flags_are_true_or_false_and_nothing_else),
        cmocka_unit_test(a_target_is_a_bounded_string_without_zero_bytes),
        cmocka_unit_test(unknown_words_are_refused_by_name),
        cmocka_unit_test(unknown_fields_are_ignored_and_every_op_is_known),
        cmocka_unit_test(frequency_and_period_fit_the_event),
        cmocka_unit_test(equal_keys_are_refused_however_they_are_spelled),
        cmocka_unit_test(what_is_no_strict_json_is_refused),
        cmocka_unit_test(numbers_of_more_than_64_bits_are_refused_anywhere),
        cmocka_unit_test(ten_thousand_levels_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
