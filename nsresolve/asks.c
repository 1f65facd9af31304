/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/asks.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct ask {
    struct asks *asks;
    struct ask *prev, *next;
    uint64_t ticket;
    client_fn fn;
    asks_parsed_fn parsed;
    void *data;
    int memfd; /* the parser's answer, -1 for other asks */
};

struct asks {
    struct client *client;
    void (*idle)(void *data);
    void *data;
    struct ask *first;
    size_t pending;
};

int asks_new(struct client *client, void (*idle)(void *data), void *data, struct asks **ret)
{
    struct asks *a = calloc(1, sizeof(*a));

    if (!a)
        return -ENOMEM;
    *a = (struct asks){.client = client, .idle = idle, .data = data};
    *ret = a;
    return 0;
}

static void drop(struct ask *ask)
{
    struct asks *a = ask->asks;

    if (ask->prev)
        ask->prev->next = ask->next;
    else
        a->first = ask->next;
    if (ask->next)
        ask->next->prev = ask->prev;
    a->pending--;
    if (ask->memfd >= 0)
        close(ask->memfd);
    free(ask);
}

void asks_free(struct asks *a)
{
    if (!a)
        return;
    while (a->first) {
        client_cancel(a->client, a->first->ticket);
        drop(a->first);
    }
    free(a);
}

static void on_answer(void *data, const struct client_answer *answer)
{
    struct ask *ask = data;
    struct asks *a = ask->asks;
    enum wire_status status = answer->status;

    if (ask->parsed) {
        if (status == WIRE_OK && client_seal(ask->memfd) < 0)
            status = WIRE_FAILED;
        if (status != WIRE_OK) {
            close(ask->memfd);
            ask->memfd = -1;
        }
        ask->parsed(ask->data, status, &ask->memfd);
    } else {
        ask->fn(ask->data, answer);
    }
    drop(ask);
    if (a->pending == 0 && a->idle)
        a->idle(a->data);
}

static int start(struct asks *a, struct ask model, enum wire_op op, uint64_t container,
                 const void *payload, size_t size, const int *fds, size_t fd_count)
{
    struct ask *ask = malloc(sizeof(*ask));
    int r;

    if (!ask)
        return -ENOMEM;
    *ask = model;
    ask->asks = a;
    r = client_ask(a->client, op, container, payload, size, fds, fd_count, on_answer, ask,
                   &ask->ticket);
    if (r < 0) {
        free(ask);
        return r;
    }
    ask->next = a->first;
    if (a->first)
        a->first->prev = ask;
    a->first = ask;
    a->pending++;
    return 0;
}

int asks_ask(struct asks *a, enum wire_op op, uint64_t container, const void *payload, size_t size,
             const int *fds, size_t fd_count, client_fn fn, void *data)
{
    return start(a, (struct ask){.fn = fn, .data = data, .memfd = -1}, op, container, payload, size,
                 fds, fd_count);
}

int asks_parse(struct asks *a, enum wire_op op, uint64_t container, const void *payload,
               size_t size, int in_fd, asks_parsed_fn fn, void *data)
{
    const int in_fds[] = {in_fd};

    return asks_parse_files(a, op, container, payload, size, in_fds, 1, fn, data);
}

int asks_parse_files(struct asks *a, enum wire_op op, uint64_t container, const void *payload,
                     size_t size, const int *in_fds, size_t in_count, asks_parsed_fn fn, void *data)
{
    int fds[ASKS_FILES_MAX + 1];
    int r;

    if (in_count == 0 || in_count > ASKS_FILES_MAX)
        return -EINVAL;
    fds[0] = in_fds[0];
    fds[1] = client_answer_memfd();
    if (fds[1] < 0)
        return fds[1];
    memcpy(&fds[2], &in_fds[1], (in_count - 1) * sizeof(*fds));
    r = start(a, (struct ask){.parsed = fn, .data = data, .memfd = fds[1]}, op, container, payload,
              size, fds, in_count + 1);
    if (r < 0)
        close(fds[1]);
    return r;
}

size_t asks_pending(const struct asks *a)
{
    return a->pending;
}
