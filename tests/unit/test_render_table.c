/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/tables.h"
#include "cli/width.h"

#define STATES \
    "{'type':'started','porthole':1,'view':'states','unit':'microseconds','yields':'records'}"
#define RUNQ "{'type':'started','porthole':1,'view':'runq','unit':'waits','yields':'records'}"

/* A name that tries to be a command for the terminal, a column and a line of its own. */
#define EVIL "x\\u001b[2J\\ty\\nz\\u009b1m"

static const char *const states[] = {
    STATES,
    "{'type':'record','record':'states','comm':'idle','threads':1,'wall_us':4000000,"
    "'on_cpu_us':0,'sleep_us':4000000}",
    "{'type':'record','record':'states','comm':'busy','threads':3,'wall_us':4000000,"
    "'on_cpu_us':3000000,'runnable_us':600000,'lock_us':400000}",
    "{'type':'record','record':'states','comm':'" EVIL "','container':'" EVIL
    "','threads':1,'wall_us':2000000,'on_cpu_us':1000000,'disk_us':1000000}",
    END,
    NULL};

static const char *const runq[] = {
    RUNQ,
    "{'type':'histogram','histogram':'runq','state':'runnable','unit':'microseconds','count':1500,"
    "'sum':9,'max':70000,'p50':16,'p90':20,'p99':8100,'buckets':[[8,12,1000],[12,16,300],"
    "[65536,98304,200]]}",
    "{'type':'histogram','histogram':'runq','state':'runnable','from_ms':0,'to_ms':100,"
    "'count':1500,'buckets':[[8,12,1500]]}",
    "{'type':'record','record':'runq','comm':'a','pid':1,'tid':7,'waits':1000,'p50_us':20,"
    "'p99_us':9000,'max_us':70000,'runnable_us':500000,'throttled_us':0}",
    "{'type':'record','record':'runq','comm':'b','pid':1,'tid':8,'waits':500,'p50_us':3,"
    "'p99_us':4,'max_us':5,'runnable_us':900000,'throttled_us':0}",
    END,
    NULL};

static char *text_of(const char *const *lines, unsigned width,
                     int (*render)(const struct model *, const struct render_options *, FILE *))
{
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    const struct render_options o = {.width = width};

    return rendered(render, m, &o, NULL);
}

static void who_wants_cpus_comes_first_and_the_total_last(void **state _unused_)
{
    char *text = text_of(states, 200, render_table);
    const char *busy = strstr(text, "busy"), *idle = strstr(text, "idle"),
               *total = strstr(text, "TOTAL");

    assert_true(busy && idle && total && busy < idle && idle < total);
    assert_non_null(strstr(total, " 5  10.000 s  40.0     6.0   10.0    4.0    40.0\n"));
    assert_null(strstr(text, "CHILD%"));
    free(text);
}

static void names_do_not_leave_their_cell(void **state _unused_)
{
    char *text = text_of(states, 200, render_table), *rows = text_of(states, 200, render_rows);
    char *records = text_of(states, 200, render_records);

    assert_no_controls(text);
    assert_int_equal(count_of(text, "\n"), 5);
    assert_non_null(strstr(rows, "x\\x1b[2J\\x09y\\x0az\\x9b1m\t"));
    assert_int_equal(count_of(rows, "\n"), 4);
    assert_no_controls(records);
    assert_int_equal(count_of(records, "\n"), 3);
    free(text);
    free(rows);
    free(records);
}

static void a_narrow_terminal_gets_what_says_most(void **state _unused_)
{
    for (unsigned width = 40; width < 100; width += 7) {
        char *text = text_of(states, width, render_table), *save = NULL;
        bool dropped = strstr(text, "(no room for ") != NULL;

        assert_non_null(strstr(text, "NAME"));
        assert_non_null(strstr(text, "CPU%"));
        assert_true(dropped || strstr(text, "DISK%"));
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            assert_true(line[0] == '(' || width_of(line) <= width);
        free(text);
    }
}

static void histograms_are_octaves_with_bars(void **state _unused_)
{
    char *text = text_of(runq, 200, render_table);

    assert_non_null(strstr(text, "waiting for a CPU: 1,500 waits, half below 16 µs, 99 % below "
                                 "8.1 ms, longest 70.0 ms\n"));
    assert_non_null(strstr(text, "     8 µs - 16 µs           1,300 ████████"));
    assert_non_null(strstr(text, "    65 ms - 131 ms            200 ██████▏\n"));
    assert_non_null(strstr(text, "    32 µs - 64 µs               0 \n")); /* in between */
    assert_int_equal(count_of(text, "waiting for a CPU"), 1);
    free(text);
}

static void percentiles_of_the_total_are_those_of_all_waits(void **state _unused_)
{
    char *text = text_of(runq, 200, render_table), *total = strstr(text, "TOTAL");

    assert_non_null(total);
    assert_non_null(strstr(total, "1,500  16 µs  8.1 ms  70.0 ms   1.400 s\n"));
    assert_true(strstr(text, "\nb ") < strstr(text, "\na "));
    assert_null(strstr(text, "THROTTLED"));
    free(text);
}

static void plain_rows_have_all_columns_and_raw_numbers(void **state _unused_)
{
    char *text = text_of(runq, 40, render_rows);

    assert_string_equal(text,
                        "comm\tcontainer\tpid\ttid\twaits\tp50_us\tp99_us\tmax_us\trunnable_us\t"
                        "throttled_us\ton_cpu_us\tblocked_us\n"
                        "b\t-\t1\t8\t500\t3\t4\t5\t900000\t0\t-\t-\n"
                        "a\t-\t1\t7\t1000\t20\t9000\t70000\t500000\t0\t-\t-\n");
    free(text);
}

static void records_are_one_object_a_line_and_nothing_else(void **state _unused_)
{
    char *text = text_of(runq, 40, render_records), *save = NULL;
    size_t n = 0;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
        _cleanup_json_ struct json_object *o = NULL;
        const char *type;

        assert_int_equal(json_parse_line(line, strlen(line), &o, NULL), 0);
        type = json_string(o, "type");
        assert_true(type && (strcmp(type, "record") == 0 || strcmp(type, "histogram") == 0));
    }
    assert_int_equal(n, 4);
    free(text);
}

static void numbers_too_large_to_add_do_not_wrap(void **state _unused_)
{
    static const char *const lines[] = {
        STATES,
        "{'type':'record','record':'states','comm':'a','threads':18446744073709551615,"
        "'wall_us':18446744073709551615,'on_cpu_us':18446744073709551615}",
        "{'type':'record','record':'states','comm':'b','threads':9,'wall_us':1,'on_cpu_us':'x'}",
        END, NULL};
    char *text = text_of(lines, 200, render_table);

    assert_int_equal(count_of(text, "18,446,744,073,709,551,615"), 2);
    free(text);
}

static void help_has_a_line_for_each_column(void **state _unused_)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    table_help(table_spec_find("states"), f);
    fclose(f);
    assert_non_null(strstr(text, "  DISK%      disk_us        blocked on block I/O\n"));
    assert_null(table_spec_find("cpu"));
    assert_null(table_spec_find(NULL));
    free(text);
}

#define BLOCK "{'type':'started','porthole':1,'view':'block','record':'block','yields':'records'}"
#define SUM(comm, owner, bytes)                                                            \
    "{'type':'aggregate','record':'block','op':'write','device':'vda','comm':'" comm       \
    "','owner':'" owner "','count':3,'bytes':" #bytes ",'p50_us':1,'p99_us':2,'max_us':3," \
    "'queue_p99_us':4,'device_p99_us':5}"
#define HISTOGRAM(name, state, p50, p99)                                                   \
    "{'type':'histogram','histogram':'" name "','state':'" state "','count':6,'p50':" #p50 \
    ",'p99':" #p99 ",'max':9000,'buckets':[[64,96,6]]}"

static void most_bytes_come_first_with_units(void **state _unused_)
{
    static const char *const lines[] = {BLOCK,
                                        SUM("small", "w", 4096),
                                        SUM("big", "w", 67108864),
                                        SUM(EVIL, "kernel", 1048576),
                                        END,
                                        NULL};
    char *text = text_of(lines, 200, render_table), *rows = text_of(lines, 200, render_rows);
    const char *big = strstr(text, "\nbig "), *small = strstr(text, "\nsmall ");

    assert_true(big && small && big < small);
    assert_non_null(strstr(big, " 64.0 MiB "));
    assert_non_null(strstr(strstr(text, "\nTOTAL"), "  9  65.0 MiB "));
    assert_non_null(strstr(rows, "\t67108864\t"));
    assert_no_controls(text);
    free(text);
    free(rows);
}

static void totals_of_latency_come_from_their_histograms(void **state _unused_)
{
    static const char *const lines[] = {BLOCK,
                                        SUM("a", "w", 1),
                                        SUM("b", "w", 1),
                                        HISTOGRAM("block", "latency", 70, 700),
                                        HISTOGRAM("block", "queue", 10, 110),
                                        HISTOGRAM("block", "device", 60, 606),
                                        END,
                                        NULL};
    char *text = text_of(lines, 200, render_table), *total = strstr(text, "\nTOTAL");

    assert_non_null(total);
    assert_non_null(strstr(total, " 70 µs  700 µs  3 µs   110 µs    606 µs\n"));
    assert_non_null(
        strstr(text, "latency, queue and device together: 6 requests, half below 70 µs"));
    assert_non_null(strstr(text, "before the device had it: 6 requests, half below 10 µs, "));
    assert_non_null(strstr(text, "on the device: 6 requests, half below 60 µs, 99 % below 606 µs"));
    free(text);
}

static void columns_of_little_use_go_first(void **state _unused_)
{
    static const char *const lines[] = {BLOCK, SUM("a", "w", 4096), SUM("b", "w", 1), END, NULL};
    char *text = text_of(lines, 80, render_table), *save = NULL;

    assert_non_null(strstr(text, "BYTES"));
    assert_non_null(strstr(text, "REQUESTS"));
    assert_non_null(strstr(text, "OWNER"));
    assert_non_null(strstr(text, "(no room for DEVICE99"));
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        assert_true(line[0] == '(' || width_of(line) <= 80);
    free(text);
}

static void unknown_histograms_are_shown_under_their_own_name(void **state _unused_)
{
    static const char *const lines[] = {BLOCK, HISTOGRAM("later", EVIL, 70, 700),
                                        HISTOGRAM("tcp", "rtt", 7, 8), END, NULL};
    char *text = text_of(lines, 200, render_table);

    assert_no_controls(text);
    assert_non_null(strstr(text, "x\\x1b[2J\\x09y\\x0az\\x9b1m: 6 values, half below 70 µs"));
    assert_non_null(strstr(text, "round trip, smoothed: 6 connections, half below 7 µs"));
    free(text);
}

static void peers_are_the_top_ones_and_the_total_of_all(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = NULL;
    const struct render_options o = {.width = 200};
    struct err e = {0};
    char *text;

    assert_int_equal(model_new(&m, false), 0);
    assert_int_equal(add_line(m,
                              "{'type':'started','porthole':1,'view':'tcp','record':'tcp',"
                              "'yields':'records'}",
                              &e),
                     0);
    for (int i = 1; i <= 30; i++) {
        char line[200];

        snprintf(line, sizeof(line),
                 "{'type':'record','record':'tcp-peer','raddr':'10.0.0.%d','rport':80,"
                 "'connections':1,'tx_bytes':%d,'rx_bytes':1}",
                 i, i * 100);
        assert_int_equal(add_line(m, line, &e), 0);
    }
    assert_int_equal(add_line(m,
                              "{'type':'record','record':'tcp-peer','others':true,"
                              "'connections':5,'tx_bytes':99999,'rx_bytes':0}",
                              &e),
                     0);
    assert_int_equal(model_finish(m), 0);
    text = rendered(render_table, m, &o, NULL);
    assert_non_null(strstr(text, "peers:\nREMOTE"));
    assert_non_null(strstr(text, "\n10.0.0.30:80 "));
    assert_null(strstr(text, "\n10.0.0.5:80 "));
    assert_int_equal(count_of(text, ":80 "), 19);
    assert_true(strstr(text, "\nothers ") < strstr(text, "\n10.0.0.30:80 "));
    assert_non_null(strstr(strstr(text, "\nTOTAL"), " 35  "));
    assert_non_null(strstr(text, "\n(and 11 more; the total is of all)\n"));
    free(text);
}

static void help_says_what_each_kind_has(void **state _unused_)
{
    static const char *const kinds[] = {"block", "block-event", "tcp", "tcp-event", "tcp-peer"};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct table_spec *spec = table_spec_find(kinds[i]);

        assert_non_null(spec);
        assert_non_null(spec->heading);
        for (const struct table_column *c = spec->columns; c->field; c++) {
            assert_non_null(c->shown.help);
            assert_true(!c->shown.header == !c->shown.text);
        }
        for (size_t j = 0; j < ARRAY_SIZE(spec->others) && spec->others[j]; j++)
            assert_non_null(table_spec_find(spec->others[j]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_wants_cpus_comes_first_and_the_total_last),
        cmocka_unit_test(names_do_not_leave_their_cell),
        cmocka_unit_test(a_narrow_terminal_gets_what_says_most),
        cmocka_unit_test(histograms_are_octaves_with_bars),
        cmocka_unit_test(percentiles_of_the_total_are_those_of_all_waits),
        cmocka_unit_test(plain_rows_have_all_columns_and_raw_numbers),
        cmocka_unit_test(records_are_one_object_a_line_and_nothing_else),
        cmocka_unit_test(numbers_too_large_to_add_do_not_wrap),
        cmocka_unit_test(help_has_a_line_for_each_column),
        cmocka_unit_test(most_bytes_come_first_with_units),
        cmocka_unit_test(totals_of_latency_come_from_their_histograms),
        cmocka_unit_test(columns_of_little_use_go_first),
        cmocka_unit_test(unknown_histograms_are_shown_under_their_own_name),
        cmocka_unit_test(peers_are_the_top_ones_and_the_total_of_all),
        cmocka_unit_test(help_says_what_each_kind_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
