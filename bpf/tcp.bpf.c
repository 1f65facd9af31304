// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The lives of the target's TCP connections: the `tcp` view.
 *
 * Sockets change their state a handful of times in a life, which is all that is looked at: what
 * goes through a connection costs nothing.
 */
#include "bpf/unsent.bpf.h"

/* Which of the looks at all open files this is. */
enum { LOOK_TARGET, LOOK_PEERS, LOOK_LAST, LOOK_OPEN };

__u32 look = LOOK_TARGET;

/* ---- following ---- */

/* Begins to follow it. NULL: there is no room for another one, which is counted. */
static __always_inline struct connection *follow(struct sock *sk, __u32 flags)
{
    struct connection *c = NULL;
    __u64 lost = EVENT_LOST_OPEN_FULL;

    if (open_count < OPEN_MAX)
        c = bpf_sk_storage_get(&connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!c) {
        left_out = 1;
        count_taken(&lost);
        return NULL;
    }
    __builtin_memset(c, 0, sizeof(*c));
    c->flags = flags;
    __sync_fetch_and_add(&open_count, 1);
    return c;
}

/* False when somebody else has told of it. */
static __always_inline int forget(struct sock *sk, struct connection *c)
{
    __u64 address = (__u64)sk;

    if (!claim(c))
        return 0;
    __sync_fetch_and_add(&open_count, -1);
    if (!tell_events)
        bpf_map_delete_elem(&without_file, &address);
    return 1;
}

/* It may be that no file leads to it from here on. */
static __always_inline void note_without_file(struct sock *sk, struct connection *c, int state)
{
    struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
    __u64 address = (__u64)sk, lost = EVENT_LOST_OPEN_FULL;
    struct event_tcp e;

    if (tell_events || !tp)
        return;
    fill_event(&e, tp, c, TCP_ESTABLISHED); /* the kernel's state is ahead: no FIN is sent yet */
    e.state = state;
    e.kind = EVENT_TCP_OPEN;
    if (bpf_map_update_elem(&without_file, &address, &e, BPF_ANY) != 0 && forget(sk, c))
        count_taken(&lost);
}

/* ---- beginnings ---- */

static __always_inline void begin_connect(struct sock *sk, __u64 now)
{
    struct connection *c = follow(sk, CONNECTION_OWNED);

    if (!c)
        return;
    c->born_ns = now;
    c->who = who_is(bpf_get_current_task_btf());
}

static __always_inline void on_connected(struct sock *sk, struct connection *c, __u64 now)
{
    if (!is_followed(c))
        return;
    c->open_ns = now;
    note_place(sk);
    if (tell_events)
        tell(sk, c, EVENT_TCP_CONNECTED, TCP_ESTABLISHED, 0, now);
}

static __always_inline void on_accepted(struct sock *sk, __u64 now)
{
    struct connection *c = follow(sk, CONNECTION_IN);

    if (!c)
        return;
    c->born_ns = c->open_ns = now;
    note_place(sk);
    if (sockets_have_owners())
        note_without_file(sk, c, TCP_ESTABLISHED);
    if (tell_events)
        tell(sk, c, EVENT_TCP_ACCEPTED, TCP_ESTABLISHED, 0, now);
}

/* ---- ends ---- */

/* The process closes it, or the half of it that it writes: it is the process's. */
static __always_inline void on_closing(struct sock *sk, struct connection *c)
{
    if (!is_followed(c) || (c->flags & CONNECTION_OWNED))
        return;
    if (!sockets_have_owners() && !current_is_target()) {
        forget(sk, c);
        return;
    }
    c->who = who_is(bpf_get_current_task_btf());
    c->flags |= CONNECTION_OWNED;
}

static __always_inline void on_half_closed(struct sock *sk, struct connection *c, int state)
{
    on_closing(sk, c);
    if (is_followed(c))
        note_without_file(sk, c, state);
}

static __always_inline void end(struct sock *sk, struct connection *c, int state, __u32 error,
                                __u64 now)
{
    int failed = state == TCP_SYN_SENT;

    if (!forget(sk, c))
        return;
    if (failed && !error)
        error = error_of_failed(sk);
    tell(sk, c, failed ? EVENT_TCP_FAILED : EVENT_TCP_ENDED, state, error, now);
}

static __always_inline void on_closed(struct sock *sk, struct connection *c, int state, __u64 now)
{
    __u32 error = sk->sk_err;

    if (c && !is_followed(c))
        return;
    if (!c) {
        /* It was open before, and no process had it. */
        if (sockets_have_owners() && !left_out && state != TCP_SYN_SENT && state != TCP_SYN_RECV &&
            state != TCP_LISTEN)
            tell(sk, NULL, EVENT_TCP_ENDED, state, error, now);
        return;
    }
    if (tell_events || c->flags & (CONNECTION_OWNED | CONNECTION_BEFORE)) {
        end(sk, c, state, error, now);
        return;
    }
    /* Whose it is will be seen when the process closes it. */
    c->ended_ns = now;
    c->error = error;
    c->state = state;
}

SEC("tp_btf/inet_sock_set_state")
int on_inet_sock_set_state(__u64 *ctx)
{
    struct sock *sk = (void *)ctx[0];
    int from = (int)ctx[1], to = (int)ctx[2];
    struct connection *c = NULL;

    /* Other states' ends tell more than their beginnings. */
    if (to == TCP_FIN_WAIT2 || to == TCP_CLOSE_WAIT || to == TCP_CLOSING || to == TCP_SYN_RECV)
        return 0;
    if (sk->sk_protocol != IPPROTO_TCP)
        return 0;
    if (sockets_have_owners() && !socket_is_target(sk)) {
        if (to == TCP_ESTABLISHED)
            note_peer(sk, 0);
        return 0;
    }
    if (to == TCP_LISTEN) {
        if (sockets_have_owners() || current_is_target())
            note_listener(sk, bpf_get_current_task_btf());
        return 0;
    }
    if (to == TCP_SYN_SENT) {
        if (sockets_have_owners() || current_is_target())
            begin_connect(sk, bpf_ktime_get_ns());
        return 0;
    }
    if (to == TCP_ESTABLISHED && (has_several || !sockets_have_owners()))
        note_peer(sk, 0);
    if (to == TCP_ESTABLISHED && from == TCP_SYN_RECV) {
        if (sockets_have_owners() || listener_of(sk))
            on_accepted(sk, bpf_ktime_get_ns());
        return 0;
    }
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (to == TCP_ESTABLISHED)
        on_connected(sk, c, bpf_ktime_get_ns());
    else if (to == TCP_CLOSE)
        on_closed(sk, c, from, bpf_ktime_get_ns());
    else
        on_half_closed(sk, c, to);
    return 0;
}

/* Its process lets go of it, which is right after the connect as a rule. */
static __always_inline void on_never_followed(struct sock *sk)
{
    struct task_struct *task = NULL;
    struct event_tcp e;

    if (sockets_have_owners() ? !socket_is_target(sk) : !current_is_target())
        return;
    if (current_is_target())
        task = bpf_get_current_task_btf();
    if (take_unsent(sk, task, &e))
        tell_copy(&e);
}

/* The last that is heard of a socket: of those that ended before their process closed them. */
SEC("tp_btf/tcp_destroy_sock")
int on_tcp_destroy_sock(__u64 *ctx)
{
    struct sock *sk = (void *)ctx[0];
    struct connection *c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    __u64 now;

    if (!c)
        on_never_followed(sk);
    if (!is_followed(c))
        return 0;
    on_closing(sk, c);
    if (!is_followed(c))
        return 0;
    now = bpf_ktime_get_ns();
    if (c->ended_ns)
        end(sk, c, c->state, c->error, c->ended_ns);
    else
        end(sk, c, TCP_CLOSE, 0, now);
    return 0;
}

/* ---- single events ---- */

static __always_inline void tell_of(struct sock *sk, __u32 kind)
{
    struct connection *c;

    if (!bpf_skc_to_tcp_sock(sk) || (sockets_have_owners() && !socket_is_target(sk)))
        return;
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (!c && !sockets_have_owners())
        return;
    tell(sk, c, kind, socket_state(sk), 0, bpf_ktime_get_ns());
}

const volatile __u8 retransmit_tells_error = 0; /* Linux 6.16: it tells of failed ones, too */

SEC("tp_btf/tcp_retransmit_skb")
int on_tcp_retransmit_skb(__u64 *ctx)
{
    if (retransmit_tells_error && (int)ctx[2])
        return 0;
    tell_of((struct sock *)ctx[0], EVENT_TCP_RETRANSMITTED);
    return 0;
}

SEC("tp_btf/tcp_send_reset")
int on_tcp_send_reset(__u64 *ctx)
{
    struct sock *sk = (void *)ctx[0];

    if (sk)
        tell_of(sk, EVENT_TCP_RESET_SENT);
    return 0;
}

SEC("tp_btf/tcp_receive_reset")
int on_tcp_receive_reset(__u64 *ctx)
{
    tell_of((struct sock *)ctx[0], EVENT_TCP_RESET_RECEIVED);
    return 0;
}

/* ---- what is open ---- */

static __always_inline int is_open(int state)
{
    return state == TCP_SYN_SENT || state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 ||
           state == TCP_FIN_WAIT2 || state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK ||
           state == TCP_CLOSING;
}

static __always_inline void look_at_own(struct sock *sk, struct task_struct *task)
{
    struct connection *c = bpf_sk_storage_get(&connections, sk, NULL, 0);

    if (!c && look == LOOK_TARGET) {
        c = follow(sk, CONNECTION_BEFORE);
        note_place(sk);
    }
    if (!is_followed(c))
        return;
    if (!(c->flags & CONNECTION_OWNED))
        c->who = who_is(task);
}

/* What the capture's end finds open, or ended and not closed yet. The programs above may see its
 * end meanwhile: one of the two tells. What finds no room is shown here again. */
static __always_inline void tell_open(struct seq_file *seq, struct sock *sk)
{
    struct connection *c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
    struct event_tcp e;

    if (!tp || !is_followed(c) || !forget(sk, c))
        return;
    fill_event(&e, tp, c, c->ended_ns ? c->state : socket_state(sk));
    e.time_ns = c->ended_ns ? c->ended_ns : bpf_ktime_get_ns();
    e.kind = c->ended_ns ? EVENT_TCP_ENDED : EVENT_TCP_OPEN;
    e.error = c->error;
    if (bpf_seq_write(seq, &e, sizeof(e)) == 0) {
        count_taken(NULL);
        return;
    }
    __sync_fetch_and_add(&open_count, 1);
    c->row = ROW_TORN;
}

/* Sockets that found no way, and are kept by their process. What failed before the capture is not
 * its own. */
static __always_inline void tell_unsent(struct seq_file *seq, struct sock *sk,
                                        struct task_struct *task)
{
    struct event_tcp e;

    if (bpf_sk_storage_get(&connections, sk, NULL, 0) || !take_unsent(sk, task, &e) ||
        look == LOOK_TARGET)
        return;
    if (bpf_seq_write(seq, &e, sizeof(e)) == 0)
        count_taken(NULL);
    else
        bpf_sk_storage_delete(&connections, sk); /* it is shown here again */
}

/* Whom a file belongs to tells whom its socket does. */
SEC("iter/task_file")
int on_task_file(struct bpf_iter__task_file *ctx)
{
    struct task_struct *task = ctx->task;
    struct file *file = ctx->file;
    struct socket *socket;
    struct sock *sk;
    int own, state;

    if (!task || !file)
        return 0;
    socket = bpf_sock_from_file(file);
    if (!socket)
        return 0;
    sk = socket->sk;
    if (!sk || !bpf_skc_to_tcp_sock(sk))
        return 0;
    state = socket_state(sk);
    own = sockets_have_owners() ? socket_is_target(sk) : task_is_target(task);
    if (own && state == TCP_LISTEN && look != LOOK_PEERS)
        note_listener(sk, task);
    if (own && state == TCP_CLOSE && (look == LOOK_TARGET || look == LOOK_OPEN))
        tell_unsent(ctx->meta->seq, sk, task);
    if (own && look == LOOK_OPEN)
        tell_open(ctx->meta->seq, sk);
    if (!is_open(state) || look == LOOK_OPEN)
        return 0;
    if (own && look != LOOK_PEERS)
        look_at_own(sk, task);
    if (look != LOOK_TARGET && (!own || has_several))
        note_peer(sk, task->tgid);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
