/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opener, parser and fetcher made up: a double of nsresolve/client.h for the tests of scenes.
 *
 * Asks wait in a queue until the test has them answered from its world of processes and files. An
 * fd holds the number of what it stands for. Include it in one file per test: it defines the
 * client_* functions, so that the real ones stay in their archive.
 */
#pragma once

#include "base/pathat.h"
#include "nsresolve/client.h"
#include "nsresolve/inlinetab.h"
#include "tests/unit/tables.h"

#define WORLD_MAX 16

struct world_process {
    uint32_t pid;             /* 0: free */
    enum file_reason refuses; /* why files cannot be opened through it; FILE_OK: they can */
    struct wire_mapping maps[WORLD_MAX];
    size_t map_count;
    uint64_t start_ticks;
};

struct world_symbol {
    uint64_t start, size;
    const char *name;
};

struct world_file {
    uint64_t ino; /* 0: free */
    enum wire_status status;
    bool has_symtab;
    uint8_t build_id; /* 0: none */
    bool has_dwarf;
    const char *altlink;            /* NULL: none */
    const char *inlined[WORLD_MAX]; /* at every address, innermost first */
    struct world_symbol symbols[WORLD_MAX];
};

enum demangler { DEMANGLER_UPPER, DEMANGLER_TOO_FEW, DEMANGLER_TOO_MANY, DEMANGLER_LOST };

struct fake_ask {
    struct fake_ask *next;
    enum wire_op op;
    client_fn fn;
    void *data;
    uint64_t ticket;
    char payload[8192];
    size_t size;
    int fds[8];
    size_t fd_count;
};

static struct world {
    struct world_process processes[WORLD_MAX];
    struct world_file files[WORLD_MAX];
    enum file_reason map_reason; /* of the perf map */
    struct world_symbol map_first[WORLD_MAX], map_last[WORLD_MAX];
    uint64_t map_mtime_ns, map_size;
    bool map_rewritten; /* what the parser says when it reads map_last */
    uint32_t map_uid;
    enum demangler demangler;
    enum wire_status lost; /* not WIRE_OK: the answer to everything */
    bool has_fetcher;
    uint64_t fetched; /* the file that it sends; 0: fetch_error */
    int fetch_error;

    unsigned readings;   /* of the perf map, by the parser */
    size_t inline_files; /* fds that came with the last question about inlined functions */
    unsigned asked[WIRE_OP_COUNT];
    struct fake_ask *queue;
    uint64_t last_ticket;
} world;

static int fd_of(uint64_t number)
{
    return memfd_of(&number, sizeof(number));
}

static uint64_t number_in(int fd)
{
    uint64_t n = 0;

    assert_int_equal(pread(fd, &n, sizeof(n), 0), sizeof(n));
    return n;
}

static struct world_process *world_process(uint64_t pid)
{
    for (size_t i = 0; i < WORLD_MAX; i++)
        if (world.processes[i].pid == pid)
            return &world.processes[i];
    return NULL;
}

static struct world_file *world_file(uint64_t ino)
{
    for (size_t i = 0; i < WORLD_MAX; i++)
        if (world.files[i].ino == ino)
            return &world.files[i];
    return NULL;
}

static void answer(struct fake_ask *a, enum wire_status status, const void *payload, size_t size,
                   int *fds, size_t fd_count)
{
    struct client_answer answer = {
        .status = status, .payload = payload, .size = size, .fds = fds, .fd_count = fd_count};

    a->fn(a->data, &answer);
    for (size_t i = 0; i < fd_count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void answer_pin(struct fake_ask *a)
{
    const struct wire_pin *ask = (const void *)a->payload;
    const struct world_process *p = world_process((uint64_t)ask->pid);
    struct wire_pinned pinned = {.mount_ns = 1, .ns_tgid = ask->pid};
    int fds[2];

    if (!p || (ask->start_time && p->start_ticks && ask->start_time != p->start_ticks)) {
        answer(a, WIRE_FAILED, NULL, 0, NULL, 0);
        return;
    }
    pinned.start_time = p->start_ticks;
    fds[0] = fd_of(p->pid);
    fds[1] = fd_of(p->pid);
    answer(a, WIRE_OK, &pinned, sizeof(pinned), fds, 2);
}

static void answer_maps(struct fake_ask *a)
{
    int fd = fd_of(number_in(a->fds[0]));

    answer(a, WIRE_OK, NULL, 0, &fd, 1);
}

static void answer_parse_maps(struct fake_ask *a)
{
    const struct world_process *p = world_process(number_in(a->fds[0]));

    for (size_t i = 0; p && i < p->map_count; i++) {
        struct wire_mapping m = p->maps[i];
        char path[16] = {0};

        m.path_size = m.ino ? (uint32_t)snprintf(path, sizeof(path), "/f%d", (int)m.ino) : 0;
        assert_int_equal(write(a->fds[1], &m, sizeof(m)), sizeof(m));
        assert_int_equal(write(a->fds[1], path, (m.path_size + 7u) & ~7u),
                         (m.path_size + 7u) & ~7u);
    }
    answer(a, WIRE_OK, NULL, 0, NULL, 0);
}

static void open_one(const struct world_process *through, const struct wire_open_item *item,
                     struct wire_opened_item *done, int *fd)
{
    done->reason = FILE_NOT_FOUND;
    if (item->kind == WIRE_OPEN_OWNED) {
        done->reason = world.map_reason;
        done->mtime_ns = world.map_mtime_ns;
        done->size = world.map_size;
        done->uid = world.map_uid;
        if (done->reason == FILE_OK)
            *fd = fd_of(0);
    } else if (item->kind == WIRE_OPEN_MAPPED && world_file(item->ino)) {
        done->reason = through ? through->refuses : FILE_OK;
        done->dev = item->dev;
        done->ino = item->ino;
        if (done->reason == FILE_OK)
            *fd = fd_of(item->ino);
    }
}

static void answer_open(struct fake_ask *a)
{
    const struct wire_open *ask = (const void *)a->payload;
    const char *at = (const char *)(ask + 1);
    struct {
        struct wire_opened head;
        struct wire_opened_item items[WIRE_BATCH_MAX];
    } reply = {.head.count = ask->count};
    int fds[WIRE_BATCH_MAX];
    size_t fd_count = 0;

    for (uint32_t i = 0; i < ask->count; i++) {
        struct wire_open_item item;
        int fd = -1;

        memcpy(&item, at, sizeof(item));
        at += sizeof(item) + item.path_size;
        open_one(world_process(number_in(a->fds[0])), &item, &reply.items[i], &fd);
        if (fd >= 0)
            fds[fd_count++] = fd;
    }
    assert_ptr_equal(at, a->payload + a->size);
    answer(a, WIRE_OK, &reply, sizeof(reply.head) + ask->count * sizeof(reply.items[0]), fds,
           fd_count);
}

static void write_symbols(int fd, const struct world_symbol *symbols, const struct world_file *f,
                          uint32_t flags)
{
    struct segment all = {.vaddr = 0x400000, .offset = 0, .size = 0x100000};
    struct symtab_builder *b;

    assert_int_equal(symtab_builder_new(&b), 0);
    for (size_t i = 0; i < WORLD_MAX && symbols[i].name; i++)
        assert_int_equal(symtab_builder_add(b, symbols[i].start, symbols[i].size, 1,
                                            symbols[i].name, strlen(symbols[i].name)),
                         0);
    symtab_builder_header(b)->flags = flags;
    if (f) {
        struct symtab_header *h = symtab_builder_header(b);

        assert_int_equal(symtab_builder_add_segment(b, &all), 0);
        h->flags = (f->has_symtab ? SYMTAB_HAS_SYMTAB : 0) | (f->has_dwarf ? SYMTAB_HAS_DWARF : 0);
        if (f->altlink) {
            snprintf(h->altlink, sizeof(h->altlink), "%s", f->altlink);
            h->altlink_id_size = 20;
        }
        h->build_id_size = f->build_id ? 20 : 0;
        memset(h->build_id, f->build_id, h->build_id_size);
    }
    assert_int_equal(symtab_builder_write(b, fd), 0);
    symtab_builder_free(b);
}

static void answer_parse_elf(struct fake_ask *a)
{
    const struct world_file *f = world_file(number_in(a->fds[0]));

    if (f && f->status == WIRE_OK)
        write_symbols(a->fds[1], f->symbols, f, 0);
    answer(a, f ? f->status : WIRE_MALFORMED, NULL, 0, NULL, 0);
}

/* The same functions at every address. */
static void answer_parse_inlines(struct fake_ask *a)
{
    const struct world_file *f = world_file(number_in(a->fds[0]));
    const struct wire_parse_inlines *want = (const void *)a->payload;
    struct inlinetab_builder *b;
    size_t size;
    uint64_t *addresses = (void *)contents(a->fds[2], &size);
    uint32_t names[WORLD_MAX];
    unsigned count = 0;

    assert_int_equal(size, want->address_count * sizeof(*addresses));
    assert_int_equal(inlinetab_builder_new(addresses, want->address_count, &b), 0);
    for (; f->inlined[count]; count++)
        assert_int_equal(inlinetab_builder_name(b, f->inlined[count], &names[count]), 0);
    for (uint32_t i = 0; i < want->address_count; i++)
        assert_int_equal(inlinetab_builder_set(b, i, INLINE_KNOWN, names, count), 0);
    assert_int_equal(inlinetab_builder_write(b, a->fds[1]), 0);
    inlinetab_builder_free(b);
    free(addresses);
    world.inline_files = a->fd_count;
    answer(a, WIRE_OK, NULL, 0, NULL, 0);
}

static void answer_demangle(struct fake_ask *a)
{
    size_t size, count = 0;
    char *names = contents(a->fds[0], &size);
    FILE *out = fdopen(dup(a->fds[1]), "w");

    for (const char *p = names; p < names + size; p += strlen(p) + 1, count++) {
        if (count == 0 && world.demangler == DEMANGLER_TOO_FEW)
            continue;
        fprintf(out, "+nice(%s)%c", p, 0);
    }
    if (world.demangler == DEMANGLER_TOO_MANY)
        fprintf(out, "+more%c", 0);
    fclose(out);
    free(names);
    answer(a, world.demangler == DEMANGLER_LOST ? WIRE_LOST : WIRE_OK, NULL, 0, NULL, 0);
}

static void answer_fetch(struct fake_ask *a)
{
    struct client_answer failed = {.status = WIRE_FAILED, .error = world.fetch_error};

    if (!world.fetched) {
        a->fn(a->data, &failed);
        return;
    }
    assert_int_equal(pwrite(a->fds[0], &world.fetched, sizeof(world.fetched), 0),
                     sizeof(world.fetched));
    answer(a, WIRE_OK, NULL, 0, NULL, 0);
}

static void answer_one(struct fake_ask *a)
{
    if (world.lost)
        answer(a, world.lost, NULL, 0, NULL, 0);
    else if (a->op == WIRE_PIN)
        answer_pin(a);
    else if (a->op == WIRE_MAPS)
        answer_maps(a);
    else if (a->op == WIRE_OPEN)
        answer_open(a);
    else if (a->op == WIRE_PARSE_MAPS)
        answer_parse_maps(a);
    else if (a->op == WIRE_PARSE_ELF)
        answer_parse_elf(a);
    else if (a->op == WIRE_PARSE_INLINES)
        answer_parse_inlines(a);
    else if (a->op == WIRE_FETCH)
        answer_fetch(a);
    else if (a->op == WIRE_DEMANGLE)
        answer_demangle(a);
    else if (a->op == WIRE_PARSE_PERFMAP) {
        bool again = world.readings++ > 0;

        write_symbols(a->fds[1], again ? world.map_last : world.map_first, NULL,
                      again && world.map_rewritten ? SYMTAB_REWRITTEN : 0);
        answer(a, WIRE_OK, NULL, 0, NULL, 0);
    }
}

static void fake_free(struct fake_ask *a)
{
    for (size_t i = 0; i < a->fd_count; i++)
        close(a->fds[i]);
    free(a);
}

/* Answers what waits, and what is asked meanwhile. */
static void answer_all(void)
{
    while (world.queue) {
        struct fake_ask *a = world.queue;

        world.queue = a->next;
        answer_one(a);
        fake_free(a);
    }
}

/* ---- what nsresolve/client.h promises ---- */

int client_ask(struct client *c _unused_, enum wire_op op, uint64_t container _unused_,
               const void *payload, size_t size, const int *fds, size_t fd_count, client_fn fn,
               void *data, uint64_t *ticket)
{
    struct fake_ask *a = calloc(1, sizeof(*a)), **at = &world.queue;

    assert_true(size <= sizeof(a->payload) && fd_count <= ARRAY_SIZE(a->fds));
    *a = (struct fake_ask){.op = op, .fn = fn, .data = data, .ticket = ++world.last_ticket};
    if (size)
        memcpy(a->payload, payload, size);
    a->size = size;
    for (; a->fd_count < fd_count; a->fd_count++)
        a->fds[a->fd_count] = fcntl(fds[a->fd_count], F_DUPFD_CLOEXEC, 3);
    while (*at)
        at = &(*at)->next;
    *at = a;
    world.asked[op]++;
    if (ticket)
        *ticket = a->ticket;
    return 0;
}

bool client_has(const struct client *c _unused_, enum client_peer peer)
{
    return peer != CLIENT_FETCHER || world.has_fetcher;
}

void client_cancel(struct client *c _unused_, uint64_t ticket)
{
    for (struct fake_ask **at = &world.queue; *at; at = &(*at)->next)
        if ((*at)->ticket == ticket) {
            struct fake_ask *a = *at;

            *at = a->next;
            fake_free(a);
            return;
        }
}

int client_answer_memfd(void)
{
    return memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int client_seal(int memfd)
{
    seal(memfd);
    return 0;
}
