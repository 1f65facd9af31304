/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sideband.h"

#include "agent/perf_event.h"
#include "base/buf.h"
#include "base/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define RING_PAGES 64u /* a power of two: 256 KiB on most machines */
#define KSYMBOL_PAGES 8u
#define LOOK_NS (20 * NS_PER_MS)
#define HELD_BYTES_MAX (32u << 20)
#define RECORD_ROOM 8192u /* more than the largest record that we ask for: MMAP2 with its path */

struct ring {
    struct sideband *sideband;
    int fd;
    size_t size;                       /* of the ring, a power of two */
    bool of_ksymbols;                  /* nothing else is in it */
    struct perf_event_mmap_page *page; /* followed by the ring */
    struct source *source;
};

struct sideband {
    void (*full)(void *data);
    void *data;
    bool narrow;
    struct source *look; /* timer of a prompt one */
    size_t page_size;
    struct ring *rings;
    int ring_count;
    bool has_ksymbols, missed_ksymbols;
    struct buf held; /* records, as struct record, not fed yet */
    size_t *order;   /* offsets into held, sorted by time */
    size_t held_count, order_allocated;
    uint64_t lost;
    uint64_t complete_ns; /* until then every record was read */
    bool overrun;         /* since then some may be missing */
};

/* A record in held: its time, then the record itself. Offsets are multiples of 8. */
struct record {
    uint64_t time_ns;
    struct perf_event_header header;
};

/* Layouts: perf_event_open(2), "PERF_RECORD_*". */
struct body_mmap2 {
    struct perf_event_header header;
    uint32_t pid, tid;
    uint64_t addr, len, pgoff;
    uint32_t maj, min;
    uint64_t ino, ino_generation;
    uint32_t prot, flags;
    char filename[];
};

struct body_comm {
    struct perf_event_header header;
    uint32_t pid, tid;
};

struct body_task {
    struct perf_event_header header;
    uint32_t pid, ppid, tid, ptid;
};

struct body_ksymbol {
    struct perf_event_header header;
    uint64_t addr;
    uint32_t len;
    uint16_t type, flags;
    char name[];
};

struct body_lost {
    struct perf_event_header header;
    uint64_t id, lost;
};

static void on_ring(void *data, uint32_t events _unused_)
{
    struct ring *r = data;

    r->sideband->full(r->sideband->data);
}

static bool has_records(const struct sideband *sb)
{
    for (int i = 0; i < sb->ring_count; i++)
        if (__atomic_load_n(&sb->rings[i].page->data_head, __ATOMIC_ACQUIRE) !=
            sb->rings[i].page->data_tail)
            return true;
    return false;
}

/* Looking is cheap for us; a wake-up for each record would be paid by the process that made it. */
static void on_look(void *data)
{
    struct sideband *sb = data;

    source_arm(sb->look, now_ns() + LOOK_NS);
    if (has_records(sb))
        sb->full(sb->data);
}

static void close_ring(struct sideband *sb, struct ring *r)
{
    source_free(r->source);
    if (r->page)
        munmap(r->page, sb->page_size + r->size);
    if (r->fd >= 0)
        close(r->fd);
}

void sideband_free(struct sideband *sb)
{
    if (!sb)
        return;
    source_free(sb->look);
    for (int i = 0; i < sb->ring_count; i++)
        close_ring(sb, &sb->rings[i]);
    free(sb->rings);
    free(sb->order);
    buf_free(&sb->held);
    free(sb);
}

bool sideband_is_narrow(const struct sideband *sb)
{
    return sb->narrow;
}

bool sideband_has_ksymbols(const struct sideband *sb)
{
    return sb->has_ksymbols;
}

uint64_t sideband_lost(const struct sideband *sb)
{
    return sb->lost;
}

static int open_ring(struct sideband *sb, struct loop *loop, struct ring *r, int cpu, int cgroup_fd)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_DUMMY,
        .sample_type = PERF_SAMPLE_TIME,
        .sample_id_all = 1,
        .mmap = !r->of_ksymbols,
        .mmap2 = !r->of_ksymbols,
        .comm = !r->of_ksymbols,
        .comm_exec = !r->of_ksymbols,
        .task = !r->of_ksymbols,
        .ksymbol = r->of_ksymbols,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
        .watermark = 1,
        .wakeup_watermark = (uint32_t)(r->size / 4),
    };
    void *page;

    r->sideband = sb;
    r->fd = perf_event_open_cpu(&attr, cpu, cgroup_fd);
    if (r->fd < 0)
        return r->fd;
    jail_raise(CAP_IPC_LOCK);
    page = mmap(NULL, sb->page_size + r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
    jail_lower(CAP_IPC_LOCK);
    if (page == MAP_FAILED)
        return -errno;
    r->page = page;
    return loop_add_fd(loop, r->fd, EPOLLIN, on_ring, r, &r->source);
}

/* One more ring on each CPU, or as many as can be had. */
static int open_rings(struct sideband *sb, struct loop *loop, const int *cpus, int count,
                      int cgroup_fd, bool of_ksymbols)
{
    size_t pages = of_ksymbols ? KSYMBOL_PAGES : RING_PAGES;

    for (int i = 0; i < count; i++) {
        struct ring *ring = &sb->rings[sb->ring_count];
        int r;

        *ring = (struct ring){.fd = -1, .of_ksymbols = of_ksymbols, .size = pages * sb->page_size};
        r = open_ring(sb, loop, ring, cpus[i], cgroup_fd);
        if (r < 0) {
            close_ring(sb, ring);
            return r;
        }
        sb->ring_count++;
    }
    return 0;
}

/* A fresh one with all rings open. */
static int make(struct loop *loop, int cgroup_fd, bool prompt, void (*full)(void *data), void *data,
                struct sideband **ret)
{
    _cleanup_(sideband_freep) struct sideband *sb = calloc(1, sizeof(*sb));
    int cpus[PERF_EVENT_CPUS_MAX], count, r;

    if (!sb)
        return -ENOMEM;
    count = perf_event_cpus(cpus, PERF_EVENT_CPUS_MAX);
    if (count < 0)
        return count;
    sb->full = full;
    sb->data = data;
    sb->narrow = cgroup_fd >= 0;
    sb->page_size = (size_t)sysconf(_SC_PAGESIZE);
    sb->rings = calloc(2 * (size_t)count, sizeof(*sb->rings));
    if (!sb->rings)
        return -ENOMEM;
    r = loop_add_timer(loop, on_look, sb, &sb->look);
    if (r == 0)
        r = open_rings(sb, loop, cpus, count, cgroup_fd, false);
    if (r < 0)
        return r;
    /* Whoever loads a program is not in the target's cgroup: rings of their own, for the host. */
    sb->has_ksymbols = open_rings(sb, loop, cpus, count, -1, true) == 0;
    if (prompt)
        source_arm(sb->look, now_ns() + LOOK_NS);
    *ret = TAKE_PTR(sb);
    return 0;
}

int sideband_new(struct loop *loop, const char *cgroup_dir, bool prompt, void (*full)(void *data),
                 void *data, struct sideband **ret, struct err *e)
{
    _cleanup_close_ int cgroup_fd = -1;
    int r;

    if (cgroup_dir)
        cgroup_fd = open(cgroup_dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    r = make(loop, cgroup_fd, prompt, full, data, ret);
    /* 6.1 answers ENOENT for cgroups without a controller: follow the host instead. */
    if (r < 0 && cgroup_fd >= 0)
        r = make(loop, -1, prompt, full, data, ret);
    if (r < 0) {
        err_set(e, ERR_UNSUPPORTED, "cannot follow processes by perf's side-band: %s",
                strerror(-r));
        err_remedy(e, "give the agent CAP_PERFMON and CAP_IPC_LOCK, or raise "
                      "kernel.perf_event_mlock_kb");
        return -EOPNOTSUPP;
    }
    return 0;
}

/* ---- reading ---- */

/* Records of this ring may be missing from now on. */
static void note_overrun(struct sideband *sb, const struct ring *r)
{
    if (r->of_ksymbols)
        sb->missed_ksymbols = true;
    else
        sb->overrun = true;
}

/* Copies one record out of the ring, where it may wrap around. */
static void hold(struct sideband *sb, const struct ring *r, uint64_t at, uint16_t size)
{
    const char *ring = (const char *)r->page + sb->page_size;
    size_t mask = r->size - 1, first = MIN(size, r->size - (at & mask)), padded;
    struct record *to;

    padded = (offsetof(struct record, header) + size + 7) & ~(size_t)7;
    if (size < sizeof(struct perf_event_header) + 8 || sb->held.size + padded > HELD_BYTES_MAX) {
        sb->lost++;
        note_overrun(sb, r);
        return;
    }
    to = buf_reserve(&sb->held, padded);
    if (!to) {
        sb->held.failed = false;
        sb->lost++;
        note_overrun(sb, r);
        return;
    }
    memcpy(&to->header, ring + (at & mask), first);
    memcpy((char *)&to->header + first, ring, size - first);
    /* With sample_id_all and PERF_SAMPLE_TIME alone, the last 8 bytes are the time. */
    memcpy(&to->time_ns, (char *)&to->header + size - 8, 8);
    sb->held.size += padded;
    sb->held_count++;
}

static void read_ring(struct sideband *sb, struct ring *r)
{
    const char *ring = (const char *)r->page + sb->page_size;
    uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
    uint64_t tail = r->page->data_tail;

    while (head - tail >= sizeof(struct perf_event_header)) {
        struct perf_event_header h;

        /* Records are multiples of 8 bytes, so a header never wraps. */
        memcpy(&h, ring + (tail & (r->size - 1)), sizeof(h));
        if (h.size < sizeof(h) || h.size > head - tail)
            break;
        hold(sb, r, tail, h.size);
        tail += h.size;
    }
    /* The kernel says how many it dropped only with the next record, once there is room again. By
     * then samples would be named by what we knew: so ask whether a record may not have fitted. */
    if (__atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE) - r->page->data_tail >
        r->size - RECORD_ROOM)
        note_overrun(sb, r);
    __atomic_store_n(&r->page->data_tail, head, __ATOMIC_RELEASE);
}

static const struct record *record_at(const struct sideband *sb, size_t offset)
{
    return (const void *)(sb->held.data + offset);
}

static int by_time(const void *a, const void *b, void *data)
{
    const struct sideband *sb = data;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    uint64_t s = record_at(sb, x)->time_ns, t = record_at(sb, y)->time_ns;

    return s < t ? -1 : s > t ? 1 : x < y ? -1 : x > y;
}

static size_t record_size(const struct record *r)
{
    return (offsetof(struct record, header) + r->header.size + 7) & ~(size_t)7;
}

static int sort_held(struct sideband *sb)
{
    size_t at = 0, n = 0;

    if (sb->held_count > sb->order_allocated) {
        size_t want = MAX(sb->order_allocated * 2, sb->held_count);
        size_t *order = realloc(sb->order, want * sizeof(*order));

        if (!order)
            return -ENOMEM;
        sb->order = order;
        sb->order_allocated = want;
    }
    for (; at < sb->held.size; at += record_size(record_at(sb, at)))
        sb->order[n++] = at;
    if (n)
        qsort_r(sb->order, n, sizeof(*sb->order), by_time, sb);
    return 0;
}

static void feed_mmap2(struct scene *scene, const struct record *r)
{
    const struct body_mmap2 *b = (const void *)&r->header;
    size_t room = r->header.size - 8; /* without the time */

    if (room <= offsetof(struct body_mmap2, filename))
        return;
    scene_mmap(scene,
               &(struct scene_mmap){
                   .tgid = b->pid,
                   .start = b->addr,
                   .end = b->addr + b->len,
                   .offset = b->pgoff,
                   .dev = makedev(b->maj, b->min),
                   .ino = b->ino,
                   .path = b->filename,
                   .path_size = strnlen(b->filename, room - offsetof(struct body_mmap2, filename)),
               },
               r->time_ns);
}

/* Whether it came or went: it was there. */
static void feed_ksymbol(struct scene *scene, const struct record *r)
{
    const struct body_ksymbol *b = (const void *)&r->header;
    size_t room = r->header.size - 8; /* without the time */

    if (room > offsetof(struct body_ksymbol, name) &&
        memchr(b->name, '\0', room - offsetof(struct body_ksymbol, name)))
        scene_ksymbol(scene, b->addr, b->len, b->name);
}

static void feed(struct sideband *sb, struct scene *scene, const struct record *r)
{
    const struct body_task *task = (const void *)&r->header;
    const struct body_comm *comm = (const void *)&r->header;
    const struct body_lost *lost = (const void *)&r->header;

    switch (r->header.type) {
    case PERF_RECORD_MMAP2:
        feed_mmap2(scene, r);
        break;
    case PERF_RECORD_COMM:
        if (r->header.misc & PERF_RECORD_MISC_COMM_EXEC)
            scene_exec(scene, comm->pid, r->time_ns);
        break;
    case PERF_RECORD_FORK:
        if (task->pid != task->ppid)
            scene_fork(scene, task->pid, task->ppid, r->time_ns);
        break;
    case PERF_RECORD_EXIT:
        if (task->pid == task->tid)
            scene_exit(scene, task->pid, r->time_ns);
        break;
    case PERF_RECORD_KSYMBOL:
        feed_ksymbol(scene, r);
        break;
    case PERF_RECORD_LOST: /* of either kind */
        sb->lost += lost->lost;
        scene_ksymbols_missed(scene);
        break;
    default:
        break;
    }
}

/* Keeps the records that are newer than until_ns for the next round. */
static void keep_newer(struct sideband *sb, uint64_t until_ns)
{
    struct buf rest = {0};

    for (size_t at = 0; at < sb->held.size;) {
        const struct record *r = record_at(sb, at);
        size_t size = record_size(r);

        if (r->time_ns > until_ns)
            buf_add(&rest, r, size);
        else
            sb->held_count--;
        at += size;
    }
    buf_free(&sb->held);
    sb->held = rest;
}

uint64_t sideband_read(struct sideband *sb, struct scene *scene)
{
    /* What is written while we read stays for the next round: one ring may already have been passed
     * when an earlier record lands in it. */
    uint64_t until = now_ns();

    for (int i = 0; i < sb->ring_count; i++)
        read_ring(sb, &sb->rings[i]);
    if (sort_held(sb) < 0)
        return 0;
    for (size_t i = 0; i < sb->held_count; i++) {
        const struct record *r = record_at(sb, sb->order[i]);

        if (r->time_ns > until)
            break;
        feed(sb, scene, r);
    }
    keep_newer(sb, until);
    if (sb->overrun)
        scene_distrust(scene, sb->complete_ns);
    if (sb->missed_ksymbols)
        scene_ksymbols_missed(scene);
    sb->overrun = false;
    sb->complete_ns = until;
    return until;
}
