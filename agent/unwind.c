/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/unwind.h"

#include "base/loop.h"
#include "base/table.h"
#include "bpf/event.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* 16 MB: libc has 23 k rows, node 277 k, libLLVM 818 k. */
#define ROWS_MAX (2u << 20)

/* A program that has just read a process's entry may still walk its ranges, and a process that has
 * just been forked has its parent's until it is seen: no block is used again before that many
 * nanoseconds. */
#define RETIRED_NS (100 * NS_PER_MS)

_Static_assert(sizeof(struct event_row) == sizeof(struct unwind_row), "one row, two names");
_Static_assert(sizeof(struct event_block) == sizeof(struct unwind_block), "likewise");

struct unwind_rows {
    int fd;
};

int unwind_rows_new(struct unwind_rows **ret)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
    _cleanup_(unwind_rows_freep) struct unwind_rows *r = NULL;

#ifndef __x86_64__
    return -EOPNOTSUPP;
#endif
    if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_loop, NULL) != 1 ||
        libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_task_pt_regs, NULL) != 1)
        return -EOPNOTSUPP;
    r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_rows", sizeof(uint32_t),
                           sizeof(struct event_row), ROWS_MAX, &opts);
    if (r->fd < 0)
        return -errno;
    *ret = TAKE_PTR(r);
    return 0;
}

void unwind_rows_free(struct unwind_rows *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

int unwind_rows_fd(const struct unwind_rows *r)
{
    return r->fd;
}

/* Maps only the pages that are written, and only for that long: the kernel counts every page that
 * is mapped as our memory. */
static int write_rows(void *data, uint32_t first, const void *rows, uint32_t count)
{
    const struct unwind_rows *r = data;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), at = first * sizeof(struct event_row);
    size_t skip = at % page, size = skip + count * sizeof(struct event_row);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)(at - skip));

    if (memory == MAP_FAILED)
        return -errno;
    memcpy(memory + skip, rows, count * sizeof(struct event_row));
    munmap(memory, size);
    return 0;
}

struct unwind_sink unwind_rows_sink(struct unwind_rows *r)
{
    return (struct unwind_sink){.write = write_rows, .data = r, .rows_max = ROWS_MAX};
}

/* ---- the processes of a capture ---- */

/* Blocks of ranges have sizes of powers of two; free ones are chained by their class. */
#define CLASSES 11 /* 1 … 1024 ranges */

struct block {
    struct block *next;
    uint32_t first;
    unsigned class;
    uint64_t retired_ns;
};

/* What a process was told. */
struct told {
    struct block *block;
};

struct unwind {
    int processes_fd;
    struct event_range *ranges;
    uint32_t used;
    struct block *free[CLASSES], *retired;
    struct table *processes; /* tgid -> told */
    uint64_t left_out;
};

static void blocks_free(struct block *b)
{
    while (b) {
        struct block *next = b->next;

        free(b);
        b = next;
    }
}

static void told_free(void *data)
{
    struct told *t = data;

    free(t->block);
    free(t);
}

int unwind_new(int ranges_fd, int processes_fd, struct unwind **ret)
{
    _cleanup_(unwind_freep) struct unwind *u = calloc(1, sizeof(*u));
    void *memory;

    if (!u || table_new(&u->processes, told_free) < 0)
        return -ENOMEM;
    memory = mmap(NULL, UNWIND_RANGES_MAX * sizeof(*u->ranges), PROT_READ | PROT_WRITE, MAP_SHARED,
                  ranges_fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    u->ranges = memory;
    u->processes_fd = processes_fd;
    *ret = TAKE_PTR(u);
    return 0;
}

void unwind_free(struct unwind *u)
{
    if (!u)
        return;
    if (u->ranges)
        munmap(u->ranges, UNWIND_RANGES_MAX * sizeof(*u->ranges));
    for (int i = 0; i < CLASSES; i++)
        blocks_free(u->free[i]);
    blocks_free(u->retired);
    table_free(u->processes);
    free(u);
}

static struct block *take_block(struct unwind *u, size_t count)
{
    unsigned class = 0;
    struct block *b;

    while ((1u << class) < count)
        class ++;
    if (class >= CLASSES)
        return NULL;
    b = u->free[class];
    if (b) {
        u->free[class] = b->next;
        return b;
    }
    if ((1u << class) > UNWIND_RANGES_MAX - u->used)
        return NULL;
    b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->class = class;
    b->first = u->used;
    u->used += 1u << class;
    return b;
}

static void retire(struct unwind *u, struct block *b)
{
    if (!b)
        return;
    b->retired_ns = now_ns();
    b->next = u->retired;
    u->retired = b;
}

static void recycle(struct unwind *u)
{
    uint64_t now = now_ns();

    for (struct block **at = &u->retired; *at;) {
        struct block *b = *at;

        if (b->retired_ns + RETIRED_NS > now) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        b->next = u->free[b->class];
        u->free[b->class] = b;
    }
}

static void forget(struct unwind *u, uint32_t tgid)
{
    struct told *t = table_get(u->processes, &tgid, sizeof(tgid));

    bpf_map_delete_elem(u->processes_fd, &tgid);
    if (!t)
        return;
    retire(u, TAKE_PTR(t->block));
    table_remove(u->processes, &tgid, sizeof(tgid));
}

static struct told *obtain(struct unwind *u, uint32_t tgid)
{
    struct told *t = table_get(u->processes, &tgid, sizeof(tgid));

    if (t)
        return t;
    t = calloc(1, sizeof(*t));
    if (t && table_put(u->processes, &tgid, sizeof(tgid), t) < 0) {
        free(t);
        return NULL;
    }
    return t;
}

/* The new ranges go into another block, then the process's entry is switched to it. */
static void on_ranges(void *data, uint32_t tgid, const struct scene_range *ranges, size_t count)
{
    struct unwind *u = data;
    struct told *t = count ? obtain(u, tgid) : NULL;
    struct block *b = t ? take_block(u, count) : NULL;
    struct event_process process;

    if (!b) {
        u->left_out += count > 0;
        forget(u, tgid);
        return;
    }
    for (size_t i = 0; i < count; i++)
        u->ranges[b->first + i] = (struct event_range){.start = ranges[i].start,
                                                       .end = ranges[i].end,
                                                       .bias = ranges[i].bias,
                                                       .first = ranges[i].place.first,
                                                       .count = ranges[i].place.count,
                                                       .index = ranges[i].place.index,
                                                       .blocks = ranges[i].place.blocks,
                                                       .shift = ranges[i].place.shift,
                                                       .number = ranges[i].place.number};
    process = (struct event_process){.first = b->first, .count = (uint32_t)count};
    retire(u, t->block);
    t->block = b;
    if (bpf_map_update_elem(u->processes_fd, &tgid, &process, BPF_ANY) < 0) {
        u->left_out++;
        forget(u, tgid);
    }
}

void unwind_tell(struct unwind *u, struct scene *s)
{
    recycle(u);
    scene_changed_ranges(s, on_ranges, u);
}

uint64_t unwind_left_out(const struct unwind *u)
{
    return u->left_out;
}
