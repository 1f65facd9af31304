/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/live.h"
#include "cli/width.h"

#define TCP                                                                            \
    "{'type':'started','porthole':1,'view':'tcp','record':'tcp','unit':'connections'," \
    "'yields':'records','target':'w'}"
#define REQUESTS                                                            \
    "{'type':'started','porthole':1,'view':'block','record':'block-event'," \
    "'unit':'requests','yields':'records','target':'w'}"
#define EVIL "x\\u001b[2J\\ty\\nz\\u009b1m"
#define CONNECTION(comm, address)                                                         \
    "{'type':'aggregate','record':'tcp','comm':'" comm "','pid':7,'direction':'out',"     \
    "'laddr':'10.0.0.2','lport':4000,'raddr':'" address "','rport':6379,'tx_bytes':2048," \
    "'rx_bytes':5,'duration_us':1500,'state':'failed','reason':'refused'}"
#define PEER                                                                \
    "{'type':'record','record':'tcp-peer','raddr':'10.0.0.3','rport':6379," \
    "'connections':2,'tx_bytes':4096,'rx_bytes':10}"

static const struct render_options wide = {.width = 200};

static int take(void *data, const struct model *m, struct json_object *row)
{
    return live_take(data, m, row);
}

/* What comes out of these lines, the last NULL; *before gets its size ahead of the end. */
static char *shown(const char *const *lines, enum format_live kind,
                   int (*render)(const struct model *, const struct render_options *, FILE *),
                   const struct render_options *o, size_t *before)
{
    const struct format format = {.records = true, .live = kind, .render = render};
    _cleanup_(model_freep) struct model *m = NULL;
    _cleanup_(live_freep) struct live *l = NULL;
    struct err e = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    assert_int_equal(model_new(&m, false), 0);
    assert_int_equal(live_new(&l, &format, o, f), 0);
    model_set_taker(m, take, l);
    for (; *lines; lines++)
        assert_int_equal(add_line(m, *lines, &e), 0);
    fflush(f);
    if (before)
        *before = size;
    assert_int_equal(model_finish(m), 0);
    assert_int_equal(live_finish(l, m), 0);
    fclose(f);
    return text;
}

static char *table_of(const char *const *lines, unsigned width)
{
    const struct render_options o = {.width = width};

    return shown(lines, LIVE_TABLE, render_table, &o, NULL);
}

static void rows_are_written_when_they_come(void **state _unused_)
{
    static const char *const lines[] = {TCP, CONNECTION("a", "10.0.0.3"), PEER, END, NULL};
    size_t before = 0;
    char *text = shown(lines, LIVE_TABLE, render_table, &wide, &before);

    assert_int_equal(strncmp(text, "NAME ", 5), 0);
    assert_in_range(before, 1, strlen(text) - 1);
    assert_true(strstr(text, "\na ") < text + before);
    assert_true(strstr(text, "peers:\n") >= text + before);
    free(text);
}

static void rows_are_not_kept(void **state _unused_)
{
    const struct format format = {.records = true, .live = LIVE_ROWS, .render = render_rows};
    _cleanup_(model_freep) struct model *m = NULL;
    _cleanup_(live_freep) struct live *l = NULL;
    _cleanup_fclose_ FILE *f = fopen("/dev/null", "w");
    struct err e = {0};

    assert_non_null(f);
    assert_int_equal(model_new(&m, false), 0);
    assert_int_equal(live_new(&l, &format, &wide, f), 0);
    model_set_taker(m, take, l);
    assert_int_equal(add_line(m, TCP, &e), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(add_line(m, CONNECTION("a", "10.0.0.3"), &e), 0);
    assert_null(m->records);
    assert_int_equal(m->rows, 1000);
    assert_false(model_is_empty(m));
    assert_int_equal(add_line(m, PEER, &e), 0);
    assert_int_equal(json_object_array_length(m->records), 1);
}

static void a_table_has_one_header_and_fits(void **state _unused_)
{
    static const char *const lines[] = {TCP,
                                        CONNECTION("a", "10.0.0.3"),
                                        CONNECTION(EVIL, "2001:db8:85a3:1234:5678:8a2e:370:7334"),
                                        CONNECTION("a-name-that-is-very-long", "10.0.0.3"),
                                        END,
                                        NULL};

    for (unsigned width = 80; width < 220; width += 7) {
        char *text = table_of(lines, width), *save = NULL;
        size_t n = 0, told = count_of(text, "(no room for ");

        assert_no_controls(text);
        assert_int_equal(count_of(text, "NAME"), 1);
        assert_int_equal(count_of(text, "failed: refused"), 3);
        assert_int_equal(count_of(text, "2.0 KiB"), 3);
        for (char *line = strtok_r(text, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save), n++)
            assert_true(line[0] == '(' || width_of(line) <= width);
        assert_int_equal(n, 4 + told);
        free(text);
    }
}

static void room_goes_to_addresses_and_what_has_none_is_named(void **state _unused_)
{
    static const char *const lines[] = {
        TCP, CONNECTION("a", "2001:db8:85a3:1234:5678:8a2e:370:7334"), END, NULL};
    char *narrow = table_of(lines, 80), *broad = table_of(lines, 300);

    assert_non_null(strstr(narrow, "[2001:db8"));
    assert_non_null(strstr(narrow, "…"));
    assert_non_null(strstr(narrow, "\n(no room for CONTAINER, CONNECT, "));
    assert_non_null(strstr(broad, "[2001:db8:85a3:1234:5678:8a2e:370:7334]:6379 "));
    assert_null(strstr(broad, "no room"));
    free(narrow);
    free(broad);
}

static void numbers_are_never_cut(void **state _unused_)
{
    static const char *const lines[] = {
        REQUESTS,
        "{'type':'event','record':'block-event','time_us':18446744073709551615,'sector':"
        "18446744073709551615,'bytes':18446744073709551615,'latency_us':18446744073709551615}",
        "{'type':'event','record':'block-event','in_flight':true}", END, NULL};
    char *text = table_of(lines, 300);

    assert_non_null(strstr(text, "18446744073709.551615"));
    assert_non_null(strstr(text, " 18446744073709551615 "));
    assert_non_null(strstr(text, "18,446,744,073,709.551 s"));
    assert_non_null(strstr(text, "in flight"));
    assert_null(strstr(text, "…"));
    free(text);
}

static void plain_rows_have_their_header_even_without_rows(void **state _unused_)
{
    static const char *const none[] = {TCP, PEER, END, NULL};
    static const char *const one[] = {TCP, CONNECTION(EVIL, "::1"), PEER, END, NULL};
    char *empty = shown(none, LIVE_ROWS, render_rows, &wide, NULL);
    char *text = shown(one, LIVE_ROWS, render_rows, &wide, NULL);

    assert_int_equal(count_of(empty, "\n"), 1);
    assert_int_equal(strncmp(empty, "comm\tpid\t", 9), 0);
    assert_int_equal(count_of(text, "\n"), 2);
    assert_int_equal(strncmp(text, empty, strlen(empty)), 0);
    assert_non_null(strstr(text,
                           "\nx\\x1b[2J\\x09y\\x0az\\x9b1m\t7\t-\t-\tout\t10.0.0.2\t4000\t::1\t"
                           "6379\t-\t2048\t5\t1500\t-\t-\t-\tfailed\trefused\t-\n"));
    free(empty);
    free(text);
}

static void objects_come_in_the_order_of_the_stream(void **state _unused_)
{
    static const char *const lines[] = {
        TCP, CONNECTION("a", "10.0.0.3"), CONNECTION(EVIL, "10.0.0.3"), PEER, END, NULL};
    size_t before = 0;
    char *text = shown(lines, LIVE_RECORDS, render_records, &wide, &before);

    assert_no_controls(text);
    assert_int_equal(count_of(text, "\n"), 3);
    assert_int_equal(count_of(text, "\"aggregate\""), 2);
    assert_true(strstr(text, "tcp-peer") > text + before);
    free(text);
}

static void pictures_do_without_rows(void **state _unused_)
{
    static const char *const lines[] = {
        REQUESTS, "{'type':'event','record':'block-event','comm':'a'}",
        "{'type':'histogram','histogram':'block','state':'latency','from_ms':0,'to_ms':100,"
        "'buckets':[[8,12,5]]}",
        END, NULL};
    size_t before = 1;
    char *text = shown(lines, LIVE_NOT, render_heatmap, &wide, &before);

    assert_int_equal(before, 0);
    assert_non_null(strstr(text, "5 requests of 8 µs to 12 µs"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_written_when_they_come),
        cmocka_unit_test(rows_are_not_kept),
        cmocka_unit_test(a_table_has_one_header_and_fits),
        cmocka_unit_test(room_goes_to_addresses_and_what_has_none_is_named),
        cmocka_unit_test(numbers_are_never_cut),
        cmocka_unit_test(plain_rows_have_their_header_even_without_rows),
        cmocka_unit_test(objects_come_in_the_order_of_the_stream),
        cmocka_unit_test(pictures_do_without_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
