/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/perf_event.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct perf_event_name parsed(const char *word)
{
    struct perf_event_name name;
    struct err e = {0};

    if (perf_event_parse(word, &name, &e) < 0)
        fail_msg("%s: %s", word, e.message);
    return name;
}

static void software_hardware_and_cache_events_have_their_numbers(void **state)
{
    struct perf_event_name n = parsed("cpu-clock");

    (void)state;
    assert_int_equal(n.type, PERF_TYPE_SOFTWARE);
    assert_int_equal(n.config, PERF_COUNT_SW_CPU_CLOCK);
    assert_true(n.clock);
    assert_true(parsed("task-clock").clock);
    n = parsed("page-faults");
    assert_false(n.clock);
    assert_int_equal(n.config, parsed("faults").config);
    n = parsed("cycles");
    assert_int_equal(n.type, PERF_TYPE_HARDWARE);
    assert_false(n.clock);
    n = parsed("LLC-misses");
    assert_int_equal(n.type, PERF_TYPE_HW_CACHE);
    assert_int_equal(n.config, PERF_COUNT_HW_CACHE_LL | PERF_COUNT_HW_CACHE_RESULT_MISS << 16);
}

static void raw_events_are_r_and_hex_digits(void **state)
{
    struct perf_event_name n = parsed("r01c2");

    (void)state;
    assert_int_equal(n.type, PERF_TYPE_RAW);
    assert_int_equal(n.config, 0x1c2);
    assert_int_equal(parsed("rffffffffffffffff").config, UINT64_MAX);
}

static void tracepoints_are_a_subsystem_and_a_name(void **state)
{
    struct perf_event_name n = parsed("sched:sched_switch");

    (void)state;
    assert_string_equal(n.tracepoint, "sched_switch");
    assert_string_equal(parsed("cpu-clock").tracepoint, "");
}

static void other_words_are_refused_with_what_there_is(void **state)
{
    static const char *const words[] = {"",
                                        "cpu_clock",
                                        "CPU-CLOCK",
                                        "r",
                                        "rxyz",
                                        "r01c2g",
                                        "r00000000000000000",
                                        ":x",
                                        "x:",
                                        "a b:c",
                                        "a:b:c",
                                        "a:../../x",
                                        "sched:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                        "aaaaaaaaaaaaaa"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        struct perf_event_name n;
        struct err e = {0};

        assert_int_equal(perf_event_parse(words[i], &n, &e), -EINVAL);
        assert_int_equal(e.code, ERR_USAGE);
        assert_non_null(strstr(e.remedy, "cpu-clock"));
    }
}

static void a_missing_pmu_is_the_hosts_and_says_so(void **state)
{
    static const int missing[] = {-ENOENT, -EOPNOTSUPP, -ENODEV, -EINVAL, -EACCES, -EPERM};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
        e = (struct err){0};
        assert_int_equal(perf_event_explain("cycles", missing[i], &e), -EOPNOTSUPP);
        assert_int_equal(e.code, ERR_UNSUPPORTED);
        assert_non_null(strstr(e.message, "'cycles'"));
        assert_string_not_equal(e.remedy, "");
    }
    e = (struct err){0};
    perf_event_explain("cycles", -EMFILE, &e);
    assert_int_equal(e.code, ERR_FAILED);
}

static void the_cpus_that_are_online_are_counted(void **state)
{
    int cpus[PERF_EVENT_CPUS_MAX], one[1], n = perf_event_cpus(cpus, PERF_EVENT_CPUS_MAX);

    (void)state;
    assert_int_equal(n, sysconf(_SC_NPROCESSORS_ONLN));
    for (int i = 1; i < n; i++)
        assert_true(cpus[i] > cpus[i - 1]);
    assert_int_equal(perf_event_cpus(one, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(software_hardware_and_cache_events_have_their_numbers),
        cmocka_unit_test(raw_events_are_r_and_hex_digits),
        cmocka_unit_test(tracepoints_are_a_subsystem_and_a_name),
        cmocka_unit_test(other_words_are_refused_with_what_there_is),
        cmocka_unit_test(a_missing_pmu_is_the_hosts_and_says_so),
        cmocka_unit_test(the_cpus_that_are_online_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
