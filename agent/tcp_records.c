/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of the `tcp` view: a line for each connection when it ends, or for each event; then
 * those that are open at the end, histograms, and the peers that there were.
 */
#include "agent/histogram.h"
#include "agent/probe_tcp.h"
#include "agent/tcp_lines.h"
#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 1000u
#define SLICES_MAX 4096u

enum quantity { CONNECT, RTT, LIFE, QUANTITY_COUNT };

/* Of connects, over time. */
struct slice {
    uint32_t number;
    struct histogram h;
};

struct records {
    struct records_setup setup;
    uint64_t shown;
    uint64_t opened, closed, failed, before, open, missed;

    struct histogram totals[QUANTITY_COUNT];
    struct table *slices;      /* number -> struct slice */
    struct table *peers;       /* struct tcp_peer_key -> struct tcp_peer */
    struct tcp_peer others[2]; /* without a place in the table, by direction */
    struct buf rest;           /* of struct event_tcp: open at the end */
    size_t rest_at;            /* delivering */
    unsigned total_at, others_at;
    size_t slice_cursor, peer_cursor;
};

static void tcp_free(struct records *r)
{
    if (!r)
        return;
    table_free(r->slices);
    table_free(r->peers);
    buf_free(&r->rest);
    free(r);
}
DEFINE_FREEP(struct records, tcp_free)

static int tcp_new(const struct records_setup *setup, struct records **ret)
{
    _cleanup_(tcp_freep) struct records *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    r->setup = *setup;
    if (table_new(&r->slices, free) < 0 || table_new(&r->peers, free) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(r);
    return 0;
}

/* ---- sums ---- */

static void add_value(struct histogram *h, uint64_t ns)
{
    uint64_t us = ns / 1000;

    histogram_add(h, histogram_bucket(us), 1, us, us);
}

static void add_slice(struct records *r, const struct event_tcp *e)
{
    uint64_t since = e->open_ns > r->setup.started_ns ? e->open_ns - r->setup.started_ns : 0;
    uint32_t number = (uint32_t)MIN(since / MAX(r->setup.slice_ns, 1ull), SLICES_MAX - 1ull);
    struct slice *s = table_get(r->slices, &number, sizeof(number));

    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s || table_put(r->slices, &number, sizeof(number), s) < 0) {
            free(s);
            return;
        }
        s->number = number;
    }
    add_value(&s->h, tcp_connect_ns(e));
}

static void add_connect(struct records *r, const struct event_tcp *e)
{
    if (!tcp_connect_ns(e))
        return;
    add_value(&r->totals[CONNECT], tcp_connect_ns(e));
    add_slice(r, e);
}

static struct tcp_peer *peer_of(struct records *r, const struct event_tcp *e)
{
    bool in = e->flags & EVENT_TCP_IN;
    struct tcp_peer_key key = {.peer = tcp_peer_name(&r->setup, e)};
    struct tcp_peer *p;

    memcpy(key.raddr, e->raddr, sizeof(key.raddr));
    key.rport = in ? 0 : e->rport;
    key.in = in;
    p = table_get(r->peers, &key, sizeof(key));
    if (p || table_count(r->peers) >= PEERS_MAX)
        return p ? p : &r->others[in];
    p = calloc(1, sizeof(*p));
    if (!p || table_put(r->peers, &key, sizeof(key), p) < 0) {
        free(p);
        return &r->others[in];
    }
    return p;
}

/* A connection's last word: what its whole life was. */
static void sum_up(struct records *r, const struct event_tcp *e)
{
    struct tcp_peer *p = peer_of(r, e);

    p->connections++;
    p->failed += e->kind == EVENT_TCP_FAILED;
    p->tx_bytes += e->tx_bytes;
    p->rx_bytes += e->rx_bytes;
    p->retransmits += e->retransmits;
    if (e->rtt_us)
        add_value(&r->totals[RTT], e->rtt_us * 1000ull);
    if (e->kind == EVENT_TCP_ENDED && e->born_ns)
        add_value(&r->totals[LIFE], tcp_life_ns(&r->setup, e));
}

static void count(struct records *r, const struct event_tcp *e)
{
    switch (e->kind) {
    case EVENT_TCP_CONNECTED:
    case EVENT_TCP_ACCEPTED:
        r->opened++;
        add_connect(r, e);
        return;
    case EVENT_TCP_FAILED:
        r->failed++;
        break;
    case EVENT_TCP_ENDED:
        r->closed++;
        break;
    case EVENT_TCP_OPEN:
        r->open++;
        break;
    default:
        return;
    }
    sum_up(r, e);
    if (e->flags & EVENT_TCP_BEFORE)
        r->before++;
    if (r->setup.events || e->kind == EVENT_TCP_FAILED)
        return;
    if (!(e->flags & EVENT_TCP_BEFORE))
        r->opened++;
    add_connect(r, e);
}

static int tcp_event(struct records *r, const void *event, size_t size, struct buf *out)
{
    struct event_tcp e;

    if (size < sizeof(e))
        return -EINVAL;
    memcpy(&e, event, sizeof(e));
    count(r, &e);
    if (r->setup.events)
        tcp_add_event(&r->setup, &e, out);
    else
        tcp_add_row(&r->setup, &e, out);
    r->shown++;
    return 0;
}

static int tcp_finish(struct records *r, struct probe *p)
{
    struct event_tcp e;

    probe_tcp_take_open(p, &r->rest);
    r->missed = probe_tcp_missed(p);
    for (size_t at = 0; at + sizeof(e) <= r->rest.size; at += sizeof(e)) {
        memcpy(&e, r->rest.data + at, sizeof(e));
        count(r, &e);
        r->shown++;
    }
    return 0;
}

/* ---- lines at the end ---- */

static bool next_open(struct records *r, struct buf *out)
{
    struct event_tcp e;

    if (r->rest_at + sizeof(e) > r->rest.size)
        return false;
    memcpy(&e, r->rest.data + r->rest_at, sizeof(e));
    r->rest_at += sizeof(e);
    tcp_add_row(&r->setup, &e, out);
    return true;
}

static void add_histogram(const struct histogram *h, enum quantity q, struct buf *out)
{
    static const char *const names[QUANTITY_COUNT] = {
        [CONNECT] = "connect", [RTT] = "rtt", [LIFE] = "life"};

    buf_addf(out, ",\"state\":\"%s\",\"unit\":\"microseconds\",", names[q]);
    histogram_add_json(h, out);
    buf_adds(out, "}\n");
}

static bool next_total(struct records *r, struct buf *out)
{
    while (r->total_at < QUANTITY_COUNT && !r->totals[r->total_at].count)
        r->total_at++;
    if (r->total_at == QUANTITY_COUNT)
        return false;
    buf_adds(out, "{\"type\":\"histogram\",\"histogram\":\"tcp\"");
    add_histogram(&r->totals[r->total_at], r->total_at, out);
    r->total_at++;
    return true;
}

static bool next_slice(struct records *r, struct buf *out)
{
    const struct slice *s = table_next(r->slices, &r->slice_cursor, NULL, NULL);
    uint64_t slice_ms = r->setup.slice_ns / NS_PER_MS;

    if (!s)
        return false;
    buf_addf(out, "{\"type\":\"histogram\",\"histogram\":\"tcp\",\"from_ms\":%llu,\"to_ms\":%llu",
             (unsigned long long)(s->number * slice_ms),
             (unsigned long long)((s->number + 1) * slice_ms));
    add_histogram(&s->h, CONNECT, out);
    return true;
}

static bool next_peer(struct records *r, struct buf *out)
{
    const void *bytes;
    size_t size;
    const struct tcp_peer *p = table_next(r->peers, &r->peer_cursor, &bytes, &size);
    struct tcp_peer_key key;

    if (p) {
        memcpy(&key, bytes, sizeof(key));
        tcp_add_peer(&key, key.in, p, out);
        return true;
    }
    while (r->others_at < ARRAY_SIZE(r->others) && !r->others[r->others_at].connections)
        r->others_at++;
    if (r->others_at == ARRAY_SIZE(r->others))
        return false;
    tcp_add_peer(NULL, r->others_at, &r->others[r->others_at], out);
    r->others_at++;
    return true;
}

static bool tcp_next(struct records *r, struct buf *out)
{
    return next_open(r, out) || next_total(r, out) || next_slice(r, out) || next_peer(r, out);
}

static uint64_t tcp_shown(const struct records *r)
{
    return r->shown;
}

static void tcp_quality(const struct records *r, struct buf *out)
{
    buf_addf(out,
             ",\"tcp\":{\"opened\":%llu,\"closed\":%llu,\"failed\":%llu,\"open_before\":%llu,"
             "\"open_at_end\":%llu,\"missed\":%llu}",
             (unsigned long long)r->opened, (unsigned long long)r->closed,
             (unsigned long long)r->failed, (unsigned long long)r->before,
             (unsigned long long)r->open, (unsigned long long)r->missed);
}

extern const struct records_ops tcp_records;
const struct records_ops tcp_records = {
    .kind = "tcp",
    .events_kind = "tcp-event",
    .new = tcp_new,
    .free = tcp_free,
    .event = tcp_event,
    .finish = tcp_finish,
    .next = tcp_next,
    .shown = tcp_shown,
    .quality = tcp_quality,
};
