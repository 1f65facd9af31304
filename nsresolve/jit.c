/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/jit.h"

#include "base/buf.h"
#include "base/pathat.h"
#include "base/loop.h"
#include "nsresolve/symtab.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct jit {
    struct asks *asks;
    struct pin *pin;
    uint32_t ns_tgid;
    uint64_t *bytes;
    uint64_t ended_ns; /* 0: it goes on, as far as we know */
    bool busy;
    enum file_reason open_reason;
    enum wire_status parse_status;
    struct symtab *first, *last;
};

void jit_free(struct jit *j)
{
    if (!j)
        return;
    pin_unref(j->pin);
    symtab_free(j->first);
    symtab_free(j->last);
    free(j);
}

static void on_parsed(void *data, enum wire_status status, int *memfd)
{
    struct jit *j = data;
    struct symtab *t = NULL;

    j->busy = false;
    if (status == WIRE_OK && symtab_open(*memfd, &t) < 0)
        status = WIRE_MALFORMED;
    if (t && *j->bytes + symtab_bytes(t) > JIT_BYTES_MAX) {
        symtab_free(t);
        t = NULL;
        status = WIRE_TOO_BIG;
    }
    j->parse_status = status;
    if (!t)
        return;
    *j->bytes += symtab_bytes(t);
    if (!j->first) {
        j->first = t;
    } else {
        symtab_free(j->last);
        j->last = t;
    }
}

/* Files carry the time of day, cut to the kernel's tick. */
static bool written_after_the_end(const struct jit *j, uint64_t mtime_ns)
{
    struct timespec now;
    uint64_t day_ns;

    if (!j->ended_ns)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    day_ns = (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
    return mtime_ns > day_ns - (now_ns() - j->ended_ns);
}

static void on_opened(void *data, const struct client_answer *a)
{
    struct jit *j = data;
    struct {
        struct wire_opened head;
        struct wire_opened_item item;
    } reply;

    j->busy = false;
    j->open_reason = a->status == WIRE_BREAKER ? FILE_BREAKER : FILE_TIMEOUT;
    if (a->status != WIRE_OK || a->size < sizeof(reply))
        return;
    memcpy(&reply, a->payload, sizeof(reply));
    j->open_reason = reply.item.reason;
    if (reply.head.count != 1 || reply.item.reason != FILE_OK || a->fd_count < 1)
        return;
    if (written_after_the_end(j, reply.item.mtime_ns)) {
        j->open_reason = FILE_REPLACED;
        return;
    }
    if (asks_parse(j->asks, WIRE_PARSE_PERFMAP, j->pin->info.mount_ns, NULL, 0, a->fds[0],
                   on_parsed, j) == 0)
        j->busy = true;
}

void jit_read_again(struct jit *j)
{
    _cleanup_buf_ struct buf payload = {0};
    struct wire_open head = {.count = 1};
    struct wire_open_item item = {
        .kind = WIRE_OPEN_OWNED,
        .uid_a = j->pin->info.uid,
        .uid_b = j->pin->info.root_uid,
    };
    char path[64];

    if (j->busy)
        return;
    item.path_size = (uint32_t)snprintf(path, sizeof(path), "/tmp/perf-%u.map", j->ns_tgid);
    buf_add(&payload, &head, sizeof(head));
    buf_add(&payload, &item, sizeof(item));
    buf_add(&payload, path, item.path_size);
    if (buf_error(&payload) == 0 &&
        asks_ask(j->asks, WIRE_OPEN, j->pin->info.mount_ns, payload.data, payload.size,
                 &j->pin->root_fd, 1, on_opened, j) == 0)
        j->busy = true;
}

void jit_end(struct jit *j, uint64_t time_ns)
{
    if (!j->ended_ns)
        j->ended_ns = time_ns;
}

int jit_new(struct asks *asks, struct pin *pin, uint32_t ns_tgid, uint64_t *bytes, struct jit **ret)
{
    struct jit *j = calloc(1, sizeof(*j));

    if (!j)
        return -ENOMEM;
    *j = (struct jit){.asks = asks, .pin = pin_ref(pin), .ns_tgid = ns_tgid, .bytes = bytes};
    jit_read_again(j);
    *ret = j;
    return 0;
}

enum frame_reason jit_symbol(const struct jit *j, uint64_t address, const char **name,
                             uint64_t *start, const char **detail)
{
    const struct symtab_symbol *s = j->last ? symtab_find(j->last, address, name) : NULL;

    *detail = NULL;
    if (!s && j->first)
        s = symtab_find(j->first, address, name);
    if (s) {
        *start = s->start;
        return REASON_NONE;
    }
    if (j->first)
        return REASON_JIT_NOT_IN_MAP;
    if (j->open_reason == FILE_NOT_FOUND || j->open_reason == FILE_GONE)
        return REASON_JIT_NO_MAP;
    if (j->open_reason == FILE_TIMEOUT || j->open_reason == FILE_BREAKER)
        return REASON_TIMEOUT;
    if (j->open_reason != FILE_OK) {
        *detail = file_reason_text(j->open_reason);
        return REASON_JIT_MAP_REFUSED;
    }
    if (j->parse_status == WIRE_OK)
        return REASON_TIMEOUT;
    *detail = "the parser gave up on it";
    return REASON_JIT_MAP_REFUSED;
}

uint32_t jit_bad_lines(const struct jit *j)
{
    const struct symtab *t = j->last ? j->last : j->first;

    return t ? symtab_header(t)->bad_lines : 0;
}
