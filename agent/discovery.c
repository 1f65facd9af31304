/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/discovery.h"

#include "agent/inventory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Command lines give away where bundles are, bundles where docker's own files are. */
#define ROUNDS_MAX 3

struct waiter {
    struct waiter *next;
    uint64_t ticket;
    discovery_fn fn;
    void *data;
};

struct discovery {
    struct client *client; /* borrowed */
    struct cgroups *cg;
    struct inventory *inventory;
    struct waiter *waiting; /* came after the census under way had begun */
    struct waiter *served;  /* get the containers of the census under way */
    bool asking, serving;
    uint64_t ask; /* ticket of the client */
    unsigned rounds;
    uint64_t last_ticket;
    struct discovery_stats stats;
};

static void free_waiters(struct waiter **list)
{
    while (*list) {
        struct waiter *w = *list;

        *list = w->next;
        free(w);
    }
}

void discovery_free(struct discovery *d)
{
    if (!d)
        return;
    if (d->asking)
        client_cancel(d->client, d->ask);
    free_waiters(&d->waiting);
    free_waiters(&d->served);
    inventory_free(d->inventory);
    cgroups_free(d->cg);
    free(d);
}

int discovery_new(struct client *client, const struct roots *configured, struct discovery **ret)
{
    _cleanup_(discovery_freep) struct discovery *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return -ENOMEM;
    d->client = client;
    r = cgroups_new("", &d->cg);
    if (r == 0)
        r = inventory_new(configured, true, d->cg, &d->inventory);
    if (r == 0)
        *ret = TAKE_PTR(d);
    return r;
}

/* Calls everybody who waits for this census; they may refresh and cancel meanwhile. */
static void serve(struct discovery *d, const struct containers *cs, const struct err *e)
{
    d->serving = true;
    while (d->served) {
        struct waiter *w = d->served;

        d->served = w->next;
        w->fn(w->data, cs, e);
        free(w);
    }
    d->serving = false;
}

static void on_census(void *data, const struct client_answer *answer);

static int ask(struct discovery *d)
{
    _cleanup_buf_ struct buf question = {0};
    _cleanup_close_ int fd = -1;
    size_t done = 0;
    int r = inventory_question(d->inventory, &question);

    if (r < 0)
        return r;
    fd = memfd_create("census-question", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (done < question.size) {
        ssize_t n = pwrite(fd, question.data + done, question.size - done, (off_t)done);

        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    r = client_ask(d->client, WIRE_CENSUS, 0, NULL, 0, &fd, 1, on_census, d, &d->ask);
    if (r < 0)
        return r;
    d->asking = true;
    d->rounds++;
    d->stats.censuses++;
    return 0;
}

/* Begins the census of those who wait. */
static int begin(struct discovery *d)
{
    int r;

    d->served = TAKE_PTR(d->waiting);
    d->rounds = 0;
    r = ask(d);
    if (r < 0) {
        d->waiting = TAKE_PTR(d->served);
        d->stats.failed++;
    }
    return r;
}

static void finish(struct discovery *d, const struct containers *cs, const struct err *e)
{
    if (!cs)
        d->stats.failed++;
    serve(d, cs, e);
    while (d->waiting && !d->asking) {
        struct err failed = {0};

        if (begin(d) == 0)
            return;
        err_set(&failed, ERR_FAILED, "cannot look for containers: out of descriptors or memory");
        d->served = TAKE_PTR(d->waiting);
        serve(d, NULL, &failed);
    }
}

static const char *status_text(const struct client_answer *a)
{
    switch (a->status) {
    case WIRE_TIMEOUT:
        return "the opener did not finish in time";
    case WIRE_CRASHED:
        return "the opener's child died";
    case WIRE_BREAKER:
        return "too many of the opener's children are stuck";
    case WIRE_LOST:
        return "the opener is gone";
    default:
        return a->error ? strerror(a->error) : "no answer came with it";
    }
}

/* The answer for reading; nobody can change it any more. MAP_FAILED with errno set. */
static void *map_answer(const struct client_answer *a, size_t *size)
{
    struct stat st;
    int r;

    if (a->fd_count < 1) {
        errno = EBADMSG;
        return MAP_FAILED;
    }
    r = client_seal(a->fds[0]);
    if (r < 0 || fstat(a->fds[0], &st) < 0) {
        errno = r < 0 ? -r : errno;
        return MAP_FAILED;
    }
    if (st.st_size < (off_t)sizeof(struct census_header) ||
        (uint64_t)st.st_size > CENSUS_ANSWER_MAX) {
        errno = EBADMSG;
        return MAP_FAILED;
    }
    *size = (size_t)st.st_size;
    return mmap(NULL, *size, PROT_READ, MAP_SHARED, a->fds[0], 0);
}

static void update_stats(struct discovery *d, const struct containers *cs)
{
    struct inventory_stats s;
    size_t count;

    inventory_get_stats(d->inventory, &s);
    containers_all(cs, &count);
    d->stats.files = s.files;
    d->stats.files_parsed = s.files_parsed;
    d->stats.files_bad = s.files_bad;
    d->stats.processes = s.processes;
    d->stats.containers = count;
}

/* 1: another round is under way; 0: *ret is the list; -errno. */
static int take_answer(struct discovery *d, const void *answer, size_t size,
                       struct containers **ret)
{
    int r = inventory_take(d->inventory, answer, size);

    if (r > 0 && d->rounds < ROUNDS_MAX) {
        r = ask(d);
        return r < 0 ? r : 1;
    }
    if (r >= 0)
        r = inventory_containers(d->inventory, answer, size, getpid(), ret);
    return r;
}

static void on_census(void *data, const struct client_answer *a)
{
    struct discovery *d = data;
    _cleanup_(containers_freep) struct containers *cs = NULL;
    struct err e = {0};
    void *answer = MAP_FAILED;
    size_t size = 0;
    int r;

    d->asking = false;
    if (a->status != WIRE_OK) {
        err_set(&e, ERR_FAILED, "cannot look for containers: %s", status_text(a));
        finish(d, NULL, &e);
        return;
    }
    answer = map_answer(a, &size);
    r = answer == MAP_FAILED ? -errno : take_answer(d, answer, size, &cs);
    if (answer != MAP_FAILED)
        munmap(answer, size);
    if (r > 0)
        return;
    if (r < 0) {
        err_set(&e, ERR_FAILED, "cannot look for containers: %s",
                r == -EBADMSG ? "the opener's answer makes no sense" : strerror(-r));
        finish(d, NULL, &e);
        return;
    }
    update_stats(d, cs);
    finish(d, cs, NULL);
}

int discovery_refresh(struct discovery *d, discovery_fn fn, void *data, uint64_t *ticket)
{
    struct waiter *w = calloc(1, sizeof(*w)), **at;
    int r;

    if (!w)
        return -ENOMEM;
    *w = (struct waiter){.ticket = ++d->last_ticket, .fn = fn, .data = data};
    for (at = &d->waiting; *at; at = &(*at)->next)
        ;
    *at = w;
    if (!d->asking && !d->serving) {
        r = begin(d);
        if (r < 0) {
            *at = NULL;
            free(w);
            return r;
        }
    }
    d->stats.refreshes++;
    if (ticket)
        *ticket = w->ticket;
    return 0;
}

void discovery_cancel(struct discovery *d, uint64_t ticket)
{
    struct waiter **lists[] = {&d->waiting, &d->served};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (struct waiter **at = lists[i]; *at; at = &(*at)->next) {
            struct waiter *w = *at;

            if (w->ticket != ticket)
                continue;
            *at = w->next;
            free(w);
            return;
        }
}

void discovery_get_stats(const struct discovery *d, struct discovery_stats *ret)
{
    *ret = d->stats;
}
