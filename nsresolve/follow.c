/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/follow.h"

#include "base/buf.h"
#include "base/loop.h"
#include "base/pathat.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* Between the end of a look and the next. */
#define PAUSE_NS (400 * NS_PER_MS)
#define PAUSE_MISSING_NS (2 * NS_PER_SEC) /* there is no such file */
#define PAUSE_PER_FILE_NS (50 * NS_PER_MS)
#define PAUSE_PER_WORK 20u /* times as long as the look took: 5 % of a CPU */
#define PAUSE_PER_LIFE 16u /* this part of the time that it has been followed, when it changed */
#define TICK_OF_FILES_NS (10 * NS_PER_MS) /* by which a file's time may be early */

struct follow {
    struct follow_setup setup;
    char *path;
    uint64_t born_ns, ended_ns; /* ended_ns 0: it goes on, as far as we know */
    bool busy, again, looked, seen, current;
    uint64_t dev, ino, size, mtime_ns; /* of the file that was parsed last */
    uint64_t asked_ns;                 /* the look under way */
    uint64_t covered_ns;               /* what was written before then was seen */
    uint64_t next_ns;
    struct wire_opened_item item;
    struct follow_change change;
    enum file_reason reason;
    enum wire_status status;
};

int follow_new(const struct follow_setup *setup, struct follow **ret)
{
    struct follow *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    f->path = strdup(setup->path);
    if (!f->path) {
        free(f);
        return -ENOMEM;
    }
    f->setup = *setup;
    f->setup.item.path_size = (uint32_t)strlen(f->path);
    pin_ref(setup->pin);
    setup->budget->files++;
    f->born_ns = now_ns();
    f->reason = FILE_TIMEOUT;
    *ret = f;
    return 0;
}

void follow_free(struct follow *f)
{
    if (!f)
        return;
    f->setup.budget->files--;
    pin_unref(f->setup.pin);
    free(f->path);
    free(f);
}

/* The look is over. */
static void finish(struct follow *f, bool covered, bool changed)
{
    uint64_t now = now_ns(), pause = PAUSE_NS;

    f->busy = false;
    f->looked = true;
    f->current = covered;
    if (covered)
        f->covered_ns = f->asked_ns;
    pause = MAX(pause, (now - f->asked_ns) * PAUSE_PER_WORK);
    pause = MAX(pause, f->setup.budget->files * PAUSE_PER_FILE_NS);
    if (changed)
        pause = MAX(pause, (now - f->born_ns) / PAUSE_PER_LIFE);
    if (f->reason != FILE_OK)
        pause = MAX(pause, PAUSE_MISSING_NS);
    f->next_ns = now + pause;
    if (f->again) {
        f->again = false;
        follow_look(f, true);
    }
}

static void on_parsed(void *data, enum wire_status status, int *memfd)
{
    struct follow *f = data;
    const struct wire_opened_item *item = &f->item;
    bool ok = status == WIRE_OK;

    f->status = status;
    if (ok && !f->setup.parsed(f->setup.data, &f->change, memfd)) {
        f->status = WIRE_TOO_BIG;
        ok = false;
    }
    if (ok) {
        f->seen = true;
        f->dev = item->dev;
        f->ino = item->ino;
        f->size = item->size;
        f->mtime_ns = item->mtime_ns;
    }
    finish(f, ok, true);
}

/* Files carry the time of day: this is how far that is ahead of CLOCK_MONOTONIC. */
static uint64_t day_ahead_ns(void)
{
    struct timespec day;

    clock_gettime(CLOCK_REALTIME, &day);
    return (uint64_t)day.tv_sec * NS_PER_SEC + (uint64_t)day.tv_nsec - now_ns();
}

static bool written_after_the_end(const struct follow *f, uint64_t mtime_ns)
{
    return f->ended_ns && mtime_ns > day_ahead_ns() + f->ended_ns;
}

static bool is_unchanged(const struct follow *f, const struct wire_opened_item *item)
{
    return f->seen && item->dev == f->dev && item->ino == f->ino && item->size == f->size &&
           item->mtime_ns == f->mtime_ns;
}

static void parse(struct follow *f, int fd)
{
    struct follow_setup *s = &f->setup;
    uint64_t written_ns = f->item.mtime_ns + TICK_OF_FILES_NS - day_ahead_ns();
    char payload[FOLLOW_PAYLOAD_MAX];
    size_t size;

    f->change = (struct follow_change){
        .after_ns = f->seen ? f->covered_ns : 0,
        .size = f->item.size,
        .other_file = f->seen && (f->item.dev != f->dev || f->item.ino != f->ino),
    };
    /* A time of day that was set meanwhile, or a lie, moves it at most between the two looks. */
    f->change.before_ns = MAX(MIN(written_ns, now_ns()), f->change.after_ns);
    size = s->payload ? s->payload(s->data, &f->change, payload) : 0;
    if (asks_parse(s->asks, s->parse, s->pin->info.mount_ns, payload, size, fd, on_parsed, f) < 0)
        finish(f, false, false);
}

/* The opener's one answer; the reason is FILE_OK when the file is to be believed. */
static enum file_reason judge(struct follow *f, const struct client_answer *a)
{
    const struct wire_open_item *want = &f->setup.item;
    struct wire_opened head;

    if (a->status == WIRE_BREAKER)
        return FILE_BREAKER;
    if (a->status != WIRE_OK || a->size < sizeof(head) + sizeof(f->item))
        return FILE_TIMEOUT;
    memcpy(&head, a->payload, sizeof(head));
    memcpy(&f->item, (const char *)a->payload + sizeof(head), sizeof(f->item));
    if (f->item.reason != FILE_OK)
        return f->item.reason < FILE_REASON_COUNT ? f->item.reason : FILE_UNREADABLE;
    if (head.count != 1 || a->fd_count < 1)
        return FILE_LIMIT;
    if (f->item.uid != want->uid_a && f->item.uid != want->uid_b)
        return FILE_FOREIGN;
    return written_after_the_end(f, f->item.mtime_ns) ? FILE_REPLACED : FILE_OK;
}

static void on_opened(void *data, const struct client_answer *a)
{
    struct follow *f = data;

    f->reason = judge(f, a);
    if (f->reason == FILE_OK && !is_unchanged(f, &f->item))
        parse(f, a->fds[0]);
    else
        finish(f, f->reason != FILE_TIMEOUT && f->reason != FILE_BREAKER, false);
}

void follow_look(struct follow *f, bool hurry)
{
    _cleanup_buf_ struct buf payload = {0};
    struct follow_setup *s = &f->setup;
    bool has_proc = s->item.kind == WIRE_OPEN_MAPPED && s->pin->proc_fd >= 0;
    struct wire_open head = {.count = 1, .has_proc = has_proc};
    int fds[2] = {s->pin->proc_fd, s->pin->root_fd};

    if (f->busy) {
        f->again |= hurry;
        return;
    }
    if (!hurry && now_ns() < f->next_ns)
        return;
    buf_add(&payload, &head, sizeof(head));
    buf_add(&payload, &s->item, sizeof(s->item));
    buf_add(&payload, f->path, s->item.path_size);
    f->asked_ns = now_ns();
    if (buf_error(&payload) == 0 &&
        asks_ask(s->asks, WIRE_OPEN, s->pin->info.mount_ns, payload.data, payload.size,
                 has_proc ? fds : &fds[1], has_proc ? 2 : 1, on_opened, f) == 0)
        f->busy = true;
}

bool follow_covers(const struct follow *f, uint64_t time_ns)
{
    return f->covered_ns >= time_ns;
}

bool follow_is_current(const struct follow *f)
{
    return f->current;
}

bool follow_failed(const struct follow *f)
{
    return f->looked && !f->current;
}

void follow_end(struct follow *f, uint64_t time_ns)
{
    if (!f->ended_ns)
        f->ended_ns = time_ns;
}

enum frame_reason follow_trouble(const struct follow *f, const char **detail)
{
    *detail = NULL;
    if (f->reason == FILE_NOT_FOUND || f->reason == FILE_GONE)
        return REASON_JIT_NO_MAP;
    if (f->reason == FILE_TIMEOUT || f->reason == FILE_BREAKER)
        return REASON_TIMEOUT;
    if (f->reason == FILE_OK && f->status == WIRE_OK)
        return REASON_TIMEOUT;
    *detail = f->reason == FILE_OK ? "the parser gave up on it" : file_reason_text(f->reason);
    return REASON_JIT_MAP_REFUSED;
}
