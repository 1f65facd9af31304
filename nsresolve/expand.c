/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/expand.h"

#include "base/buf.h"
#include "base/pathat.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHARED_DIRECTORY "/usr/lib/debug/.dwz/"
#define PLACES_MAX 6

struct expansion {
    struct asks *asks;
    struct pin *pin; /* borrowed, or NULL */
    uint64_t container;
    int fd;           /* borrowed */
    int addresses_fd; /* a memfd */
    struct wire_parse_inlines request;
    int shared[PLACES_MAX]; /* candidates that could be opened */
    size_t shared_count, place_count;
    char link[sizeof(((struct symtab_header *)0)->altlink)]; /* to the shared file, or empty */
    bool left_out;                                           /* some addresses */
    bool answered;
    enum wire_status status;
    struct inlinetab *table; /* NULL: none yet, or status says why not */
};

void expansion_free(struct expansion *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->shared_count; i++)
        close(e->shared[i]);
    if (e->addresses_fd >= 0)
        close(e->addresses_fd);
    inlinetab_free(e->table);
    free(e);
}

static void give_up(struct expansion *e, enum wire_status status)
{
    e->answered = true;
    e->status = status;
}

static void on_parsed(void *data, enum wire_status status, int *memfd)
{
    struct expansion *e = data;

    if (status == WIRE_OK && inlinetab_open(*memfd, &e->table) < 0)
        status = WIRE_MALFORMED;
    give_up(e, status);
}

static void parse(struct expansion *e)
{
    int fds[PLACES_MAX + 2] = {e->fd, e->addresses_fd};

    memcpy(&fds[2], e->shared, e->shared_count * sizeof(*fds));
    if (asks_parse_files(e->asks, WIRE_PARSE_INLINES, e->container, &e->request, sizeof(e->request),
                         fds, e->shared_count + 2, on_parsed, e) < 0)
        give_up(e, WIRE_FAILED);
}

/* ---- the shared file ---- */

static void on_opened(void *data, const struct client_answer *a)
{
    struct expansion *e = data;

    /* Which is which does not matter: the build ID decides. */
    for (size_t i = 0; a->status == WIRE_OK && i < a->fd_count && e->shared_count < PLACES_MAX; i++)
        e->shared[e->shared_count++] = TAKE_FD(a->fds[i]);
    parse(e);
}

/* In the container first, then on the host. */
static void add_place(struct expansion *e, struct buf *payload, const char *path)
{
    static const enum wire_open_kind kinds[] = {WIRE_OPEN_PATH, WIRE_OPEN_HOST};

    for (size_t i = 0; i < ARRAY_SIZE(kinds) && e->place_count < PLACES_MAX; i++) {
        struct wire_open_item item = {.kind = kinds[i], .path_size = (uint32_t)strlen(path)};

        buf_add(payload, &item, sizeof(item));
        buf_add(payload, path, item.path_size);
        e->place_count++;
    }
}

static void add_by_build_id(struct expansion *e, struct buf *payload)
{
    _cleanup_buf_ struct buf path = {0};

    if (e->request.alt_build_id_size < 2)
        return;
    buf_addf(&path, "/usr/lib/debug/.build-id/%02x/", e->request.alt_build_id[0]);
    for (uint32_t i = 1; i < e->request.alt_build_id_size; i++)
        buf_addf(&path, "%02x", e->request.alt_build_id[i]);
    buf_adds(&path, ".debug");
    if (buf_error(&path) == 0)
        add_place(e, payload, path.data);
}

/* Debian's links are absolute. Others' are relative to the debug file, and lead to one directory.
 */
static void add_by_link(struct expansion *e, struct buf *payload)
{
    static const char mark[] = "/.dwz/";
    const char *at = strstr(e->link, mark);
    char path[sizeof(SHARED_DIRECTORY) + sizeof(e->link)];

    if (*e->link == '/') {
        add_place(e, payload, e->link);
    } else if (at) {
        snprintf(path, sizeof(path), "%s%s", SHARED_DIRECTORY, at + strlen(mark));
        add_place(e, payload, path);
    }
}

/* Asks for the shared file wherever it may be. -ENOENT: nowhere. */
static int open_shared(struct expansion *e)
{
    _cleanup_buf_ struct buf payload = {0};
    struct wire_open head = {0};

    if (!*e->link || !e->pin || e->pin->root_fd < 0)
        return -ENOENT;
    buf_add(&payload, &head, sizeof(head));
    add_by_link(e, &payload);
    add_by_build_id(e, &payload);
    if (buf_error(&payload) < 0)
        return -ENOMEM;
    head.count = (uint32_t)e->place_count;
    memcpy(payload.data, &head, sizeof(head));
    return asks_ask(e->asks, WIRE_OPEN, e->container, payload.data, payload.size, &e->pin->root_fd,
                    1, on_opened, e);
}

/* ---- beginning ---- */

static int hand_over(const uint64_t *addresses, size_t count)
{
    _cleanup_close_ int fd = memfd_create("addresses", MFD_CLOEXEC);
    const char *data = (const char *)addresses;

    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < count * sizeof(*addresses);) {
        ssize_t n = write(fd, data + done, count * sizeof(*addresses) - done);

        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return TAKE_FD(fd);
}

int expansion_new(const struct expansion_setup *setup, struct expansion **ret)
{
    _cleanup_(expansion_freep) struct expansion *e = calloc(1, sizeof(*e));
    size_t count = MIN(setup->count, (size_t)INLINETAB_MAX_ADDRESSES);
    const struct symtab_header *h = setup->header;

    if (!e)
        return -ENOMEM;
    e->asks = setup->asks;
    e->pin = setup->pin;
    e->container = setup->pin ? setup->pin->info.mount_ns : 0;
    e->fd = setup->fd;
    e->left_out = count < setup->count;
    e->request.address_count = (uint32_t)count;
    memcpy(e->link, h->altlink, sizeof(e->link));
    e->request.alt_build_id_size = h->altlink_id_size;
    memcpy(e->request.alt_build_id, h->altlink_id, sizeof(e->request.alt_build_id));
    e->addresses_fd = hand_over(setup->addresses, count);
    if (e->addresses_fd < 0)
        return e->addresses_fd;
    *ret = TAKE_PTR(e);
    return 0;
}

void expansion_start(struct expansion *e)
{
    if (open_shared(e) < 0)
        parse(e);
}

/* ---- the answer ---- */

static enum frame_inlines cause_of_status(enum wire_status status, const char **detail)
{
    static const char *const texts[] = {
        [WIRE_FAILED] = "the parser failed",
        [WIRE_TIMEOUT] = "parsing took too long",
        [WIRE_CRASHED] = "the parser broke a bound",
        [WIRE_BREAKER] = "the parser is overloaded",
        [WIRE_MALFORMED] = "not valid DWARF",
        [WIRE_TOO_BIG] = "too much DWARF, or it is cut short",
        [WIRE_LOST] = "the parser was lost",
    };

    *detail = status < ARRAY_SIZE(texts) ? texts[status] : NULL;
    return status == WIRE_TOO_BIG ? INLINES_BOUNDS : INLINES_PARSER;
}

enum frame_inlines expansion_find(const struct expansion *e, uint64_t address,
                                  const struct inlinetab **table,
                                  const struct inline_address **functions, const char **detail)
{
    static const enum frame_inlines causes[INLINE_STATE_COUNT] = {
        [INLINE_KNOWN] = INLINES_EXPANDED, [INLINE_NO_UNIT] = INLINES_NO_UNIT,
        [INLINE_SPLIT] = INLINES_SPLIT,    [INLINE_NO_NAME] = INLINES_NO_ALT,
        [INLINE_DAMAGED] = INLINES_PARSER, [INLINE_CUT] = INLINES_BOUNDS,
    };

    *detail = NULL;
    if (!e->answered)
        return INLINES_TIMEOUT;
    if (!e->table)
        return cause_of_status(e->status, detail);
    *table = e->table;
    *functions = inlinetab_find(e->table, address);
    if (!*functions)
        return e->left_out ? INLINES_BOUNDS : INLINES_PARSER;
    if ((*functions)->state == INLINE_NO_NAME && !*e->link) {
        *detail = "a function without a name";
        return INLINES_PARSER;
    }
    if ((*functions)->state == INLINE_NO_NAME)
        *detail = e->link;
    if ((*functions)->state == INLINE_DAMAGED)
        *detail = "not valid DWARF";
    return causes[(*functions)->state];
}
