/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whose the other end of a connection is, when it is a socket of this host.
 *
 * The target marks its local ports and its addresses. Whoever comes to be connected to such a place
 * leaves a note of who it is under its own addresses, which the target's end looks up the other way
 * round. All others pay for looking at one byte.
 */
#pragma once

#include "bpf/socket.bpf.h"

/* 1: the target is several containers, of which some may talk to each other. */
const volatile __u8 has_several = 0;

struct peer_key {
    __u32 laddr[4], raddr[4];
    __u64 net; /* of loopback addresses, which every network has; else 0 */
    __u16 lport, rport;
    __u32 padding;
};

struct peer {
    __u64 cgroup_id;
    __u32 tgid, padding;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct peer_key);
    __type(value, struct peer);
} peers SEC(".maps");

__u8 ports[65536] = {}; /* 1: a local port of the target's sockets */

/* 6.1's verifier does not know that a number of 16 bits in another order has 16 bits. */
static __always_inline __u8 *mark_of(__u64 port)
{
    asm volatile("" : "+r"(port));
    return &ports[port & 0xffff];
}

/* Somebody else of the target may have the same port when it is unmarked: then a peer may stay
 * without a name. */
static __always_inline void mark_port(__u16 port, __u8 mark)
{
    *mark_of(port) = mark;
}

static __always_inline int port_is_marked(__u16 port)
{
    return *mark_of(port);
}

static __always_inline int is_loopback(const __u32 *address)
{
    if (address[0] || address[1])
        return 0;
    if (address[2] == bpf_htonl(0xffff))
        return (address[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
    return address[2] == 0 && address[3] == bpf_htonl(1);
}

static __always_inline __u64 network_of(const struct sock *sk, const __u32 *address)
{
    return is_loopback(address) ? (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net) : 0;
}

/* Addresses that the target's sockets have had; of loopback: their networks. */
struct place {
    __u32 address[4];
    __u64 net;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct place);
    __type(value, __u8);
} places SEC(".maps");

static __always_inline struct place place_of(const struct sock *sk, const __u32 *address)
{
    struct place place = {.net = network_of(sk, address)};

    if (!place.net)
        __builtin_memcpy(place.address, address, sizeof(place.address));
    return place;
}

static __always_inline void add_place(const struct place *place)
{
    __u8 one = 1;

    if (!bpf_map_lookup_elem(&places, place))
        bpf_map_update_elem(&places, place, &one, BPF_ANY);
}

/* The socket's end is a place of the target's. */
static __always_inline void note_place(const struct sock *sk)
{
    __u32 local[4], remote[4];
    struct place place;

    mark_port(socket_local_port(sk), 1);
    socket_addresses(sk, local, remote);
    place = place_of(sk, local);
    add_place(&place);
}

/* Ports are often the same where addresses are not, and a server's address is seen when the first
 * client has come: those that go to unknown addresses may leave a note, but so many a second. */
#define STRANGERS_MAX 1000
#define STRANGERS_NS 1000000000ull

__u64 strangers_since = 0;
__u32 strangers = 0;

static __always_inline int may_be_unknown(void)
{
    __u64 now = bpf_ktime_get_ns();

    if (now - strangers_since > STRANGERS_NS) {
        strangers_since = now;
        strangers = 0;
    }
    return ++strangers < STRANGERS_MAX;
}

/* The socket has become connected; if to the target, it leaves a note. tgid may be 0. */
static __always_inline void note_peer(const struct sock *sk, __u32 tgid)
{
    struct peer_key key = {.rport = socket_remote_port(sk)};
    struct peer who = {.tgid = tgid};
    struct place place;

    if (!port_is_marked(key.rport))
        return;
    socket_addresses(sk, key.laddr, key.raddr);
    place = place_of(sk, key.raddr);
    if (!bpf_map_lookup_elem(&places, &place) && (place.net || !may_be_unknown()))
        return;
    key.lport = socket_local_port(sk);
    key.net = network_of(sk, key.laddr);
    who.cgroup_id = socket_cgroup(sk);
    bpf_map_update_elem(&peers, &key, &who, BPF_ANY);
}

static __always_inline int is_same(const __u32 *a, const __u32 *b)
{
    return a[3] == b[3] && a[2] == b[2] && a[1] == b[1] && a[0] == b[0];
}

/* Who noted itself at the other end. Who is in the same network and has not is the target itself,
 * whose sockets leave no notes unless the target is several. */
static __always_inline struct peer find_peer(const struct sock *sk, const __u32 *laddr,
                                             const __u32 *raddr, __u16 lport, __u16 rport)
{
    struct peer_key key = {.lport = rport, .rport = lport, .net = network_of(sk, raddr)};
    struct peer *found, peer = {};

    __builtin_memcpy(key.laddr, raddr, sizeof(key.laddr));
    __builtin_memcpy(key.raddr, laddr, sizeof(key.raddr));
    found = bpf_map_lookup_elem(&peers, &key);
    if (found)
        return *found;
    if (!has_several && (key.net || is_same(laddr, raddr)))
        peer.cgroup_id = socket_cgroup(sk);
    return peer;
}
