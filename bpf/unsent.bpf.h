/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connects that ended before there was anything to send: no way to go, or no port to go from.
 *
 * A socket that finds no way does not change its state, and the only hook that would see the
 * connect fail is the end of every system call. But the socket remembers where it was to go (see
 * tcp_v4_connect() and tcp_v6_connect()), which is read when it goes away.
 */
#pragma once

#include "bpf/connection.bpf.h"

#define ENETUNREACH 101
#define EADDRNOTAVAIL 99

/* A socket that has sent begins its sequence somewhere at random. This one has not, or
 * tcp_disconnect() has moved it on from zero. */
#define SEQUENCE_UNUSED_MAX 2

static __always_inline int has_sent(const struct tcp_sock *tp)
{
    return tp->write_seq > SEQUENCE_UNUSED_MAX;
}

/* Once there is a way, the socket has the address itself. */
static __always_inline __u32 wanted_ipv4(const struct sock *sk, __u16 *port)
{
    const struct inet_sock *inet = (const struct inet_sock *)sk;

    if (sk->__sk_common.skc_daddr)
        return 0;
    *port = BPF_CORE_READ(inet, cork.fl.u.ip4.uli.ports.dport);
    return BPF_CORE_READ(inet, cork.fl.u.ip4.daddr);
}

/* Fills in where it was to go. False: nowhere. Of IPv6 the address alone is kept. */
static __always_inline int fill_wanted(const struct sock *sk, struct event_tcp *e)
{
    __u32 *to = (__u32 *)e->raddr, mapped = bpf_htonl(0xffff);
    __u16 port = 0;

    e->rport = 0;
    if (sk->__sk_common.skc_family == AF_INET6) {
        bpf_core_read(to, 16, &sk->__sk_common.skc_v6_daddr);
        if (to[0] || to[1] || (to[2] && to[2] != mapped) || (!to[2] && to[3]))
            return 1;
    }
    to[0] = to[1] = 0;
    to[2] = mapped;
    to[3] = wanted_ipv4(sk, &port);
    e->rport = bpf_ntohs(port);
    return to[3] != 0;
}

/* Why a connect failed that the socket has no error of: no port was free, or who connected gave up.
 */
static __always_inline __u32 error_of_failed(struct sock *sk)
{
    struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

    return tp && !has_sent(tp) ? EADDRNOTAVAIL : 0;
}

/* What there is to tell of a socket that never was followed. False: nothing, or somebody has told.
 * task: whose it is; NULL: not known. */
static __always_inline int take_unsent(struct sock *sk, struct task_struct *task,
                                       struct event_tcp *e)
{
    struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
    struct connection c = {.flags = CONNECTION_OWNED}, *kept;

    if (!tp || has_sent(tp))
        return 0;
    c.born_ns = bpf_ktime_get_ns();
    if (task)
        c.who = who_is(task);
    fill_event(e, tp, &c, TCP_SYN_SENT);
    if (!fill_wanted(sk, e))
        return 0;
    e->kind = EVENT_TCP_FAILED;
    e->error = ENETUNREACH;
    e->time_ns = c.born_ns;
    kept = bpf_sk_storage_get(&connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    return kept && claim(kept);
}
