/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/debugfile.h"

#include "base/buf.h"
#include "base/pathat.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PLACES_MAX 8

struct debugfile {
    struct debugfile_setup setup;
    uint64_t container;
    struct wire_parse_elf request;
    struct {
        int fd; /* -1: not there */
        struct cache_identity identity;
    } places[PLACES_MAX];
    size_t count, next, found;
    struct cache_entry *entry; /* of the first that fits */
    struct fetch_wait *fetch;  /* when none does; may be NULL */
};

void debugfile_free(struct debugfile *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++)
        if (d->places[i].fd >= 0)
            close(d->places[i].fd);
    cache_entry_unref(d->entry);
    fetch_end(d->fetch);
    free(d);
}

const struct symtab *debugfile_table(const struct debugfile *d)
{
    if (d->entry)
        return cache_entry_table(d->entry);
    return d->fetch ? fetch_table(d->fetch) : NULL;
}

enum frame_source debugfile_source(const struct debugfile *d)
{
    return d->entry ? SOURCE_DEBUG_FILE : SOURCE_DEBUGINFOD;
}

const char *debugfile_reason(const struct debugfile *d)
{
    return d->fetch ? fetch_reason(d->fetch) : NULL;
}

int debugfile_fd(const struct debugfile *d)
{
    return d->entry ? d->places[d->found].fd : -1;
}

/* Does a table that was parsed for somebody else belong to this binary? */
static bool fits(const struct debugfile *d, const struct cache_entry *e)
{
    const struct symtab *t = cache_entry_table(e);

    return t && d->request.build_id_size &&
           symtab_header(t)->build_id_size == d->request.build_id_size &&
           memcmp(symtab_header(t)->build_id, d->request.build_id, d->request.build_id_size) == 0;
}

static void try_next(struct debugfile *d);

static void on_parsed(void *data, enum wire_status status, int *memfd)
{
    struct debugfile *d = data;
    struct symtab *t = NULL;

    d->found = d->next;
    if (status == WIRE_OK && symtab_open(*memfd, &t) == 0)
        d->entry = cache_put(d->setup.cache, &d->places[d->next].identity, t, WIRE_OK);
    d->next++;
    if (!d->entry)
        try_next(d);
}

/* Parses the next place that could be opened, until one fits; then asks further away. */
static void try_next(struct debugfile *d)
{
    for (; d->next < d->count; d->next++) {
        struct cache_entry *e;

        if (d->places[d->next].fd < 0)
            continue;
        e = cache_get(d->setup.cache, &d->places[d->next].identity);
        if (e && fits(d, e)) {
            d->entry = e;
            d->found = d->next;
            return;
        }
        cache_entry_unref(e);
        if (asks_parse(d->setup.asks, WIRE_PARSE_ELF, d->container, &d->request, sizeof(d->request),
                       d->places[d->next].fd, on_parsed, d) == 0)
            return;
    }
    if (d->setup.fetches && !d->fetch)
        fetch_begin(d->setup.fetches, d->request.build_id, d->request.build_id_size, &d->fetch);
}

static void on_opened(void *data, const struct client_answer *a)
{
    struct debugfile *d = data;
    const struct wire_opened *head = a->payload;
    const struct wire_opened_item *items = NULL;
    size_t count = 0, next_fd = 0;

    if (a->status == WIRE_OK && a->size >= sizeof(*head)) {
        items = (const void *)(head + 1);
        count = MIN(head->count, (a->size - sizeof(*head)) / sizeof(*items));
    }
    for (size_t i = 0; i < MIN(count, d->count); i++) {
        struct wire_opened_item item;

        memcpy(&item, &items[i], sizeof(item));
        if (item.reason != FILE_OK || next_fd >= a->fd_count)
            continue;
        d->places[i].fd = TAKE_FD(a->fds[next_fd]);
        next_fd++;
        d->places[i].identity = (struct cache_identity){.dev = item.dev,
                                                        .ino = item.ino,
                                                        .size = item.size,
                                                        .mtime_ns = item.mtime_ns,
                                                        .ctime_ns = item.ctime_ns};
    }
    try_next(d);
}

static void add_place(struct debugfile *d, struct buf *payload, enum wire_open_kind kind,
                      const char *path)
{
    struct wire_open_item item = {.kind = kind, .path_size = (uint32_t)strlen(path)};

    if (d->count == PLACES_MAX || item.path_size >= WIRE_PATH_MAX)
        return;
    d->places[d->count++].fd = -1;
    buf_add(payload, &item, sizeof(item));
    buf_add(payload, path, item.path_size);
}

static void add_by_build_id(struct debugfile *d, struct buf *payload)
{
    char path[128];
    int n = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%02x/", d->request.build_id[0]);

    if (d->request.build_id_size < 2)
        return;
    for (uint32_t i = 1; i < d->request.build_id_size; i++)
        n += snprintf(path + n, sizeof(path) - (size_t)n, "%02x", d->request.build_id[i]);
    snprintf(path + n, sizeof(path) - (size_t)n, ".debug");
    add_place(d, payload, WIRE_OPEN_PATH, path);
    add_place(d, payload, WIRE_OPEN_HOST, path);
}

static void add_by_debuglink(struct debugfile *d, struct buf *payload, const char *binary,
                             const char *link)
{
    const char *slash = strrchr(binary, '/');
    int dir = slash ? (int)(slash - binary) : 0;
    char path[WIRE_PATH_MAX + 300];

    if (!*link || strchr(link, '/') || dir > WIRE_PATH_MAX / 2)
        return;
    snprintf(path, sizeof(path), "%.*s/%s", dir, binary, link);
    add_place(d, payload, WIRE_OPEN_PATH, path);
    snprintf(path, sizeof(path), "%.*s/.debug/%s", dir, binary, link);
    add_place(d, payload, WIRE_OPEN_PATH, path);
    snprintf(path, sizeof(path), "/usr/lib/debug%.*s/%s", dir, binary, link);
    add_place(d, payload, WIRE_OPEN_PATH, path);
    add_place(d, payload, WIRE_OPEN_HOST, path);
}

int debugfile_search(const struct debugfile_setup *setup, struct pin *pin, const char *binary,
                     const struct symtab_header *header, struct debugfile **ret)
{
    _cleanup_buf_ struct buf payload = {0};
    struct wire_open head = {0};
    struct debugfile *d;
    int r;

    if (!pin || pin->root_fd < 0)
        return 0;
    d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->setup = *setup;
    d->container = pin->info.mount_ns;
    d->request.flags = WIRE_ELF_DEBUG_FILE;
    d->request.crc = header->debuglink_crc;
    d->request.build_id_size = header->build_id_size;
    memcpy(d->request.build_id, header->build_id, sizeof(d->request.build_id));

    buf_add(&payload, &head, sizeof(head));
    add_by_build_id(d, &payload);
    add_by_debuglink(d, &payload, binary, header->debuglink);
    head.count = (uint32_t)d->count;
    r = buf_error(&payload);
    if (r == 0)
        memcpy(payload.data, &head, sizeof(head));
    if (r == 0 && d->count)
        r = asks_ask(setup->asks, WIRE_OPEN, d->container, payload.data, payload.size,
                     &pin->root_fd, 1, on_opened, d);
    if (r < 0 || !d->count) {
        debugfile_free(d);
        return r;
    }
    *ret = d;
    return 0;
}
