/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/files.h"

#include "base/buf.h"
#include "base/pathat.h"
#include "base/table.h"
#include "nsresolve/debugfile.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ATTEMPTS_MAX 6
#define SHARE 4u /* of the room, for one process: 1 / SHARE */

enum open_state { OPEN_NOT, OPEN_QUEUED, OPEN_ASKED, OPEN_DONE, OPEN_REFUSED };
enum table_state { TABLE_NONE, TABLE_WANTED, TABLE_ASKED, TABLE_DONE };

struct file {
    struct files *files;
    uint64_t dev, ino;
    char *path;
    enum file_kind kind;

    enum open_state open_state;
    enum file_reason open_reason;
    unsigned attempts;
    int fd; /* -1 until open; pins the inode for the whole capture */
    struct cache_identity identity;
    struct pin *pin; /* through which it was opened: debug files are looked for there */

    enum table_state table_state;
    enum wire_status parse_status;
    struct cache_entry *table;   /* NULL: none yet, or parse_status says why not */
    struct debugfile *debugfile; /* the search, and what it found */

    bool rules_asked;
    bool in_use;                /* found mapped, by the looking for what is not */
    struct unwind_entry *rules; /* NULL: not known yet */
};

static void want_rules(struct file *f);

/* One collected wish. */
struct wish {
    struct file *file;
    struct pin *pin;
    uint64_t start, end;
};

struct files {
    struct files_setup setup;
    struct table *by_id;
    uint64_t rules_freed; /* unwinds_freed() when refused rules were last asked for */
    struct wish *wishes;
    size_t wish_count, wish_allocated;
    bool want_dwarf;
};

/* What one WIRE_OPEN was about. */
struct batch {
    struct pin *pin;
    size_t count;
    struct file *files[WIRE_BATCH_MAX];
};

static void file_free(void *data)
{
    struct file *f = data;

    debugfile_free(f->debugfile);
    cache_entry_unref(f->table);
    pin_unref(f->pin);
    unwinds_unref(f->files->setup.unwinds, f->rules);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f);
}

int files_new(const struct files_setup *setup, struct files **ret)
{
    _cleanup_(files_freep) struct files *fs = calloc(1, sizeof(*fs));

    if (!fs || table_new(&fs->by_id, file_free) < 0)
        return -ENOMEM;
    fs->setup = *setup;
    *ret = TAKE_PTR(fs);
    return 0;
}

void files_free(struct files *fs)
{
    if (!fs)
        return;
    for (size_t i = 0; i < fs->wish_count; i++)
        pin_unref(fs->wishes[i].pin);
    free(fs->wishes);
    table_free(fs->by_id);
    free(fs);
}

/* Names that the kernel gives to mappings which are no file that could be read as ELF. */
static enum file_kind kind_of(uint64_t ino, const char *path, size_t size)
{
    static const char *const anonymous[] = {"//anon",      "/memfd:", "/dev/zero",     "/SYSV",
                                            "anon_inode:", "[",       "/anon_hugepage"};

    if (size == 6 && memcmp(path, "[vdso]", 6) == 0)
        return FILE_KIND_VDSO;
    for (size_t i = 0; i < ARRAY_SIZE(anonymous); i++)
        if (size >= strlen(anonymous[i]) && memcmp(path, anonymous[i], strlen(anonymous[i])) == 0)
            return FILE_KIND_ANONYMOUS;
    return ino == 0 ? FILE_KIND_ANONYMOUS : FILE_KIND_ELF;
}

/* A quarter of what all others leave: one alone cannot keep the rest from having names, nor can
 * some few. */
static bool has_room(const struct files *fs, unsigned taken)
{
    size_t count = table_count(fs->by_id);

    return count < FILES_MAX && taken < (FILES_MAX - (count - MIN(taken, count))) / SHARE;
}

struct file *files_obtain(struct files *fs, uint64_t dev, uint64_t ino, const char *path,
                          size_t path_size, unsigned *taken)
{
    enum file_kind kind = kind_of(ino, path, path_size);
    uint64_t key[3] = {kind, kind == FILE_KIND_ELF ? dev : 0, kind == FILE_KIND_ELF ? ino : 0};
    struct file *f = table_get(fs->by_id, key, sizeof(key));

    if (f)
        return f;
    /* The others are one each. */
    if (kind == FILE_KIND_ELF && !has_room(fs, *taken))
        return NULL;
    f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    *f = (struct file){.files = fs, .dev = dev, .ino = ino, .kind = kind, .fd = -1};
    f->path = strndup(path, MIN(path_size, (size_t)WIRE_PATH_MAX - 1));
    if (!f->path || table_put(fs->by_id, key, sizeof(key), f) < 0) {
        file_free(f);
        return NULL;
    }
    if (kind == FILE_KIND_ELF)
        ++*taken;
    if (kind == FILE_KIND_VDSO)
        want_rules(f);
    return f;
}

enum file_kind file_kind(const struct file *f)
{
    return f->kind;
}

const char *file_path(const struct file *f)
{
    return f->path;
}

void file_identity(const struct file *f, uint64_t *dev, uint64_t *ino)
{
    *dev = f->dev;
    *ino = f->ino;
}

bool file_wants_retry(const struct file *f)
{
    return f->kind == FILE_KIND_ELF && f->attempts < ATTEMPTS_MAX &&
           (f->open_state == OPEN_NOT || f->open_state == OPEN_REFUSED);
}

void files_want(struct files *fs, struct file *f, struct pin *pin, uint64_t start, uint64_t end)
{
    if (!file_wants_retry(f) || !pin)
        return;
    if (fs->wish_count == fs->wish_allocated) {
        size_t want = MAX(fs->wish_allocated * 2, (size_t)32);
        struct wish *w = realloc(fs->wishes, want * sizeof(*w));

        if (!w)
            return;
        fs->wishes = w;
        fs->wish_allocated = want;
    }
    fs->wishes[fs->wish_count++] = (struct wish){f, pin_ref(pin), start, end};
    f->open_state = OPEN_QUEUED;
    f->attempts++;
}

static void parse_next(struct file *f);

static void take_opened(struct file *f, const struct wire_opened_item *item, struct pin *pin,
                        int *fd)
{
    f->open_reason = item->reason < FILE_REASON_COUNT ? item->reason : FILE_UNREADABLE;
    f->open_state = OPEN_REFUSED;
    if (f->open_reason == FILE_OK && !fd)
        f->open_reason = FILE_LIMIT;
    if (f->open_reason != FILE_OK)
        return;
    f->fd = TAKE_FD(*fd);
    f->open_state = OPEN_DONE;
    f->identity = (struct cache_identity){.dev = item->dev,
                                          .ino = item->ino,
                                          .size = item->size,
                                          .mtime_ns = item->mtime_ns,
                                          .ctime_ns = item->ctime_ns};
    f->pin = pin_ref(pin);
    if (f->table_state == TABLE_WANTED)
        parse_next(f);
    want_rules(f);
}

static enum file_reason reason_of_status(enum wire_status status)
{
    switch (status) {
    case WIRE_TIMEOUT:
        return FILE_TIMEOUT;
    case WIRE_BREAKER:
        return FILE_BREAKER;
    default:
        return FILE_LIMIT;
    }
}

static void on_opened(void *data, const struct client_answer *a)
{
    struct batch *b = data;
    const struct wire_opened *head = a->payload;
    const struct wire_opened_item *items = NULL;
    size_t count = 0, next_fd = 0;

    if (a->status == WIRE_OK && a->size >= sizeof(*head)) {
        items = (const void *)(head + 1);
        count = MIN(head->count, (a->size - sizeof(*head)) / sizeof(*items));
    }
    for (size_t i = 0; i < b->count; i++) {
        struct wire_opened_item item = {.reason = reason_of_status(a->status)};
        int *fd = NULL;

        if (i < count) {
            memcpy(&item, &items[i], sizeof(item));
            if (item.reason == FILE_OK && next_fd < a->fd_count)
                fd = &a->fds[next_fd++];
        }
        take_opened(b->files[i], &item, b->pin, fd);
    }
    pin_unref(b->pin);
    free(b);
}

/* Sends the first `count` wishes, which share one pin. */
static void send_batch(struct files *fs, const struct wish *wishes, size_t count)
{
    _cleanup_buf_ struct buf payload = {0};
    struct batch *b = calloc(1, sizeof(*b));
    struct pin *pin = wishes[0].pin;
    int fds[2] = {pin->proc_fd, pin->root_fd};
    bool has_proc = pin->proc_fd >= 0;
    struct wire_open head = {.count = (uint32_t)count, .has_proc = has_proc};

    buf_add(&payload, &head, sizeof(head));
    for (size_t i = 0; i < count; i++) {
        struct file *f = wishes[i].file;
        struct wire_open_item item = {
            .kind = WIRE_OPEN_MAPPED,
            .path_size = (uint32_t)strlen(f->path),
            .start = wishes[i].start,
            .end = wishes[i].end,
            .dev = f->dev,
            .ino = f->ino,
        };

        buf_add(&payload, &item, sizeof(item));
        buf_add(&payload, f->path, item.path_size);
        f->open_state = OPEN_ASKED;
        if (b)
            b->files[b->count++] = f;
    }
    if (b && buf_error(&payload) == 0) {
        b->pin = pin_ref(pin);
        if (asks_ask(fs->setup.asks, WIRE_OPEN, pin->info.mount_ns, payload.data, payload.size,
                     has_proc ? fds : &fds[1], has_proc ? 2 : 1, on_opened, b) == 0)
            return;
        pin_unref(pin);
    }
    for (size_t i = 0; i < count; i++) {
        wishes[i].file->open_state = OPEN_REFUSED;
        wishes[i].file->open_reason = FILE_LIMIT;
    }
    free(b);
}

void files_flush(struct files *fs)
{
    size_t i = 0;

    while (i < fs->wish_count) {
        size_t n = 1, bytes = WIRE_PATH_MAX;

        while (i + n < fs->wish_count && n < WIRE_BATCH_MAX && bytes < 48000 &&
               fs->wishes[i + n].pin == fs->wishes[i].pin) {
            bytes += strlen(fs->wishes[i + n].file->path) + sizeof(struct wire_open_item);
            n++;
        }
        send_batch(fs, &fs->wishes[i], n);
        i += n;
    }
    for (i = 0; i < fs->wish_count; i++)
        pin_unref(fs->wishes[i].pin);
    fs->wish_count = 0;
}

/* ---- tables ---- */

static void search_debug_file(struct file *f)
{
    struct debugfile_setup setup;
    const struct symtab *t = f->table ? cache_entry_table(f->table) : NULL;
    const uint32_t want = SYMTAB_HAS_SYMTAB | (f->files->want_dwarf ? SYMTAB_HAS_DWARF : 0);

    f->table_state = TABLE_DONE;
    if (!t || f->kind != FILE_KIND_ELF || (symtab_header(t)->flags & want) == want)
        return;
    setup = (struct debugfile_setup){.asks = f->files->setup.asks, .cache = f->files->setup.cache};
    /* Others are asked for names only. */
    if (!(symtab_header(t)->flags & SYMTAB_HAS_SYMTAB))
        setup.fetches = f->files->setup.fetches;
    debugfile_search(&setup, f->pin, f->path, symtab_header(t), &f->debugfile);
}

static void on_parsed(void *data, enum wire_status status, int *memfd)
{
    struct file *f = data;
    struct symtab *t = NULL;

    if (status == WIRE_OK && symtab_open(*memfd, &t) < 0)
        status = WIRE_MALFORMED;
    f->parse_status = status;
    /* A busy or lost parser says nothing about the file: remember only what the file did. */
    if (status == WIRE_OK || status == WIRE_TIMEOUT || status == WIRE_CRASHED ||
        status == WIRE_MALFORMED || status == WIRE_TOO_BIG)
        f->table = cache_put(f->files->setup.cache, &f->identity, t, status);
    search_debug_file(f);
}

/* The file is open and its table is wanted. */
static void parse_next(struct file *f)
{
    struct wire_parse_elf request = {.flags = f->kind == FILE_KIND_VDSO ? WIRE_ELF_VDSO : 0};
    int fd = f->kind == FILE_KIND_VDSO ? f->files->setup.vdso_fd : f->fd;

    f->table = cache_get(f->files->setup.cache, &f->identity);
    if (f->table) {
        search_debug_file(f);
        return;
    }
    f->table_state = TABLE_ASKED;
    if (asks_parse(f->files->setup.asks, WIRE_PARSE_ELF, f->pin ? f->pin->info.mount_ns : 0,
                   &request, sizeof(request), fd, on_parsed, f) < 0) {
        f->parse_status = WIRE_LOST;
        f->table_state = TABLE_DONE;
    }
}

void files_sampled(struct files *fs, struct file *f)
{
    if (f->table_state != TABLE_NONE || f->kind == FILE_KIND_ANONYMOUS)
        return;
    f->table_state = TABLE_WANTED;
    if (f->open_state == OPEN_DONE || (f->kind == FILE_KIND_VDSO && fs->setup.vdso_fd >= 0))
        parse_next(f);
}

/* ---- unwind rules ---- */

static void on_rules(void *data, enum wire_status status, int *memfd)
{
    struct file *f = data;
    struct files_setup *setup = &f->files->setup;
    struct unwindtab *t = NULL;

    if (status == WIRE_OK && unwindtab_open(*memfd, &t) < 0)
        t = NULL;
    /* Another capture may have been faster. */
    f->rules = unwinds_get(setup->unwinds, &f->identity);
    if (f->rules)
        unwindtab_free(t);
    else
        f->rules = unwinds_put(setup->unwinds, &f->identity, t);
    setup->changed(setup->data);
}

/* The file is open: gets its rules, before anybody waits for them. */
static void want_rules(struct file *f)
{
    struct files_setup *setup = &f->files->setup;
    int fd = f->kind == FILE_KIND_VDSO ? setup->vdso_fd : f->fd;

    if (!setup->unwinds || f->rules_asked || fd < 0)
        return;
    f->rules_asked = true;
    f->rules = unwinds_get(setup->unwinds, &f->identity);
    if (f->rules)
        setup->changed(setup->data);
    else
        asks_parse(setup->asks, WIRE_PARSE_UNWIND, f->pin ? f->pin->info.mount_ns : 0, NULL, 0, fd,
                   on_rules, f);
}

static void drop_rules(struct file *f)
{
    unwinds_unref(f->files->setup.unwinds, TAKE_PTR(f->rules));
    f->rules_asked = false;
}

void files_retry_rules(struct files *fs)
{
    struct file *f;
    size_t cursor = 0;

    if (!fs->setup.unwinds || fs->rules_freed == unwinds_freed(fs->setup.unwinds))
        return;
    fs->rules_freed = unwinds_freed(fs->setup.unwinds);
    while ((f = table_next(fs->by_id, &cursor, NULL, NULL))) {
        if (!f->rules || !unwind_entry_refused(f->rules))
            continue;
        drop_rules(f);
        want_rules(f);
    }
}

bool files_lack_room(const struct files *fs)
{
    const struct file *f;
    size_t cursor = 0;

    while ((f = table_next(fs->by_id, &cursor, NULL, NULL)))
        if (f->rules && unwind_entry_refused(f->rules))
            return true;
    return false;
}

void files_release_rules(struct files *fs)
{
    struct file *f;
    size_t cursor = 0;

    while ((f = table_next(fs->by_id, &cursor, NULL, NULL))) {
        if (f->rules && !f->in_use && f->kind != FILE_KIND_VDSO)
            drop_rules(f);
        f->in_use = false;
    }
}

void file_keep_rules(struct file *f)
{
    f->in_use = true;
}

enum file_rules file_rules(struct file *f, const struct unwind_entry **entry)
{
    if (f->open_state == OPEN_DONE)
        want_rules(f); /* they may have been released */
    *entry = f->rules;
    if (f->rules)
        return FILE_RULES_READY;
    if (f->kind == FILE_KIND_ANONYMOUS || f->open_state == OPEN_REFUSED)
        return FILE_RULES_NONE;
    return FILE_RULES_AWAITED;
}

static enum frame_reason no_table(const struct file *f, const char **detail)
{
    static const char *const texts[] = {
        [WIRE_FAILED] = "the parser failed",         [WIRE_TIMEOUT] = "parsing took too long",
        [WIRE_CRASHED] = "the parser broke a bound", [WIRE_BREAKER] = "the parser is overloaded",
        [WIRE_MALFORMED] = "not a valid ELF file",   [WIRE_TOO_BIG] = "beyond the parser's bounds",
        [WIRE_LOST] = "the parser was lost",
    };
    enum wire_status status;

    if (f->open_state == OPEN_REFUSED) {
        *detail = file_reason_text(f->open_reason);
        return frame_reason_of_file(f->open_reason);
    }
    if (f->open_state == OPEN_NOT && f->kind == FILE_KIND_ELF) {
        *detail = file_reason_text(FILE_GONE);
        return REASON_FILE_GONE;
    }
    if (f->table_state != TABLE_DONE)
        return REASON_TIMEOUT;
    status = f->table ? cache_entry_status(f->table) : f->parse_status;
    *detail = status < ARRAY_SIZE(texts) ? texts[status] : NULL;
    /* Of the parser, not of the file. */
    if (status == WIRE_FAILED || status == WIRE_BREAKER || status == WIRE_LOST)
        return REASON_TIMEOUT;
    return REASON_PARSER;
}

static enum frame_source source_of(const struct file *f, const struct symtab_symbol *s)
{
    static const uint8_t sources[SYMTAB_SOURCE_COUNT] = {
        [SYMTAB_FROM_SYMTAB] = SOURCE_SYMTAB,       [SYMTAB_FROM_DYNSYM] = SOURCE_DYNSYM,
        [SYMTAB_FROM_MINIDEBUG] = SOURCE_MINIDEBUG, [SYMTAB_FROM_PLT] = SOURCE_PLT,
        [SYMTAB_FROM_PCLNTAB] = SOURCE_PCLNTAB,
    };

    return f->kind == FILE_KIND_VDSO ? SOURCE_VDSO : sources[s->source];
}

enum frame_reason file_symbol(const struct file *f, uint64_t offset, struct file_symbol *ret,
                              uint64_t *vaddr, const char **detail)
{
    const struct symtab *t = f->table ? cache_entry_table(f->table) : NULL, *debug;
    const uint32_t has_symbols = SYMTAB_HAS_SYMTAB | SYMTAB_HAS_MINIDEBUG;
    const struct symtab_symbol *s = NULL;

    *vaddr = offset;
    *detail = NULL;
    if (!t)
        return no_table(f, detail);
    if (!symtab_vaddr(t, offset, vaddr))
        return REASON_NO_MAPPING;
    debug = f->debugfile ? debugfile_table(f->debugfile) : NULL;
    if (debug) {
        s = symtab_find(debug, *vaddr, &ret->name);
        ret->source = debugfile_source(f->debugfile);
    }
    if (!s) {
        s = symtab_find(t, *vaddr, &ret->name);
        if (!s && !debug && f->debugfile)
            *detail = debugfile_reason(f->debugfile);
        if (!s)
            return debug || (symtab_header(t)->flags & has_symbols) ? REASON_NO_SYMBOL
                                                                    : REASON_STRIPPED;
        ret->source = source_of(f, s);
    }
    ret->start = s->start;
    ret->is_go = *vaddr >= symtab_header(t)->go_start && *vaddr < symtab_header(t)->go_end;
    return REASON_NONE;
}

size_t file_build_id(const struct file *f, const uint8_t **ret)
{
    const struct symtab *t = f->table ? cache_entry_table(f->table) : NULL;

    if (!t)
        return 0;
    *ret = symtab_header(t)->build_id;
    return symtab_header(t)->build_id_size;
}

void files_want_dwarf(struct files *fs)
{
    fs->want_dwarf = true;
}

const struct symtab_header *file_dwarf(const struct file *f, int *fd, struct pin **pin)
{
    const struct symtab *own = f->table ? cache_entry_table(f->table) : NULL;
    const struct symtab *debug = f->debugfile ? debugfile_table(f->debugfile) : NULL;

    *pin = f->pin;
    *fd = f->fd;
    if (own && *fd >= 0 && (symtab_header(own)->flags & SYMTAB_HAS_DWARF))
        return symtab_header(own);
    *fd = f->debugfile ? debugfile_fd(f->debugfile) : -1;
    if (debug && *fd >= 0 && (symtab_header(debug)->flags & SYMTAB_HAS_DWARF))
        return symtab_header(debug);
    return NULL;
}

bool file_vaddr(const struct file *f, uint64_t offset, uint64_t *ret)
{
    const struct symtab *t = f->table ? cache_entry_table(f->table) : NULL;

    return t && symtab_vaddr(t, offset, ret);
}
