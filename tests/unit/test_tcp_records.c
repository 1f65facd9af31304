/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the `tcp` view, from events made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/probe_tcp.h"
#include "agent/records.h"
#include "base/loop.h"
#include "bpf/event_tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

extern const struct records_ops tcp_records;

#define START (1000 * NS_PER_SEC)
#define MS NS_PER_MS

enum { ESTABLISHED = 1, SYN_SENT = 2, FIN_WAIT2 = 5, CLOSE_WAIT = 8 };

/* ---- what the probe and the capture would say ---- */

static struct buf left_open;

void probe_tcp_take_open(struct probe *p, struct buf *ret)
{
    (void)p;
    *ret = left_open;
    left_open = (struct buf){0};
}

uint64_t probe_tcp_missed(struct probe *p)
{
    (void)p;
    return 3;
}

static const char *container_of(void *data, uint32_t tgid, enum records_hierarchy h,
                                uint64_t cgroup_id)
{
    (void)data;
    assert_int_equal(h, HIERARCHY_V2);
    if (cgroup_id == 11 || tgid == 111)
        return "web \"1\"";
    return cgroup_id == 22 ? "cache1" : NULL;
}

struct fixture {
    struct records *records;
    struct buf out;
};

static struct fixture begin(bool events, const char *target)
{
    const struct records_setup setup = {.target = target,
                                        .events = events,
                                        .started_ns = START,
                                        .slice_ns = 100 * MS,
                                        .container_of = container_of};
    struct fixture f = {0};

    assert_int_equal(tcp_records.new(&setup, &f.records), 0);
    return f;
}

static void end(struct fixture *f)
{
    tcp_records.free(f->records);
    buf_free(&f->out);
}

static void address(uint8_t to[16], const char *word)
{
    struct in_addr v4;

    if (inet_pton(AF_INET6, word, to) == 1)
        return;
    assert_int_equal(inet_pton(AF_INET, word, &v4), 1);
    memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, &v4, 4);
}

/* A connection of half a second that took 2 ms to come about. */
static struct event_tcp connection(uint8_t kind, uint8_t state)
{
    struct event_tcp e = {.time_ns = START + 600 * MS,
                          .born_ns = START + 100 * MS,
                          .open_ns = START + 102 * MS,
                          .tx_bytes = 500,
                          .rx_bytes = 6000,
                          .cgroup_id = 11,
                          .tgid = 100,
                          .ns_tgid = 7,
                          .rtt_us = 90,
                          .lport = 40000,
                          .rport = 6379,
                          .kind = kind,
                          .state = state,
                          .comm = "client"};

    address(e.laddr, "10.0.0.2");
    address(e.raddr, "10.0.0.3");
    return e;
}

static void feed(struct fixture *f, const struct event_tcp *e)
{
    assert_int_equal(tcp_records.event(f->records, e, sizeof(*e), &f->out), 0);
}

/* The line of one event. */
static const char *line_of(struct fixture *f, const struct event_tcp *e)
{
    buf_free(&f->out);
    feed(f, e);
    return f->out.data;
}

static const char *rest(struct fixture *f)
{
    assert_int_equal(tcp_records.finish(f->records, NULL), 0);
    buf_free(&f->out);
    while (tcp_records.next(f->records, &f->out))
        ;
    tcp_records.quality(f->records, &f->out);
    return f->out.data;
}

static void has(const char *line, const char *part)
{
    if (!strstr(line, part))
        fail_msg("'%s' is not in %s", part, line);
}

static void lacks(const char *line, const char *part)
{
    if (strstr(line, part))
        fail_msg("'%s' is in %s", part, line);
}

/* ---- tests ---- */

static void a_connection_that_ends_is_a_line(void **state)
{
    struct fixture f = begin(false, "web1");
    struct event_tcp e = connection(EVENT_TCP_ENDED, FIN_WAIT2);

    (void)state;
    e.peer_cgroup_id = 22;
    assert_string_equal(
        line_of(&f, &e),
        "{\"type\":\"aggregate\",\"record\":\"tcp\",\"comm\":\"client\",\"pid\":7,\"host_pid\":100,"
        "\"container\":\"web1\",\"direction\":\"out\",\"laddr\":\"10.0.0.2\",\"lport\":40000,"
        "\"raddr\":\"10.0.0.3\",\"rport\":6379,\"peer\":\"cache1\",\"tx_bytes\":500,"
        "\"rx_bytes\":6000,\"duration_us\":500000,\"connect_us\":2000,\"rtt_us\":90,"
        "\"retransmits\":0,\"state\":\"closed\"}\n");
    assert_int_equal(tcp_records.shown(f.records), 1);
    end(&f);
}

static void names_from_outside_are_escaped(void **state)
{
    struct fixture f = begin(false, NULL);
    struct event_tcp e = connection(EVENT_TCP_ENDED, FIN_WAIT2);

    (void)state;
    memcpy(e.comm,
           "a\"\\\n\xff"
           "0123456789ab",
           16); /* fills it: no zero at the end */
    has(line_of(&f, &e), "\"comm\":\"a\\\"\\\\\\u000a\xef\xbf\xbd"
                         "0123456789a\"");
    has(f.out.data, "\"container\":\"web \\\"1\\\"\"");
    assert_int_equal(f.out.data[f.out.size - 1], '\n');
    assert_null(memchr(f.out.data, '\n', f.out.size - 1));
    end(&f);
}

static void addresses_are_written_as_people_do(void **state)
{
    struct fixture f = begin(false, "web1");
    struct event_tcp e = connection(EVENT_TCP_ENDED, FIN_WAIT2);

    (void)state;
    address(e.laddr, "fd00::1:2");
    address(e.raddr, "::1");
    has(line_of(&f, &e), "\"laddr\":\"fd00::1:2\",\"lport\":40000,\"raddr\":\"::1\"");
    address(e.laddr, "::ffff:192.0.2.7");
    address(e.raddr, "::");
    has(line_of(&f, &e), "\"laddr\":\"192.0.2.7\",\"lport\":40000,\"raddr\":\"::\"");
    end(&f);
}

static void what_is_not_known_is_absent(void **state)
{
    struct fixture f = begin(false, NULL);
    struct event_tcp e = connection(EVENT_TCP_ENDED, FIN_WAIT2);

    (void)state;
    e.tgid = e.ns_tgid = e.rtt_us = 0;
    e.cgroup_id = e.born_ns = e.open_ns = 0;
    memset(e.comm, 0, sizeof(e.comm));
    e.flags = EVENT_TCP_BEFORE;
    lacks(line_of(&f, &e), "\"comm\"");
    lacks(f.out.data, "pid\"");
    lacks(f.out.data, "\"container\"");
    lacks(f.out.data, "\"peer\"");
    lacks(f.out.data, "\"connect_us\"");
    lacks(f.out.data, "\"rtt_us\"");
    has(f.out.data, "\"before\":true");
    has(f.out.data, "\"duration_us\":600000"); /* since the capture began */
    end(&f);
}

static void how_it_ended(void **state)
{
    static const struct {
        uint8_t kind, from;
        uint32_t error;
        const char *want;
    } rows[] = {
        {EVENT_TCP_FAILED, SYN_SENT, ECONNREFUSED, "\"state\":\"failed\",\"reason\":\"refused\""},
        {EVENT_TCP_FAILED, SYN_SENT, ETIMEDOUT, "\"state\":\"failed\",\"reason\":\"timed-out\""},
        {EVENT_TCP_FAILED, SYN_SENT, EHOSTUNREACH,
         "\"state\":\"failed\",\"reason\":\"unreachable\""},
        {EVENT_TCP_FAILED, SYN_SENT, ENETUNREACH,
         "\"state\":\"failed\",\"reason\":\"unreachable\""},
        {EVENT_TCP_FAILED, SYN_SENT, ECONNRESET, "\"state\":\"failed\",\"reason\":\"reset\""},
        {EVENT_TCP_FAILED, SYN_SENT, EACCES, "\"state\":\"failed\",\"reason\":\"EACCES\""},
        {EVENT_TCP_FAILED, SYN_SENT, 4000, "\"state\":\"failed\",\"reason\":\"errno 4000\""},
        {EVENT_TCP_FAILED, SYN_SENT, 0, "\"state\":\"failed\",\"reason\":\"abandoned\""},
        {EVENT_TCP_ENDED, ESTABLISHED, ECONNRESET, "\"state\":\"reset\",\"reason\":\"reset\""},
        {EVENT_TCP_ENDED, CLOSE_WAIT, EPIPE, "\"state\":\"reset\",\"reason\":\"reset\""},
        {EVENT_TCP_ENDED, CLOSE_WAIT, 0, "\"state\":\"reset\"}"},
        {EVENT_TCP_ENDED, ESTABLISHED, ETIMEDOUT,
         "\"state\":\"timed-out\",\"reason\":\"timed-out\""},
        {EVENT_TCP_ENDED, FIN_WAIT2, 0, "\"state\":\"closed\"}"},
    };
    struct fixture f = begin(false, "web1");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct event_tcp e = connection(rows[i].kind, rows[i].from);

        e.error = rows[i].error;
        has(line_of(&f, &e), rows[i].want);
    }
    end(&f);
}

static void those_that_are_open_come_at_the_end(void **state)
{
    struct fixture f = begin(false, "web1");
    struct event_tcp open = connection(EVENT_TCP_OPEN, ESTABLISHED),
                     trying = connection(EVENT_TCP_OPEN, SYN_SENT),
                     old = connection(EVENT_TCP_OPEN, CLOSE_WAIT);
    const char *lines;

    (void)state;
    trying.open_ns = 0;
    old.flags = EVENT_TCP_IN | EVENT_TCP_BEFORE;
    old.born_ns = old.open_ns = 0;
    buf_add(&left_open, &open, sizeof(open));
    buf_add(&left_open, &trying, sizeof(trying));
    buf_add(&left_open, &old, sizeof(old));
    lines = rest(&f);
    has(lines, "\"state\":\"open\"}");
    has(lines, "\"state\":\"syn-sent\"}");
    has(lines, "\"direction\":\"in\"");
    has(lines, "\"state\":\"close-wait\",\"before\":true}");
    has(lines, "\"tcp\":{\"opened\":2,\"closed\":0,\"failed\":0,\"open_before\":1,"
               "\"open_at_end\":3,\"missed\":3}");
    assert_int_equal(tcp_records.shown(f.records), 3);
    end(&f);
}

static void events_are_told_one_by_one(void **state)
{
    struct fixture f = begin(true, "web1");
    struct event_tcp e = connection(EVENT_TCP_CONNECTED, ESTABLISHED);

    (void)state;
    e.time_ns = e.open_ns;
    has(line_of(&f, &e), "{\"type\":\"event\",\"record\":\"tcp-event\",\"time_us\":102000,"
                         "\"event\":\"connect\"");
    has(f.out.data, "\"connect_us\":2000}");
    lacks(f.out.data, "tx_bytes");
    e = connection(EVENT_TCP_RETRANSMITTED, ESTABLISHED);
    e.retransmits = 4;
    has(line_of(&f, &e), "\"event\":\"retransmit\"");
    has(f.out.data, "\"retransmits\":4,\"state\":\"open\"}");
    e = connection(EVENT_TCP_ENDED, FIN_WAIT2);
    has(line_of(&f, &e), "\"event\":\"close\"");
    has(rest(&f), "\"tcp\":{\"opened\":1,\"closed\":1,\"failed\":0");
    assert_int_equal(tcp_records.shown(f.records), 3);
    end(&f);
}

static void connects_are_counted_over_time(void **state)
{
    struct fixture f = begin(false, "web1");
    struct event_tcp a = connection(EVENT_TCP_ENDED, FIN_WAIT2), b = a;
    const char *lines;

    (void)state;
    b.born_ns += 250 * MS;
    b.open_ns += 250 * MS;
    feed(&f, &a);
    feed(&f, &b);
    lines = rest(&f);
    has(lines, "{\"type\":\"histogram\",\"histogram\":\"tcp\",\"state\":\"connect\","
               "\"unit\":\"microseconds\",\"count\":2,\"sum\":4000");
    has(lines, "\"state\":\"life\",\"unit\":\"microseconds\",\"count\":2");
    has(lines, "\"state\":\"rtt\",\"unit\":\"microseconds\",\"count\":2,\"sum\":180");
    has(lines, "\"from_ms\":100,\"to_ms\":200,\"state\":\"connect\"");
    has(lines, "\"from_ms\":300,\"to_ms\":400,\"state\":\"connect\"");
    end(&f);
}

static void peers_are_summed_up(void **state)
{
    struct fixture f = begin(false, "web1");
    struct event_tcp e = connection(EVENT_TCP_ENDED, FIN_WAIT2);
    const char *lines;

    (void)state;
    e.peer_cgroup_id = 22;
    for (int i = 0; i < 3; i++) {
        e.lport++;
        feed(&f, &e);
    }
    e.kind = EVENT_TCP_FAILED;
    e.state = SYN_SENT;
    e.tx_bytes = e.rx_bytes = 0;
    feed(&f, &e);
    e = connection(EVENT_TCP_ENDED, FIN_WAIT2);
    e.flags = EVENT_TCP_IN;
    for (int i = 0; i < 2; i++) {
        e.rport++; /* clients' ports differ */
        feed(&f, &e);
    }
    lines = rest(&f);
    has(lines, "{\"type\":\"record\",\"record\":\"tcp-peer\",\"raddr\":\"10.0.0.3\",\"rport\":6379,"
               "\"peer\":\"cache1\",\"direction\":\"out\",\"connections\":4,\"failed\":1,"
               "\"tx_bytes\":1500,\"rx_bytes\":18000,\"retransmits\":0}");
    has(lines, "\"raddr\":\"10.0.0.3\",\"direction\":\"in\",\"connections\":2,\"failed\":0");
    end(&f);
}

static void peers_beyond_the_table_are_summed_up_together(void **state)
{
    struct fixture f = begin(false, "web1");
    struct event_tcp e = connection(EVENT_TCP_ENDED, FIN_WAIT2);
    const char *lines;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 1500; i++) {
        e.raddr[14] = (uint8_t)(i >> 8);
        e.raddr[15] = (uint8_t)i;
        feed(&f, &e);
    }
    lines = rest(&f);
    for (const char *at = lines; (at = strstr(at, "\"tcp-peer\"")); at++)
        n++;
    assert_int_equal(n, 1001);
    has(lines, "{\"type\":\"record\",\"record\":\"tcp-peer\",\"others\":true,"
               "\"direction\":\"out\",\"connections\":500,\"failed\":0,\"tx_bytes\":250000");
    end(&f);
}

static void an_event_that_is_cut_short_is_an_error(void **state)
{
    struct fixture f = begin(false, "web1");
    struct event_tcp e = connection(EVENT_TCP_ENDED, FIN_WAIT2);

    (void)state;
    assert_int_equal(tcp_records.event(f.records, &e, sizeof(e) - 1, &f.out), -EINVAL);
    assert_int_equal(tcp_records.shown(f.records), 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_ends_is_a_line),
        cmocka_unit_test(names_from_outside_are_escaped),
        cmocka_unit_test(addresses_are_written_as_people_do),
        cmocka_unit_test(what_is_not_known_is_absent),
        cmocka_unit_test(how_it_ended),
        cmocka_unit_test(those_that_are_open_come_at_the_end),
        cmocka_unit_test(events_are_told_one_by_one),
        cmocka_unit_test(connects_are_counted_over_time),
        cmocka_unit_test(peers_are_summed_up),
        cmocka_unit_test(peers_beyond_the_table_are_summed_up_together),
        cmocka_unit_test(an_event_that_is_cut_short_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
