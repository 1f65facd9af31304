/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the `tcp` view's programs tell, in words: lines of the stream, as docs/protocol.md has them.
 *
 * Keeps nothing. For agent/tcp_records.c, which sums up.
 */
#pragma once

#include "agent/records.h"
#include "bpf/event_tcp.h"

/* The other end, as a summary tells peers apart. */
struct tcp_peer_key {
    const char *peer; /* its container, borrowed; or NULL */
    uint8_t raddr[16];
    uint32_t rport; /* 0: those of clients, which have one a connection */
    uint32_t in;    /* they connect to the target */
};

struct tcp_peer {
    uint64_t connections, failed; /* failed ones are counted in both */
    uint64_t tx_bytes, rx_bytes, retransmits;
};

/* A connection that ended or is still open. */
void tcp_add_row(const struct records_setup *s, const struct event_tcp *e, struct buf *out);

/* Something that happened to one. */
void tcp_add_event(const struct records_setup *s, const struct event_tcp *e, struct buf *out);

/* key NULL: of all others together; in: of those that connect to the target. */
void tcp_add_peer(const struct tcp_peer_key *key, bool in, const struct tcp_peer *p,
                  struct buf *out);

/* How long it took, in nanoseconds; 0: not known. */
uint64_t tcp_connect_ns(const struct event_tcp *e);
uint64_t tcp_life_ns(const struct records_setup *s, const struct event_tcp *e);

/* The container at the other end, or NULL. Borrowed. */
const char *tcp_peer_name(const struct records_setup *s, const struct event_tcp *e);
