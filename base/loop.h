/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of every process of ours: fds, timers, signals. No polling, no idle wake-ups.
 *
 * Single-threaded. A callback may free any source, its own included.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct source;

typedef void (*loop_fd_fn)(void *data, uint32_t events);
typedef void (*loop_timer_fn)(void *data);
typedef void (*loop_signal_fn)(void *data, int signo);

/* Returns 0 or -errno. */
int loop_new(struct loop **ret);
void loop_free(struct loop *l); /* frees the sources that are left; NULL is fine */
DEFINE_FREEP(struct loop, loop_free)

/* Runs until loop_quit(); returns its code or -errno. */
int loop_run(struct loop *l);
void loop_quit(struct loop *l, int code);

/* The fd stays the caller's and must outlive the source. events as in epoll. */
int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *data,
                struct source **ret);
int source_set_events(struct source *s, uint32_t events);

/* A timer that is not armed yet. */
int loop_add_timer(struct loop *l, loop_timer_fn fn, void *data, struct source **ret);

/* Arms once, at an absolute CLOCK_MONOTONIC time; 0 disarms. */
void source_arm(struct source *s, uint64_t at_ns);

/* Blocks the signals in this process and delivers them here (zero-terminated list). One per loop.
 */
int loop_add_signals(struct loop *l, const int *signals, loop_signal_fn fn, void *data);

void source_free(struct source *s); /* NULL is fine */
DEFINE_FREEP(struct source, source_free)

/* CLOCK_MONOTONIC, the clock of every time in Porthole unless a name says otherwise. */
uint64_t now_ns(void);

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull
