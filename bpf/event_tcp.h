/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the programs of the `tcp` view tell user space; see bpf/event.h for the rules.
 */
#pragma once

#include "bpf/event.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

enum event_tcp_kind {
    EVENT_TCP_CONNECTED,
    EVENT_TCP_ACCEPTED,
    EVENT_TCP_ENDED,  /* however: error and state tell */
    EVENT_TCP_FAILED, /* never came about */
    EVENT_TCP_RESET_SENT,
    EVENT_TCP_RESET_RECEIVED,
    EVENT_TCP_RETRANSMITTED,
    EVENT_TCP_OPEN, /* at the capture's end */
    EVENT_TCP_KIND_COUNT,
};

enum event_tcp_flags {
    EVENT_TCP_IN = 1,     /* accepted, not connected */
    EVENT_TCP_BEFORE = 2, /* was open before the capture */
};

/* A connection at some moment. Ports and numbers are in host order, addresses in the network's,
 * IPv4 mapped into IPv6. */
struct event_tcp {
    event_u64 time_ns;            /* CLOCK_MONOTONIC, as the others; 0: not known */
    event_u64 born_ns;            /* the connect, or the accepting */
    event_u64 open_ns;            /* when both sides knew of it */
    event_u64 tx_bytes, rx_bytes; /* of the application, over its whole life; sent: acknowledged */
    event_u64 cgroup_id, peer_cgroup_id; /* v2; 0: not known */
    event_u32 tgid, ns_tgid;             /* 0: not known */
    event_u32 peer_tgid;
    event_u32 rtt_us; /* smoothed */
    event_u32 retransmits;
    event_u32 error; /* errno */
    event_u8 laddr[16], raddr[16];
    event_u16 lport, rport;
    event_u8 kind;  /* enum event_tcp_kind */
    event_u8 state; /* of the socket, before it ended; include/net/tcp_states.h */
    event_u8 flags; /* enum event_tcp_flags */
    event_u8 padding;
    char comm[EVENT_COMM_SIZE];
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct event_tcp) == 136, "event_tcp");
