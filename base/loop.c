/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL };

struct source {
    struct loop *loop;
    struct source *prev, *next;
    enum source_kind kind;
    bool dead; /* freed inside a callback; memory goes at the end of the round */
    int fd;
    uint64_t at_ns; /* 0: not armed */
    loop_fd_fn on_fd;
    loop_timer_fn on_timer;
    loop_signal_fn on_signal;
    void *data;
};

struct loop {
    int epoll_fd;
    struct source *first;
    struct source *graveyard;
    bool quit;
    int code;
};

uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

int loop_new(struct loop **ret)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0) {
        free(l);
        return -errno;
    }
    *ret = l;
    return 0;
}

static void bury(struct loop *l)
{
    while (l->graveyard) {
        struct source *s = l->graveyard;

        l->graveyard = s->next;
        free(s);
    }
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    while (l->first)
        source_free(l->first);
    bury(l);
    close(l->epoll_fd);
    free(l);
}

static int add(struct loop *l, struct source model, struct source **ret)
{
    struct source *s = malloc(sizeof(*s));

    if (!s)
        return -ENOMEM;
    *s = model;
    s->loop = l;
    s->next = l->first;
    if (l->first)
        l->first->prev = s;
    l->first = s;
    *ret = s;
    return 0;
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *data,
                struct source **ret)
{
    struct source *s;
    struct epoll_event ev = {.events = events};
    int r;

    r = add(l, (struct source){.kind = SOURCE_FD, .fd = fd, .on_fd = fn, .data = data}, &s);
    if (r < 0)
        return r;
    ev.data.ptr = s;
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        r = -errno;
        s->fd = -1;
        source_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

int source_set_events(struct source *s, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};

    return epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

int loop_add_timer(struct loop *l, loop_timer_fn fn, void *data, struct source **ret)
{
    return add(l, (struct source){.kind = SOURCE_TIMER, .fd = -1, .on_timer = fn, .data = data},
               ret);
}

void source_arm(struct source *s, uint64_t at_ns)
{
    s->at_ns = at_ns;
}

int loop_add_signals(struct loop *l, const int *signals, loop_signal_fn fn, void *data)
{
    _cleanup_close_ int fd = -1;
    struct source *s;
    struct epoll_event ev = {.events = EPOLLIN};
    sigset_t set;
    int r;

    sigemptyset(&set);
    for (; *signals; signals++)
        sigaddset(&set, *signals);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    r = add(l, (struct source){.kind = SOURCE_SIGNAL, .fd = fd, .on_signal = fn, .data = data}, &s);
    if (r < 0)
        return r;
    TAKE_FD(fd);
    ev.data.ptr = s;
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

void source_free(struct source *s)
{
    struct loop *l;

    if (!s || s->dead)
        return;
    l = s->loop;
    if (s->prev)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (s->kind != SOURCE_TIMER && s->fd >= 0)
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    if (s->kind == SOURCE_SIGNAL)
        close(s->fd);
    s->dead = true;
    s->next = l->graveyard;
    l->graveyard = s;
}

/* Milliseconds until the next timer, rounded up; -1 for none. */
static int next_timeout(const struct loop *l)
{
    uint64_t at = 0, now;

    for (const struct source *s = l->first; s; s = s->next)
        if (s->kind == SOURCE_TIMER && s->at_ns && (!at || s->at_ns < at))
            at = s->at_ns;
    if (!at)
        return -1;
    now = now_ns();
    if (at <= now)
        return 0;
    return (int)MIN((at - now + NS_PER_MS - 1) / NS_PER_MS, 1000000u);
}

static void fire_timers(struct loop *l)
{
    uint64_t now = now_ns();
    struct source *s = l->first;

    /* A callback may change the list: start over after each one. Each firing disarms, so it ends.
     */
    while (s) {
        if (s->kind == SOURCE_TIMER && s->at_ns && s->at_ns <= now) {
            s->at_ns = 0;
            s->on_timer(s->data);
            s = l->first;
        } else {
            s = s->next;
        }
    }
}

static void dispatch(struct source *s, uint32_t events)
{
    struct signalfd_siginfo si;

    if (s->dead)
        return;
    if (s->kind == SOURCE_FD) {
        s->on_fd(s->data, events);
        return;
    }
    while (!s->dead && read(s->fd, &si, sizeof(si)) == sizeof(si))
        s->on_signal(s->data, (int)si.ssi_signo);
}

int loop_run(struct loop *l)
{
    struct epoll_event events[64];

    while (!l->quit) {
        int n = epoll_wait(l->epoll_fd, events, (int)ARRAY_SIZE(events), next_timeout(l));

        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n && !l->quit; i++)
            dispatch(events[i].data.ptr, events[i].events);
        if (!l->quit)
            fire_timers(l);
        bury(l);
    }
    l->quit = false;
    return l->code;
}

void loop_quit(struct loop *l, int code)
{
    l->quit = true;
    l->code = code;
}
