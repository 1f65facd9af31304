/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is kept of each connection of the target, and how it is told.
 *
 * It is kept with the socket and goes with it. Whatever the socket itself knows (addresses, bytes,
 * retransmits, round-trip time) is read only when there is something to tell.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/peer.bpf.h"

#include "bpf/event_tcp.h"

#define OPEN_MAX 65536
#define RING_BYTES (8u << 20)

const volatile __u8 tell_events = 0; /* each as it happens, instead of one a connection */

__u32 open_count = 0;
__u8 left_out = 0; /* 1: there was no room for some, so that who is not known is not a new one */

enum {
    CONNECTION_IN = EVENT_TCP_IN,
    CONNECTION_BEFORE = EVENT_TCP_BEFORE,
    CONNECTION_OWNED = 4, /* the process is known by what it did, not by who listened */
};

/* Whether its row has been told, which is whoever's who claims it first. */
enum {
    ROW_OPEN,
    ROW_TOLD,
    ROW_TORN, /* it was to be told, but there was no room: the next one tells it */
};

struct who {
    __u32 tgid, ns_tgid;
    char comm[EVENT_COMM_SIZE];
};

struct connection {
    __u64 born_ns, open_ns;
    __u64 ended_ns; /* it has ended, but its process is not known yet */
    struct who who;
    __u32 flags;
    __u32 error;
    __u32 state; /* when it ended */
    __u32 row;   /* ROW_OPEN, … */
};

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct connection);
} connections SEC(".maps");

/* Those that no file leads to at the capture's end, as they were when that began: not accepted yet,
 * or closed and not gone. The rest has files, by which they are found (some kernels do not let a
 * program go through a map like the one above). Keyed by the socket's address. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, OPEN_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct event_tcp);
} without_file SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, RING_BYTES);
} ring SEC(".maps");

/* Which process of the target listens at a port of a network. */
struct listener_key {
    __u64 net;
    __u64 port;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct listener_key);
    __type(value, struct who);
} listeners SEC(".maps");

static __always_inline struct who who_is(struct task_struct *task)
{
    struct who who = {.tgid = task->tgid};
    const __u64 *comm = (const __u64 *)&task->comm[0];

    who.ns_tgid = ns_pid_of(BPF_CORE_READ(task, group_leader));
    ((__u64 *)who.comm)[0] = comm[0];
    ((__u64 *)who.comm)[1] = comm[1];
    return who;
}

static __always_inline struct who *listener_of(const struct sock *sk)
{
    struct listener_key key = {.net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net),
                               .port = socket_local_port(sk)};

    return bpf_map_lookup_elem(&listeners, &key);
}

static __always_inline void note_listener(const struct sock *sk, struct task_struct *task)
{
    struct listener_key key = {.net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net),
                               .port = socket_local_port(sk)};
    const struct place loopback = {.net = key.net};
    struct who who = who_is(task);

    /* It may listen at all addresses, of which one is known. */
    note_place(sk);
    add_place(&loopback);
    bpf_map_update_elem(&listeners, &key, &who, BPF_ANY);
}

static __always_inline int is_followed(const struct connection *c)
{
    return c && c->row != ROW_TOLD;
}

/* True for one of those who ask at the same time. */
static __always_inline int claim(struct connection *c)
{
    return __sync_val_compare_and_swap(&c->row, ROW_OPEN, ROW_TOLD) == ROW_OPEN ||
           __sync_val_compare_and_swap(&c->row, ROW_TORN, ROW_TOLD) == ROW_TORN;
}

/* Programs interrupt each other: every count is one instruction. */
static __always_inline void count_taken(__u64 *lost)
{
    __u32 zero = 0;
    struct event_counters *c = bpf_map_lookup_elem(&counters, &zero);

    if (!c)
        return;
    if (!c->first_ns)
        c->first_ns = bpf_ktime_get_ns();
    __sync_fetch_and_add(&c->taken, 1);
    if (lost)
        __sync_fetch_and_add(&c->lost[*lost % EVENT_LOST_COUNT], 1);
}

/* ---- what the socket knows ---- */

/* Bytes of the application: SYN and FIN have a place in the sequence, and are counted by the kernel
 * where it was us who sent or received them. */
static __always_inline void fill_bytes(struct event_tcp *e, const struct tcp_sock *tp, int state)
{
    const struct sock *sk = (const struct sock *)tp;
    int fin_sent = state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_LAST_ACK ||
                   state == TCP_CLOSING;
    __u64 tx = tp->bytes_acked, rx = tp->bytes_received;

    if (tx && !(e->flags & EVENT_TCP_IN))
        tx--;
    if (tx && fin_sent && tp->snd_una == tp->write_seq)
        tx--;
    if (rx && sk->__sk_common.skc_flags >> SOCK_DONE & 1)
        rx--;
    e->tx_bytes = tx;
    e->rx_bytes = rx;
}

/* All but time, kind and error. c may be NULL: then it was open before, and nothing is known of it
 * but what its socket says. */
static __always_inline void fill_event(struct event_tcp *e, const struct tcp_sock *tp,
                                       const struct connection *c, int state)
{
    const struct sock *sk = (const struct sock *)tp;
    const struct who *who = c ? &c->who : NULL;
    __u32 flags = c ? c->flags : CONNECTION_BEFORE;
    struct peer peer;

    __builtin_memset(e, 0, sizeof(*e));
    if ((flags & CONNECTION_BEFORE) || !(flags & CONNECTION_OWNED)) {
        const struct who *listener = listener_of(sk);

        if (listener) {
            flags |= CONNECTION_IN;
            if (!who || !who->tgid)
                who = listener;
        }
    }
    if (who) {
        e->tgid = who->tgid;
        e->ns_tgid = who->ns_tgid;
        __builtin_memcpy(e->comm, who->comm, sizeof(e->comm));
    }
    if (c) {
        e->born_ns = c->born_ns;
        e->open_ns = c->open_ns;
    }
    e->flags = flags & (EVENT_TCP_IN | EVENT_TCP_BEFORE);
    e->state = state;
    e->lport = socket_local_port(sk);
    e->rport = socket_remote_port(sk);
    e->cgroup_id = socket_cgroup(sk);
    e->rtt_us = tp->srtt_us >> 3;
    e->retransmits = tp->total_retrans;
    socket_addresses(sk, (__u32 *)e->laddr, (__u32 *)e->raddr);
    fill_bytes(e, tp, state);
    if (state == TCP_SYN_SENT)
        return;
    peer = find_peer(sk, (__u32 *)e->laddr, (__u32 *)e->raddr, e->lport, e->rport);
    e->peer_cgroup_id = peer.cgroup_id;
    e->peer_tgid = peer.tgid;
}

/* ---- telling ---- */

static __always_inline struct event_tcp *new_event(void)
{
    struct event_tcp *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
    __u64 lost = EVENT_LOST_RING_FULL;

    count_taken(e ? NULL : &lost);
    return e;
}

/* The agent looks now and then; it is woken when it must hurry. */
static __always_inline void submit_event(struct event_tcp *e)
{
    __u64 waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);

    bpf_ringbuf_submit(e, waiting > RING_BYTES / 4 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void tell(struct sock *sk, const struct connection *c, __u32 kind, int state,
                                 __u32 error, __u64 now)
{
    int ends = kind == EVENT_TCP_ENDED || kind == EVENT_TCP_FAILED;
    struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
    struct event_tcp *e;

    if (!tp)
        return;
    e = new_event();
    if (!e)
        return;
    fill_event(e, tp, c, state);
    e->time_ns = now;
    e->kind = kind;
    e->error = error;
    if (ends && !(e->flags & EVENT_TCP_IN))
        mark_port(e->lport, 0);
    submit_event(e);
}

static __always_inline void tell_copy(const struct event_tcp *from)
{
    struct event_tcp *e = new_event();

    if (!e)
        return;
    *e = *from;
    submit_event(e);
}
