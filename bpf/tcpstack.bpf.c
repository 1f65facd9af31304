// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Where the target's threads connect, accept, send and receive, and what the kernel was at when it
 * sent something again: the `tcp` view's stacks.
 */
#include "bpf/socket.bpf.h"
#include "bpf/unwind.bpf.h"
#include "bpf/who.bpf.h"

const volatile __u8 by_bytes = 0; /* what rows weigh: bytes, or calls */

/* Of x86-64. */
#define NR_ACCEPT 43
#define NR_ACCEPT4 288

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct file___socket {
    void *private_data;
};

struct fdtable {
    unsigned int max_fds;
    struct file___socket **fd;
};

struct files_struct {
    struct fdtable *fdt;
};

struct task_struct___files {
    struct files_struct *files;
};

struct sk_buff___length {
    unsigned int len;
};

#pragma clang attribute pop

/* Who sent last: retransmits are the kernel's, at a time when anybody may be running. */
struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct event_key);
} owners SEC(".maps");

/* 1: a program of this CPU, interrupted by another one, is at the room for its stack. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} busy SEC(".maps");

static __always_inline int is_tcp(const struct sock *sk)
{
    __u16 family = sk->__sk_common.skc_family;

    return sk->sk_protocol == IPPROTO_TCP && (family == AF_INET || family == AF_INET6);
}

/* Returns 0, or which loss it was, plus one. */
static __always_inline int take(void *ctx, struct event_counters *c, struct event_key *key,
                                __u64 amount, int user, __u64 now)
{
    int lost = 0;

    if (user)
        lost = take_user_stack(ctx, NULL, c, now, &key->user_stack);
    if (!lost)
        lost = stack_take(ctx, SKIP_PROGRAM, 0, &key->kernel_stack);
    return lost ? lost : row_add(key, amount, now);
}

/* key: all but the stacks. user: the current thread is in the middle of it. Programs interrupt each
 * other: every count is one instruction. */
static __always_inline void count(void *ctx, struct event_key *key, __u64 amount, int user)
{
    __u32 zero = 0, *taken = bpf_map_lookup_elem(&busy, &zero);
    struct event_counters *c = bpf_map_lookup_elem(&counters, &zero);
    __u64 now = bpf_ktime_get_ns();
    int lost = 1 + EVENT_LOST_BUSY;

    if (!taken || !c)
        return;
    if (!c->first_ns)
        c->first_ns = now;
    if (!*taken) {
        *taken = 1;
        lost = take(ctx, c, key, amount, user, now);
        *taken = 0;
    }
    __sync_fetch_and_add(&c->taken, amount);
    __sync_fetch_and_add(&c->runs, 1);
    if (lost > 0 && lost <= EVENT_LOST_COUNT)
        __sync_fetch_and_add(&c->lost[lost - 1], amount);
    __sync_fetch_and_add(&c->run_ns, bpf_ktime_get_ns() - now);
}

static __always_inline void count_call(void *ctx, __u32 part, __u64 amount, struct sock *sk)
{
    struct event_key key = {.part = part}, *owner;

    fill_who(&key, bpf_get_current_task_btf());
    if (sk && part != EVENT_PART_RECEIVE) {
        owner = bpf_sk_storage_get(&owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
        if (owner)
            *owner = key;
    }
    count(ctx, &key, amount, 1);
}

SEC("tp_btf/inet_sock_set_state")
int on_connect(__u64 *ctx)
{
    struct sock *sk = (void *)ctx[0];

    if ((int)ctx[2] == TCP_SYN_SENT && is_tcp(sk) && current_is_target() && !by_bytes)
        count_call(ctx, EVENT_PART_CONNECT, 1, sk);
    return 0;
}

/* length: bytes, or a negative error. */
static __always_inline void count_transfer(__u64 *ctx, __u32 part)
{
    struct sock *sk = (void *)ctx[0];
    int length = (int)ctx[1];

    if (!is_tcp(sk) || !current_is_target() || (by_bytes && length <= 0))
        return;
    count_call(ctx, part, by_bytes ? (__u64)length : 1, sk);
}

SEC("tp_btf/sock_send_length")
int on_sock_send_length(__u64 *ctx)
{
    count_transfer(ctx, EVENT_PART_SEND);
    return 0;
}

SEC("tp_btf/sock_recv_length")
int on_sock_recv_length(__u64 *ctx)
{
    count_transfer(ctx, EVENT_PART_RECEIVE);
    return 0;
}

/* Whether the file that a system call has just made is a TCP socket; it is known to be a socket. */
static __always_inline int made_tcp(unsigned int fd)
{
    struct task_struct___files *task = (void *)bpf_get_current_task();
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    struct file___socket **files = BPF_CORE_READ(table, fd), *file = NULL;
    struct socket *socket;
    struct sock *sk;

    if (fd >= BPF_CORE_READ(table, max_fds))
        return 0;
    bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
    socket = BPF_CORE_READ(file, private_data);
    sk = BPF_CORE_READ(socket, sk);
    return BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

SEC("raw_tracepoint/sys_exit")
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
    const struct pt_regs___kernel *regs = (void *)ctx->args[0];
    long ret = (long)ctx->args[1];
    unsigned long nr;

    if (ret < 0 || !current_is_target())
        return 0;
    nr = BPF_CORE_READ(regs, orig_ax);
    if ((nr == NR_ACCEPT || nr == NR_ACCEPT4) && made_tcp((unsigned int)ret))
        count_call(ctx, EVENT_PART_ACCEPT, 1, NULL);
    return 0;
}

const volatile __u8 retransmit_tells_error = 0; /* Linux 6.16: it tells of failed ones, too */

SEC("tp_btf/tcp_retransmit_skb")
int on_tcp_retransmit_skb(__u64 *ctx)
{
    const struct sk_buff___length *skb = (void *)ctx[1];
    struct sock *sk = (void *)ctx[0];
    struct event_key key = {}, *owner;

    if ((retransmit_tells_error && (int)ctx[2]) || (sockets_have_owners() && !socket_is_target(sk)))
        return 0;
    owner = bpf_sk_storage_get(&owners, sk, NULL, 0);
    if (owner)
        key = *owner;
    else if (sockets_have_owners())
        key.cgroup_id = socket_cgroup(sk);
    else
        return 0;
    key.part = EVENT_PART_RETRANSMIT;
    count(ctx, &key, by_bytes ? BPF_CORE_READ(skb, len) : 1, 0);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
