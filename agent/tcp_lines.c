/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tcp_lines.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* include/net/tcp_states.h */
enum { ESTABLISHED = 1, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT };

/* ---- words ---- */

/* As ss has them, but for the one that most are in. */
static const char *open_state(uint8_t state)
{
    static const char *const names[] = {
        NULL,        "open",   NULL,         "syn-recv", "fin-wait-1", "fin-wait-2",
        "time-wait", "closed", "close-wait", "last-ack", "listen",     "closing",
    };

    if (state == SYN_SENT)
        return "syn-sent";
    return state < ARRAY_SIZE(names) && names[state] ? names[state] : "open";
}

/* Why it failed or broke, or NULL. name: room for an errno's. */
static const char *reason_of(const struct event_tcp *e, char name[32])
{
    const char *known;

    switch (e->error) {
    case 0:
        return NULL;
    case ECONNREFUSED:
        return "refused";
    case ETIMEDOUT:
        return "timed-out";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "unreachable";
    case EADDRNOTAVAIL:
        return "no-port"; /* all of the range are in use for this destination */
    case ECONNRESET:
    case EPIPE: /* the kernel's word for a reset after the peer's end */
        return "reset";
    }
    known = strerrorname_np((int)e->error);
    if (known)
        snprintf(name, 32, "%s", known);
    else
        snprintf(name, 32, "errno %u", e->error);
    return name;
}

static const char *ended_state(const struct event_tcp *e)
{
    switch (e->error) {
    case 0:
        /* Without the ends that each side tells the other. */
        return e->state == ESTABLISHED || e->state == CLOSE_WAIT ? "reset" : "closed";
    case ECONNRESET:
    case EPIPE:
        return "reset";
    case ETIMEDOUT:
        return "timed-out";
    default:
        return "failed";
    }
}

static const char *event_word(uint8_t kind)
{
    static const char *const words[EVENT_TCP_KIND_COUNT] = {
        [EVENT_TCP_CONNECTED] = "connect",
        [EVENT_TCP_ACCEPTED] = "accept",
        [EVENT_TCP_ENDED] = "close",
        [EVENT_TCP_FAILED] = "connect-failed",
        [EVENT_TCP_RESET_SENT] = "reset-sent",
        [EVENT_TCP_RESET_RECEIVED] = "reset-received",
        [EVENT_TCP_RETRANSMITTED] = "retransmit",
        [EVENT_TCP_OPEN] = "open",
    };

    return kind < EVENT_TCP_KIND_COUNT ? words[kind] : "unknown";
}

const char *tcp_peer_name(const struct records_setup *s, const struct event_tcp *e)
{
    if (!e->peer_cgroup_id && !e->peer_tgid)
        return NULL;
    return s->container_of(s->data, e->peer_tgid, HIERARCHY_V2, e->peer_cgroup_id);
}

/* ---- times ---- */

uint64_t tcp_connect_ns(const struct event_tcp *e)
{
    bool known = !(e->flags & EVENT_TCP_IN) && e->born_ns && e->open_ns > e->born_ns;

    return known ? e->open_ns - e->born_ns : 0;
}

/* Of those that were open before: since the capture began. */
uint64_t tcp_life_ns(const struct records_setup *s, const struct event_tcp *e)
{
    uint64_t from = e->born_ns ? e->born_ns : s->started_ns;

    return e->time_ns > from ? e->time_ns - from : 0;
}

/* ---- lines ---- */

static void add_number(struct buf *out, const char *name, uint64_t n)
{
    buf_addf(out, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void add_text(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    buf_addf(out, ",\"%s\":", name);
    text_add_json(out, value);
}

static void add_address(struct buf *out, const char *name, const uint8_t address[16])
{
    char text[INET6_ADDRSTRLEN] = "";

    if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address))
        inet_ntop(AF_INET, address + 12, text, sizeof(text));
    else
        inet_ntop(AF_INET6, address, text, sizeof(text));
    buf_addf(out, ",\"%s\":\"%s\"", name, text);
}

static void add_who(const struct records_setup *s, const struct event_tcp *e, struct buf *out)
{
    char comm[EVENT_COMM_SIZE + 1] = "";

    memcpy(comm, e->comm, EVENT_COMM_SIZE);
    if (*comm)
        add_text(out, "comm", comm);
    if (e->tgid) {
        add_number(out, "pid", e->ns_tgid);
        add_number(out, "host_pid", e->tgid);
    }
    add_text(out, "container",
             s->target ? s->target : s->container_of(s->data, e->tgid, HIERARCHY_V2, e->cgroup_id));
}

/* What found no way to go has no end of its own, and the other one's port is not always known. */
static void add_ends(const struct records_setup *s, const struct event_tcp *e, struct buf *out)
{
    add_text(out, "direction", e->flags & EVENT_TCP_IN ? "in" : "out");
    if (e->lport) {
        add_address(out, "laddr", e->laddr);
        add_number(out, "lport", e->lport);
    }
    add_address(out, "raddr", e->raddr);
    if (e->rport)
        add_number(out, "rport", e->rport);
    add_text(out, "peer", tcp_peer_name(s, e));
}

static void add_bytes(const struct event_tcp *e, struct buf *out)
{
    add_number(out, "tx_bytes", e->tx_bytes);
    add_number(out, "rx_bytes", e->rx_bytes);
}

static void add_connect(const struct event_tcp *e, struct buf *out)
{
    if (tcp_connect_ns(e))
        add_number(out, "connect_us", tcp_connect_ns(e) / 1000);
}

static void add_state(const struct event_tcp *e, struct buf *out)
{
    char name[32];

    if (e->kind == EVENT_TCP_FAILED) {
        add_text(out, "state", "failed");
        add_text(out, "reason", e->error ? reason_of(e, name) : "abandoned");
    } else if (e->kind == EVENT_TCP_ENDED) {
        add_text(out, "state", ended_state(e));
        add_text(out, "reason", reason_of(e, name));
    } else {
        add_text(out, "state", open_state(e->state));
    }
    if (e->flags & EVENT_TCP_BEFORE)
        buf_adds(out, ",\"before\":true");
}

static void add_course(const struct records_setup *s, const struct event_tcp *e, struct buf *out)
{
    add_bytes(e, out);
    add_number(out, "duration_us", tcp_life_ns(s, e) / 1000);
    add_connect(e, out);
    if (e->rtt_us)
        add_number(out, "rtt_us", e->rtt_us);
    add_number(out, "retransmits", e->retransmits);
    add_state(e, out);
}

void tcp_add_row(const struct records_setup *s, const struct event_tcp *e, struct buf *out)
{
    buf_adds(out, "{\"type\":\"aggregate\",\"record\":\"tcp\"");
    add_who(s, e, out);
    add_ends(s, e, out);
    add_course(s, e, out);
    buf_adds(out, "}\n");
}

void tcp_add_event(const struct records_setup *s, const struct event_tcp *e, struct buf *out)
{
    uint64_t at = e->time_ns > s->started_ns ? e->time_ns - s->started_ns : 0;

    buf_addf(out, "{\"type\":\"event\",\"record\":\"tcp-event\",\"time_us\":%llu,\"event\":\"%s\"",
             (unsigned long long)at / 1000, event_word(e->kind));
    add_who(s, e, out);
    add_ends(s, e, out);
    if (e->kind == EVENT_TCP_CONNECTED)
        add_connect(e, out);
    else if (e->kind != EVENT_TCP_ACCEPTED)
        add_course(s, e, out);
    buf_adds(out, "}\n");
}

void tcp_add_peer(const struct tcp_peer_key *key, bool in, const struct tcp_peer *p,
                  struct buf *out)
{
    buf_adds(out, "{\"type\":\"record\",\"record\":\"tcp-peer\"");
    if (key) {
        add_address(out, "raddr", key->raddr);
        if (key->rport)
            add_number(out, "rport", key->rport);
        add_text(out, "peer", key->peer);
    } else {
        buf_adds(out, ",\"others\":true");
    }
    add_text(out, "direction", in ? "in" : "out");
    add_number(out, "connections", p->connections);
    add_number(out, "failed", p->failed);
    add_number(out, "tx_bytes", p->tx_bytes);
    add_number(out, "rx_bytes", p->rx_bytes);
    add_number(out, "retransmits", p->retransmits);
    buf_adds(out, "}\n");
}
