/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/client.h"

#include "base/log.h"
#include "base/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u /* Linux 6.3 */
#endif

struct ask {
    struct ask *next;
    uint64_t ticket, deadline_ns;
    client_fn fn;
    void *data;
    int *fds; /* ours */
    size_t fd_count;
    struct wire_request head; /* the payload follows right behind it */
};

struct asks {
    struct ask *first, **last;
};

struct peer {
    struct client *client;
    enum client_peer which;
    int fd; /* -1: lost, and not replaced yet */
    struct source *source, *timer;
    struct asks waiting, sent, failing;
    unsigned sent_count;
    bool blocked; /* the socket takes no more just now */
    bool absent;  /* there is no such process */
    struct client_stats stats;
};

struct client {
    struct loop *loop;
    struct peer peers[CLIENT_PEER_COUNT];
    int monitor_fd;
    struct source *monitor_source;
    uint64_t last_ticket;
    uint32_t last_id;
    uint64_t buffer[RECORD_MAX / sizeof(uint64_t)]; /* one reply */
};

/* As much at a time as the process works on (workers.h), so that none waits there for long and a
 * container that hangs leaves room for the others. */
static const struct {
    const char *name;
    unsigned at_once, per_container;
    uint64_t deadline_ns; /* beyond its own deadline and grace: it is silent */
} limits[CLIENT_PEER_COUNT] = {
    [CLIENT_OPENER] = {"opener", 8, 4, 5 * NS_PER_SEC},
    [CLIENT_PARSER] = {"parser", 3, 2, 15 * NS_PER_SEC},
    [CLIENT_ATTACHER] = {"attacher", 4, 4, 15 * NS_PER_SEC},
    [CLIENT_FETCHER] = {"fetcher", 4, 4, 45 * NS_PER_SEC},
};

/* ---- lists of asks ---- */

static void asks_init(struct asks *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void asks_append(struct asks *list, struct ask *a)
{
    a->next = NULL;
    *list->last = a;
    list->last = &a->next;
}

/* Takes out the one that *at points to. */
static struct ask *asks_take(struct asks *list, struct ask **at)
{
    struct ask *a = *at;

    *at = a->next;
    if (list->last == &a->next)
        list->last = at;
    return a;
}

static void asks_move_all(struct asks *from, struct asks *to)
{
    if (!from->first)
        return;
    *to->last = from->first;
    to->last = from->last;
    asks_init(from);
}

static void ask_free(struct ask *a)
{
    for (size_t i = 0; i < a->fd_count; i++)
        if (a->fds[i] >= 0)
            close(a->fds[i]);
    free(a->fds);
    free(a);
}

/* ---- ends of asks ---- */

static void count(struct peer *p, enum wire_status status)
{
    p->stats.answered++;
    p->stats.timeouts += status == WIRE_TIMEOUT;
    p->stats.crashes += status == WIRE_CRASHED;
    p->stats.breaker += status == WIRE_BREAKER;
    p->stats.lost += status == WIRE_LOST;
    p->stats.pending--;
}

/* The ask is in no list any more. The callee may ask and cancel as it likes. */
static void finish(struct peer *p, struct ask *a, struct client_answer *answer)
{
    count(p, answer->status);
    a->fn(a->data, answer);
    for (size_t i = 0; i < answer->fd_count; i++)
        if (answer->fds[i] >= 0)
            close(answer->fds[i]);
    ask_free(a);
}

/* Ends all of them; those that the callees ask anew are not among them. */
static void fail_all(struct peer *p, struct asks *list)
{
    asks_move_all(list, &p->failing);
    while (p->failing.first)
        finish(p, asks_take(&p->failing, &p->failing.first),
               &(struct client_answer){.status = WIRE_LOST});
}

static void rearm(struct peer *p)
{
    if (p->fd >= 0)
        source_arm(p->timer, p->sent.first ? p->sent.first->deadline_ns : 0);
}

/* Gives the process up: what it was asked is lost, what waits gets a while for its successor. */
static void peer_lost(struct peer *p)
{
    source_free(TAKE_PTR(p->source));
    if (p->fd >= 0)
        close(TAKE_FD(p->fd));
    p->blocked = false;
    p->sent_count = 0;
    source_arm(p->timer, now_ns() + limits[p->which].deadline_ns);
    fail_all(p, &p->sent);
}

/* Tells the monitor, which kills it and sends a new socket. */
static void peer_silent(struct peer *p, const char *why)
{
    uint8_t byte = (uint8_t)p->which;

    log_warning("the %s %s: asking for a new one", limits[p->which].name, why);
    if (record_send(p->client->monitor_fd, &byte, sizeof(byte), NULL, 0, MSG_DONTWAIT) < 0)
        log_warning("the monitor does not listen");
    peer_lost(p);
}

/* ---- sending ---- */

static unsigned sent_for(const struct peer *p, uint64_t container)
{
    unsigned n = 0;

    for (const struct ask *a = p->sent.first; a; a = a->next)
        n += a->head.container == container;
    return n;
}

static void set_blocked(struct peer *p, bool blocked)
{
    if (p->blocked == blocked)
        return;
    p->blocked = blocked;
    source_set_events(p->source, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* 0, or what record_send() says. */
static int send_ask(struct peer *p, struct ask **at)
{
    struct ask *a = *at;
    int r = record_send(p->fd, &a->head, sizeof(a->head) + a->head.size, a->fds, a->fd_count,
                        MSG_DONTWAIT);

    if (r < 0)
        return r;
    asks_take(&p->waiting, at);
    for (size_t i = 0; i < a->fd_count; i++)
        close(TAKE_FD(a->fds[i]));
    a->deadline_ns = now_ns() + limits[p->which].deadline_ns;
    asks_append(&p->sent, a);
    p->sent_count++;
    return 0;
}

/* Sends what may go now. A broken socket is on_peer()'s to find, so that no ask's function is
 * called from within another ask. */
static void pump(struct peer *p)
{
    struct ask **at = &p->waiting.first;
    int r = 0;

    if (p->fd < 0 || p->blocked)
        return;
    while (*at && p->sent_count < limits[p->which].at_once) {
        uint64_t container = (*at)->head.container;

        if (container && sent_for(p, container) >= limits[p->which].per_container) {
            at = &(*at)->next;
            continue;
        }
        r = send_ask(p, at);
        if (r < 0)
            break;
    }
    rearm(p);
    if (r == -EAGAIN)
        set_blocked(p, true);
    else if (r < 0 && !p->sent.first)
        source_arm(p->timer, now_ns() + limits[p->which].deadline_ns);
}

/* ---- receiving ---- */

static struct ask *take_sent(struct peer *p, uint32_t id)
{
    for (struct ask **at = &p->sent.first; *at; at = &(*at)->next)
        if ((*at)->head.id == id) {
            p->sent_count--;
            return asks_take(&p->sent, at);
        }
    return NULL;
}

/* One record. false: nothing more to read, or the peer is lost. */
static bool receive(struct peer *p)
{
    const struct wire_reply *head = (const void *)p->client->buffer;
    int fds[RECORD_FDS];
    size_t fd_count = RECORD_FDS;
    ssize_t n = record_receive(p->fd, p->client->buffer, RECORD_MAX, fds, &fd_count, MSG_DONTWAIT);
    struct client_answer answer;
    struct ask *a;

    if (n == -EAGAIN)
        return false;
    if (n == 0 || n == -ECONNRESET) {
        peer_lost(p);
        return false;
    }
    answer = (struct client_answer){.fds = fds, .fd_count = n < 0 ? 0 : fd_count};
    if (n < (ssize_t)sizeof(*head) || head->size != (size_t)n - sizeof(*head)) {
        for (size_t i = 0; i < answer.fd_count; i++)
            close(fds[i]);
        peer_silent(p, "talks nonsense");
        return false;
    }
    a = take_sent(p, head->id);
    if (!a) {
        for (size_t i = 0; i < answer.fd_count; i++)
            close(fds[i]);
        return true; /* cancelled meanwhile */
    }
    answer.status = head->status < WIRE_LOST ? (enum wire_status)head->status : WIRE_CRASHED;
    answer.error = head->error;
    answer.payload = head + 1;
    answer.size = head->size;
    finish(p, a, &answer);
    return p->fd >= 0;
}

static void on_peer(void *data, uint32_t events)
{
    struct peer *p = data;

    if (events & EPOLLOUT)
        set_blocked(p, false);
    /* Not for ever: other sources want their turn. */
    for (unsigned i = 0; i < limits[p->which].at_once && receive(p); i++)
        ;
    pump(p);
}

static void on_timer(void *data)
{
    struct peer *p = data;

    if (p->fd >= 0) {
        peer_silent(p, "does not answer");
        return;
    }
    fail_all(p, &p->waiting);
}

static int peer_take_socket(struct peer *p, int fd)
{
    int r = loop_add_fd(p->client->loop, fd, EPOLLIN, on_peer, p, &p->source);

    if (r < 0)
        return r;
    p->fd = fd;
    source_arm(p->timer, 0);
    pump(p);
    return 0;
}

static void on_monitor(void *data, uint32_t events _unused_)
{
    struct client *c = data;
    int fds[1];
    size_t fd_count = 1;
    struct wire_replacement new;
    struct peer *p;
    ssize_t n = record_receive(c->monitor_fd, &new, sizeof(new), fds, &fd_count, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        /* It takes us along when it goes; without it nothing is replaced any more. */
        source_free(TAKE_PTR(c->monitor_source));
        return;
    }
    if (n != sizeof(new) || new.which >= CLIENT_PEER_COUNT || fd_count != 1) {
        if (fd_count == 1)
            close(fds[0]);
        return;
    }
    p = &c->peers[new.which];
    if (p->fd >= 0)
        peer_lost(p);
    p->stats.restarts++;
    p->stats.pid = new.pid;
    if (peer_take_socket(p, fds[0]) < 0)
        close(fds[0]);
}

/* ---- what the agent calls ---- */

int client_new(struct loop *loop, const int fds[CLIENT_PEER_COUNT], int monitor_fd,
               struct client **ret)
{
    struct client *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return -ENOMEM;
    c->loop = loop;
    c->monitor_fd = -1;
    for (size_t i = 0; i < CLIENT_PEER_COUNT; i++) {
        struct peer *p = &c->peers[i];

        *p = (struct peer){.client = c, .which = i, .fd = -1, .absent = fds[i] < 0};
        asks_init(&p->waiting);
        asks_init(&p->sent);
        asks_init(&p->failing);
    }
    r = loop_add_fd(loop, monitor_fd, EPOLLIN, on_monitor, c, &c->monitor_source);
    for (size_t i = 0; r == 0 && i < CLIENT_PEER_COUNT; i++) {
        r = loop_add_timer(loop, on_timer, &c->peers[i], &c->peers[i].timer);
        if (r == 0 && !c->peers[i].absent)
            r = peer_take_socket(&c->peers[i], fds[i]);
    }
    if (r < 0) {
        for (size_t i = 0; i < CLIENT_PEER_COUNT; i++)
            c->peers[i].fd = -1; /* still the caller's */
        client_free(c);
        return r;
    }
    c->monitor_fd = monitor_fd;
    *ret = c;
    return 0;
}

static void free_all(struct asks *list)
{
    while (list->first)
        ask_free(asks_take(list, &list->first));
}

void client_free(struct client *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CLIENT_PEER_COUNT; i++) {
        struct peer *p = &c->peers[i];

        source_free(p->source);
        source_free(p->timer);
        if (p->fd >= 0)
            close(p->fd);
        free_all(&p->waiting);
        free_all(&p->sent);
        free_all(&p->failing);
    }
    source_free(c->monitor_source);
    if (c->monitor_fd >= 0)
        close(c->monitor_fd);
    free(c);
}

static struct peer *peer_of(struct client *c, enum wire_op op)
{
    if (op == WIRE_ATTACH)
        return &c->peers[CLIENT_ATTACHER];
    if (op == WIRE_FETCH)
        return &c->peers[CLIENT_FETCHER];
    return &c->peers[op >= WIRE_PARSE_MAPS ? CLIENT_PARSER : CLIENT_OPENER];
}

static int ask_new(const void *payload, size_t size, const int *fds, size_t fd_count,
                   struct ask **ret)
{
    struct ask *a;

    if (size > RECORD_MAX - sizeof(a->head) || fd_count > RECORD_FDS)
        return -EMSGSIZE;
    a = calloc(1, sizeof(*a) + size);
    if (!a)
        return -ENOMEM;
    a->fds = calloc(fd_count ? fd_count : 1, sizeof(*a->fds));
    if (!a->fds) {
        ask_free(a);
        return -ENOMEM;
    }
    for (; a->fd_count < fd_count; a->fd_count++) {
        a->fds[a->fd_count] = fcntl(fds[a->fd_count], F_DUPFD_CLOEXEC, 3);
        if (a->fds[a->fd_count] < 0) {
            int r = -errno;

            ask_free(a);
            return r;
        }
    }
    if (size)
        memcpy(&a->head + 1, payload, size);
    *ret = a;
    return 0;
}

int client_ask(struct client *c, enum wire_op op, uint64_t container, const void *payload,
               size_t size, const int *fds, size_t fd_count, client_fn fn, void *data,
               uint64_t *ticket)
{
    struct peer *p = peer_of(c, op);
    struct ask *a = NULL;
    int r;

    if (p->absent)
        return -EOPNOTSUPP;
    r = ask_new(payload, size, fds, fd_count, &a);
    if (r < 0)
        return r;
    if (++c->last_id == 0)
        c->last_id = 1;
    a->head.op = op;
    a->head.id = c->last_id;
    a->head.container = container;
    a->head.size = (uint32_t)size;
    a->ticket = ++c->last_ticket;
    a->fn = fn;
    a->data = data;
    if (ticket)
        *ticket = a->ticket;
    /* While the process is away the timer runs for whoever waits for its successor. */
    if (p->fd < 0 && !p->waiting.first)
        source_arm(p->timer, now_ns() + limits[p->which].deadline_ns);
    asks_append(&p->waiting, a);
    p->stats.asked++;
    p->stats.pending++;
    pump(p);
    return 0;
}

static bool cancel_in(struct asks *list, uint64_t ticket)
{
    for (struct ask **at = &list->first; *at; at = &(*at)->next)
        if ((*at)->ticket == ticket) {
            ask_free(asks_take(list, at));
            return true;
        }
    return false;
}

/* What is being answered already keeps its place, so that no more is sent than fits. */
static void forget(void *data _unused_, const struct client_answer *answer _unused_)
{
}

void client_cancel(struct client *c, uint64_t ticket)
{
    for (size_t i = 0; i < CLIENT_PEER_COUNT; i++) {
        struct peer *p = &c->peers[i];

        if (cancel_in(&p->waiting, ticket) || cancel_in(&p->failing, ticket)) {
            p->stats.pending--;
            return;
        }
        for (struct ask *a = p->sent.first; a; a = a->next)
            if (a->ticket == ticket) {
                a->fn = forget;
                return;
            }
    }
}

bool client_has(const struct client *c, enum client_peer peer)
{
    return !c->peers[peer].absent;
}

void client_get_stats(const struct client *c, enum client_peer peer, struct client_stats *ret)
{
    *ret = c->peers[peer].stats;
}

int client_answer_memfd(void)
{
    int fd = memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? -errno : fd;
}

int client_seal(int memfd)
{
    int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL, has;

    has = fcntl(memfd, F_GET_SEALS);
    if (has < 0)
        return -errno;
    if ((has & all) == all)
        return 0;
    return fcntl(memfd, F_ADD_SEALS, all) < 0 ? -errno : 0;
}
