/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP whose bytes and connections are counted by who makes them.
 *
 *   talk serve ADDRESS PORT                  answers; counts on SIGTERM
 *   talk call ADDRESS PORT N SEND RECEIVE [HOW]
 *       N connections, one after the other, each sends and receives that many bytes. HOW:
 *       first   the server closes first
 *       reset   is ended by a reset, with all bytes through
 *       hold    stays open until SIGTERM, all N at once
 *   talk flood ADDRESS PORT SECONDS THREADS  as many as it can, a byte each way
 *   talk stream ADDRESS PORT BYTES           one connection, in large pieces
 *   talk fail ADDRESS PORT [HOW]             a connect that is to fail; says its errno. HOW:
 *       abandon it is given up
 *       linger  its socket is one that ends by a reset
 *       keep    its socket stays until SIGTERM
 *
 * ADDRESS may be IPv4, IPv6 or IPv4 mapped into it. Prints "connections N sent BYTES received
 * BYTES"; serve prints "ready" first, hold when all are open, keep when it has failed.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536

struct order {
    uint64_t send; /* bytes of the client, these included */
    uint64_t receive;
    uint64_t first; /* the server is to close first */
};

static struct sockaddr_storage address;
static socklen_t address_size;
static char piece[PIECE];
static volatile sig_atomic_t ended;
static uint64_t connections, sent, received;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static void parse_address(const char *word, const char *port)
{
    struct sockaddr_in *v4 = (void *)&address;
    struct sockaddr_in6 *v6 = (void *)&address;

    if (inet_pton(AF_INET, word, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)atoi(port));
        address_size = sizeof(*v4);
    } else if (inet_pton(AF_INET6, word, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)atoi(port));
        address_size = sizeof(*v6);
    } else {
        errx(2, "no address: %s", word);
    }
}

static void say(void)
{
    printf("connections %lu sent %lu received %lu\n", connections, sent, received);
    fflush(stdout);
}

/* ---- the server ---- */

struct client {
    int fd;
    struct order order;
    uint64_t got, given;
};

static int take(struct client *c)
{
    while (1) {
        int in_order = c->got < sizeof(c->order);
        ssize_t n = in_order ? read(c->fd, (char *)&c->order + c->got, sizeof(c->order) - c->got)
                             : read(c->fd, piece, sizeof(piece));

        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        if (n == 0)
            return -1;
        c->got += (uint64_t)n;
        received += (uint64_t)n;
    }
}

/* Returns -1 when the connection is done with. */
static int give(struct client *c)
{
    while (c->got >= sizeof(c->order) && c->got >= c->order.send && c->given < c->order.receive) {
        uint64_t left = c->order.receive - c->given;
        ssize_t n = write(c->fd, piece, left < PIECE ? left : PIECE);

        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->given += (uint64_t)n;
        sent += (uint64_t)n;
    }
    return c->order.first && c->got >= c->order.send && c->given == c->order.receive ? -1 : 0;
}

static void serve(void)
{
    int epoll = epoll_create1(0), on = 1, off = 0;
    int listener = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN};

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.ss_family == AF_INET6)
        setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(listener, (void *)&address, address_size) < 0 || listen(listener, 4096) < 0)
        err(1, "listen");
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    puts("ready");
    fflush(stdout);
    while (!ended) {
        int n = epoll_wait(epoll, &event, 1, -1);
        struct client *c = event.data.ptr;

        if (n <= 0)
            continue;
        if (!c) {
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            struct epoll_event mine = {.events = EPOLLIN | EPOLLOUT | EPOLLET};

            if (fd < 0)
                continue;
            connections++;
            mine.data.ptr = c = calloc(1, sizeof(*c));
            c->fd = fd;
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &mine);
            continue;
        }
        n = take(c);
        if (give(c) < 0 || n < 0) {
            close(c->fd);
            free(c);
        }
    }
}

/* ---- clients ---- */

static int dial(void)
{
    int fd = socket(address.ss_family, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (void *)&address, address_size) < 0)
        err(1, "connect");
    return fd;
}

static void exchange(int fd, uint64_t out, uint64_t in, int first)
{
    struct order o = {.send = out < sizeof(o) ? sizeof(o) : out, .receive = in, .first = first};
    uint64_t done = sizeof(o);

    if (write(fd, &o, sizeof(o)) != sizeof(o))
        err(1, "write");
    while (done < o.send) {
        ssize_t n = write(fd, piece, o.send - done < PIECE ? o.send - done : PIECE);

        if (n <= 0)
            err(1, "write");
        done += (uint64_t)n;
    }
    __atomic_fetch_add(&sent, done, __ATOMIC_RELAXED);
    for (done = 0; done < in;) {
        char into[PIECE];
        ssize_t n = read(fd, into, sizeof(into));

        if (n <= 0)
            err(1, "read");
        done += (uint64_t)n;
    }
    __atomic_fetch_add(&received, done, __ATOMIC_RELAXED);
    __atomic_fetch_add(&connections, 1, __ATOMIC_RELAXED);
}

static void call(uint64_t n, uint64_t out, uint64_t in, const char *how)
{
    int first = strcmp(how, "first") == 0, hold = strcmp(how, "hold") == 0;
    struct linger now = {.l_onoff = 1};
    char unused;

    for (uint64_t i = 0; i < n; i++) {
        int fd = dial();

        exchange(fd, out, in, first);
        if (hold)
            continue;
        if (first && read(fd, &unused, 1) != 0)
            errx(1, "the server did not close");
        if (strcmp(how, "reset") == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
    }
    if (!hold)
        return;
    puts("ready");
    fflush(stdout);
    while (!ended)
        pause();
}

static double until;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *flood(void *unused)
{
    char byte;

    while (seconds() < until) {
        int fd = dial();

        exchange(fd, 0, 1, 1);
        if (read(fd, &byte, 1) != 0)
            errx(1, "the server did not close");
        close(fd);
    }
    return unused;
}

static void flood_all(double time, int threads)
{
    pthread_t t[64];

    until = seconds() + time;
    for (int i = 0; i < threads && i < 64; i++)
        pthread_create(&t[i], NULL, flood, NULL);
    for (int i = 0; i < threads && i < 64; i++)
        pthread_join(t[i], NULL);
}

static void fail(const char *how)
{
    bool abandon = strcmp(how, "abandon") == 0;
    const struct linger linger = {.l_onoff = strcmp(how, "linger") == 0};
    int fd = socket(address.ss_family, SOCK_STREAM | (abandon ? SOCK_NONBLOCK : 0), 0), one = 1;

    /* One SYN and another one: what would take minutes takes seconds. */
    setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (connect(fd, (void *)&address, address_size) == 0)
        errx(1, "it did not fail");
    printf("errno %s\nready\n", strerrorname_np(errno));
    fflush(stdout);
    while (strcmp(how, "keep") == 0 && !ended)
        pause();
    close(fd);
}

int main(int argc, char **argv)
{
    /* Without SA_RESTART, so that calls return. */
    struct sigaction action = {.sa_handler = on_signal};
    struct rlimit most = {65536, 65536};

    if (argc < 4)
        errx(2, "usage: see the source");
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &most);
    parse_address(argv[2], argv[3]);
    if (strcmp(argv[1], "serve") == 0)
        serve();
    else if (strcmp(argv[1], "call") == 0 && argc >= 7)
        call(strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10),
             argc > 7 ? argv[7] : "");
    else if (strcmp(argv[1], "flood") == 0 && argc == 6)
        flood_all(atof(argv[4]), atoi(argv[5]));
    else if (strcmp(argv[1], "stream") == 0 && argc == 5)
        call(1, strtoull(argv[4], NULL, 10), 0, "");
    else if (strcmp(argv[1], "fail") == 0)
        fail(argc > 4 ? argv[4] : "");
    else
        errx(2, "usage: see the source");
    say();
    return 0;
}
