/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The few fields of the kernel's sockets that our programs read, and what they say of a TCP socket.
 * Written by hand as in bpf/kernel.bpf.h.
 */
#pragma once

#include "bpf/filter.bpf.h"

#include <bpf/bpf_endian.h>

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define SOCK_DONE 1 /* enum sock_flags: the peer will send nothing more */

/* include/net/tcp_states.h; told to user space as they are. */
enum {
    TCP_ESTABLISHED = 1,
    TCP_SYN_SENT,
    TCP_SYN_RECV,
    TCP_FIN_WAIT1,
    TCP_FIN_WAIT2,
    TCP_TIME_WAIT,
    TCP_CLOSE,
    TCP_CLOSE_WAIT,
    TCP_LAST_ACK,
    TCP_LISTEN,
    TCP_CLOSING,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net;

typedef struct {
    struct net *net;
} possible_net_t;

struct in6_addr {
    union {
        __u32 u6_addr32[4];
    } in6_u;
};

struct sock_common {
    __u32 skc_daddr, skc_rcv_saddr;
    __u16 skc_dport;
    unsigned short skc_family;
    volatile unsigned char skc_state;
    possible_net_t skc_net;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
    unsigned long skc_flags;
};

struct sock_cgroup_data {
    struct cgroup *cgroup;
};

struct sock {
    struct sock_common __sk_common;
    struct sock_cgroup_data sk_cgrp_data;
    __u16 sk_protocol;
    int sk_err;
};

/* Where a socket is to be routed to. It stays with the socket when that has no way to go. */
struct flowi_ports {
    __u16 dport;
};

union flowi_uli {
    struct flowi_ports ports;
};

struct flowi4 {
    __u32 daddr;
    union flowi_uli uli;
};

struct flowi {
    union {
        struct flowi4 ip4;
    } u;
};

struct inet_cork_full {
    struct flowi fl;
};

struct inet_sock {
    __u16 inet_sport;
    struct inet_cork_full cork;
};

struct tcp_sock {
    __u64 bytes_received, bytes_acked;
    __u32 write_seq, snd_una;
    __u32 srtt_us; /* eighths of a microsecond */
    __u32 total_retrans;
};

struct socket {
    struct sock *sk;
};

struct file;
struct sk_buff;

struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    struct file *file;
};

#pragma clang attribute pop

static __always_inline int socket_state(const struct sock *sk)
{
    return sk->__sk_common.skc_state;
}

/* Whether sockets belong to whom their cgroup does. Where the target is no v2 cgroup, or a few
 * processes, it is who holds them that counts. */
static __always_inline int sockets_have_owners(void)
{
    return filter_kind != EVENT_FILTER_CGROUP_V1 && !filter_tgids;
}

/* Where sockets have owners: whether it is the target, whoever runs here. */
static __always_inline int socket_is_target(const struct sock *sk)
{
    return filter_kind == EVENT_FILTER_ALL || cgroup_is_target(sk->sk_cgrp_data.cgroup);
}

static __always_inline __u64 socket_cgroup(const struct sock *sk)
{
    return BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
}

static __always_inline __u16 socket_local_port(const struct sock *sk)
{
    return bpf_ntohs(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
}

static __always_inline __u16 socket_remote_port(const struct sock *sk)
{
    return bpf_ntohs(sk->__sk_common.skc_dport);
}

/* Addresses of both kinds as 16 bytes: those of IPv4 as IPv6 maps them. */
static __always_inline void socket_addresses(const struct sock *sk, __u32 *local, __u32 *remote)
{
    if (sk->__sk_common.skc_family == AF_INET6) {
        bpf_core_read(local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
        bpf_core_read(remote, 16, &sk->__sk_common.skc_v6_daddr);
        return;
    }
    local[0] = local[1] = remote[0] = remote[1] = 0;
    local[2] = remote[2] = bpf_htonl(0xffff);
    local[3] = sk->__sk_common.skc_rcv_saddr;
    remote[3] = sk->__sk_common.skc_daddr;
}
