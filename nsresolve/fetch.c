/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/fetch.h"

#include "base/loop.h"
#include "base/table.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define FETCHES_MAX 1024             /* build IDs remembered */
#define ABSENT_NS (600 * NS_PER_SEC) /* no server has it */
#define FAILED_NS (60 * NS_PER_SEC)  /* no server answered as it should */
#define NO_DEVICE UINT64_MAX         /* of identities in the cache that are build IDs */

struct fetch_wait {
    struct fetch_wait *next;
    struct fetch *fetch; /* NULL: over */
    struct fetch_group *group;
    struct cache_entry *entry; /* of the table, or NULL */
    const char *why;
};

struct fetch {
    struct fetches *fetches;
    struct wire_fetch request;
    bool open;
    int memfd; /* what the fetcher writes to, -1: none */
    const char *why;
    uint64_t until_ns; /* not asked again before, once it is over */
    struct fetch_wait *first;
};

struct fetches {
    struct asks *asks;
    struct cache *cache;
    struct table *by_build_id;
    struct fetches_stats stats;
};

static void fetch_free(void *data)
{
    struct fetch *f = data;

    if (f->memfd >= 0)
        close(f->memfd);
    free(f);
}

int fetches_new(struct client *client, struct cache *cache, struct fetches **ret)
{
    _cleanup_(fetches_freep) struct fetches *fs = calloc(1, sizeof(*fs));

    if (!fs || asks_new(client, NULL, NULL, &fs->asks) < 0 ||
        table_new(&fs->by_build_id, fetch_free) < 0)
        return -ENOMEM;
    fs->cache = cache;
    *ret = TAKE_PTR(fs);
    return 0;
}

void fetches_free(struct fetches *fs)
{
    if (!fs)
        return;
    asks_free(fs->asks);
    table_free(fs->by_build_id);
    free(fs);
}

void fetches_get_stats(const struct fetches *fs, struct fetches_stats *ret)
{
    *ret = fs->stats;
}

/* What came has no inode: the cache knows it by its build ID. */
static struct cache_identity identity_of(const struct wire_fetch *request)
{
    struct cache_identity id = {.dev = NO_DEVICE};

    memcpy(&id.ino, request->build_id, 8);
    memcpy(&id.size, request->build_id + 8, 8);
    memcpy(&id.mtime_ns, request->build_id + 16, 8);
    memcpy(&id.ctime_ns, request->build_id + 24, 8);
    return id;
}

/* ---- the end of a question ---- */

/* entry is a reference that is given up; why says why there is none. */
static void finish(struct fetch *f, struct cache_entry *entry, const char *why, uint64_t retry_ns)
{
    struct fetches_stats *stats = &f->fetches->stats;
    struct cache_identity id = identity_of(&f->request);
    struct fetch_wait *w;

    if (f->memfd >= 0)
        close(TAKE_FD(f->memfd));
    f->open = false;
    f->why = why;
    f->until_ns = entry ? 0 : now_ns() + retry_ns;
    stats->open--;
    while ((w = f->first)) {
        f->first = w->next;
        w->fetch = NULL;
        w->why = why;
        w->entry = entry ? cache_get(f->fetches->cache, &id) : NULL;
        if (--w->group->open == 0)
            w->group->idle(w->group->data);
    }
    cache_entry_unref(entry);
}

static void fail(struct fetch *f, const char *why)
{
    f->fetches->stats.failed++;
    finish(f, NULL, why, FAILED_NS);
}

/* ---- its way ---- */

static void on_parsed(void *data, enum wire_status status, int *memfd)
{
    struct fetch *f = data;
    struct cache_identity id = identity_of(&f->request);
    struct cache_entry *entry = NULL;
    struct symtab *t = NULL;

    if (status == WIRE_OK && symtab_open(*memfd, &t) == 0)
        entry = cache_put(f->fetches->cache, &id, t, WIRE_OK);
    if (!entry) {
        fail(f, status == WIRE_MALFORMED ? "debuginfod sent no debug file of that build ID"
                                         : "the parser gave up on what debuginfod sent");
        return;
    }
    f->fetches->stats.found++;
    finish(f, entry, NULL, 0);
}

static void parse(struct fetch *f)
{
    struct wire_parse_elf request = {.flags = WIRE_ELF_DEBUG_FILE,
                                     .build_id_size = f->request.build_id_size};
    struct stat st;

    memcpy(request.build_id, f->request.build_id, sizeof(request.build_id));
    /* Nobody changes it from here on. */
    if (client_seal(f->memfd) < 0 || fstat(f->memfd, &st) < 0 ||
        asks_parse(f->fetches->asks, WIRE_PARSE_ELF, 0, &request, sizeof(request), f->memfd,
                   on_parsed, f) < 0)
        fail(f, "what debuginfod sent cannot be parsed");
    else
        f->fetches->stats.bytes += (uint64_t)st.st_size;
}

static const char *why_not(const struct client_answer *a)
{
    if (a->status == WIRE_TOO_BIG)
        return "what debuginfod sends is too big";
    if (a->status == WIRE_TIMEOUT || a->error == ETIMEDOUT)
        return "debuginfod did not answer in time";
    if (a->error == EPROTONOSUPPORT)
        return "DEBUGINFOD_URLS holds no http or https address";
    if (a->error == EKEYREJECTED)
        return "debuginfod's certificate is not valid";
    if (a->error == EHOSTUNREACH)
        return "debuginfod cannot be reached";
    return "debuginfod failed";
}

static void on_fetched(void *data, const struct client_answer *a)
{
    struct fetch *f = data;

    if (a->status == WIRE_OK) {
        parse(f);
    } else if (a->status == WIRE_FAILED && a->error == ENOENT) {
        f->fetches->stats.absent++;
        finish(f, NULL, "debuginfod has no debug file of it", ABSENT_NS);
    } else {
        fail(f, why_not(a));
    }
}

static int ask(struct fetch *f)
{
    int r;

    f->memfd = client_answer_memfd();
    if (f->memfd < 0)
        return f->memfd;
    r = asks_ask(f->fetches->asks, WIRE_FETCH, 0, &f->request, sizeof(f->request), &f->memfd, 1,
                 on_fetched, f);
    if (r < 0) {
        close(TAKE_FD(f->memfd));
        return r;
    }
    f->open = true;
    f->fetches->stats.asked++;
    f->fetches->stats.open++;
    return 0;
}

/* ---- what captures do ---- */

/* Forgets all that is over. */
static void make_room(struct table *t)
{
    size_t cursor = 0, key_size;
    const void *key;
    struct fetch *f;

    while ((f = table_next(t, &cursor, &key, &key_size)))
        if (!f->open)
            table_remove(t, key, key_size);
}

/* The question about a build ID; made when new. */
static int obtain(struct fetches *fs, const struct wire_fetch *request, struct fetch **ret)
{
    struct fetch *f = table_get(fs->by_build_id, request->build_id, request->build_id_size);

    if (!f) {
        if (table_count(fs->by_build_id) >= FETCHES_MAX)
            make_room(fs->by_build_id);
        if (table_count(fs->by_build_id) >= FETCHES_MAX)
            return -EBUSY;
        f = malloc(sizeof(*f));
        if (!f)
            return -ENOMEM;
        *f = (struct fetch){.fetches = fs, .request = *request, .memfd = -1};
        if (table_put(fs->by_build_id, f->request.build_id, f->request.build_id_size, f) < 0) {
            fetch_free(f);
            return -ENOMEM;
        }
    }
    *ret = f;
    return 0;
}

int fetch_begin(struct fetch_group *g, const uint8_t *build_id, size_t size,
                struct fetch_wait **ret)
{
    struct fetches *fs = g->fetches;
    struct wire_fetch request = {.build_id_size = (uint32_t)size};
    struct cache_identity id;
    struct fetch_wait *w;
    struct fetch *f;
    int r;

    if (size < WIRE_BUILD_ID_MIN || size > sizeof(request.build_id))
        return -EINVAL;
    memcpy(request.build_id, build_id, size);
    id = identity_of(&request);
    w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    *w = (struct fetch_wait){.group = g, .entry = cache_get(fs->cache, &id)};
    if (w->entry) {
        *ret = w;
        return 0;
    }
    r = obtain(fs, &request, &f);
    if (r == 0 && !f->open && now_ns() >= f->until_ns)
        r = ask(f);
    if (r < 0) {
        free(w);
        return r;
    }
    w->why = f->why;
    if (f->open) {
        w->fetch = f;
        w->next = f->first;
        f->first = w;
        g->open++;
    }
    *ret = w;
    return 0;
}

void fetch_end(struct fetch_wait *w)
{
    struct fetch_wait **at;

    if (!w)
        return;
    if (w->fetch) {
        for (at = &w->fetch->first; *at != w; at = &(*at)->next)
            ;
        *at = w->next;
        w->group->open--;
    }
    cache_entry_unref(w->entry);
    free(w);
}

bool fetch_is_open(const struct fetch_wait *w)
{
    return w->fetch;
}

const struct symtab *fetch_table(const struct fetch_wait *w)
{
    return w->entry ? cache_entry_table(w->entry) : NULL;
}

const char *fetch_reason(const struct fetch_wait *w)
{
    return w->fetch ? "debuginfod has not answered yet: try again" : w->why;
}
