/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block I/O as lines: rows of who asked for what and who is charged, histograms of latencies, or
 * single requests as they end. docs/protocol.md describes each.
 */
#include "agent/block_sums.h"
#include "agent/block_totals.h"
#include "agent/histogram.h"
#include "agent/probe_block.h"
#include "agent/records.h"
#include "base/text.h"

#include "base/loop.h"

#include <errno.h>
#include <string.h>

struct row {
    struct event_block_key key;
    struct event_block_value value;
    uint64_t open, open_bytes; /* requests that have not ended */
};

struct records {
    struct records_setup setup;
    struct row *rows;
    size_t count, room;
    struct event_block_slice *slices;
    uint32_t slice_count;
    struct event_block_value events; /* latencies of requests that are told of one by one */
    struct block_totals totals;
    struct buf left; /* lines of events that are written at the end */
    size_t row_cursor;
    uint32_t slice_cursor;
    bool totals_told;
};

static int block_new(const struct records_setup *setup, struct records **ret)
{
    struct records *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    r->setup = *setup;
    r->slices = calloc(EVENT_BLOCK_SLICES, sizeof(*r->slices));
    if (!r->slices) {
        free(r);
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

static void block_free(struct records *r)
{
    if (!r)
        return;
    free(r->rows);
    free(r->slices);
    buf_free(&r->left);
    free(r);
}

/* ---- who ---- */

static const char *op_name(uint32_t part)
{
    static const char *const names[EVENT_PART_COUNT] = {
        [EVENT_PART_READ] = "read",
        [EVENT_PART_WRITE] = "write",
        [EVENT_PART_FLUSH] = "flush",
        [EVENT_PART_DISCARD] = "discard",
    };

    return part < EVENT_PART_COUNT && names[part] ? names[part] : "other";
}

static const char *container_of(const struct records *r, uint32_t tgid, enum records_hierarchy h,
                                uint64_t cgroup)
{
    return r->setup.container_of(r->setup.data, tgid, h, cgroup);
}

/* Who is charged: a container, or one of three words. */
static const char *owner_of(const struct records *r, const struct event_block_key *k)
{
    const char *name = NULL;

    switch (k->owner_kind) {
    case EVENT_OWNER_UNKNOWN:
        return "unknown";
    case EVENT_OWNER_KERNEL:
        return "kernel";
    case EVENT_OWNER_TASK:
        name = container_of(r, k->tgid, HIERARCHY_V2, k->owner);
        break;
    case EVENT_OWNER_PAGE:
        name = container_of(r, 0, HIERARCHY_MEMORY, k->owner);
        break;
    default:
        name = container_of(r, 0, HIERARCHY_BLKIO, k->owner);
        break;
    }
    if (k->charged && r->setup.target)
        return r->setup.target;
    return name ? name : "host";
}

static void add_member(struct buf *out, const char *field, const char *value)
{
    buf_addf(out, ",\"%s\":", field);
    text_add_json(out, value);
}

static void add_bytes(struct buf *out, const char *field, const char *value, size_t size)
{
    char text[64] = "";

    memcpy(text, value, strnlen(value, MIN(size, sizeof(text) - 1)));
    add_member(out, field, text);
}

/* What rows and single requests have in common. */
static void add_who(const struct records *r, const struct event_block_key *k, struct buf *out)
{
    const char *container = NULL;

    if (k->asker != EVENT_ASKER_KERNEL)
        container = container_of(r, k->tgid, HIERARCHY_V2, k->cgroup_id);
    add_member(out, "op", op_name(k->op));
    add_bytes(out, "device", k->device, sizeof(k->device));
    add_bytes(out, "comm", k->comm, sizeof(k->comm));
    buf_addf(out, ",\"pid\":%u,\"host_pid\":%u", k->ns_tgid, k->tgid);
    if (k->asker != EVENT_ASKER_PROCESS)
        buf_adds(out, ",\"kernel\":true");
    if (k->asker == EVENT_ASKER_WAITS)
        buf_adds(out, ",\"waits\":true");
    if (container)
        add_member(out, "container", container);
    add_member(out, "owner", owner_of(r, k));
    buf_addf(out, ",\"charged\":%s", k->charged ? "true" : "false");
}

static unsigned long long to_us(uint64_t ns)
{
    return ns / 1000;
}

/* ---- single requests ---- */

/* The key of one share of a request. */
static struct event_block_key key_of(const struct event_block_request *q,
                                     const struct event_block_share *share)
{
    struct event_block_key k = {
        .owner = share->owner,
        .cgroup_id = q->cgroup_id,
        .tgid = q->tgid,
        .ns_tgid = q->ns_tgid,
        .owner_kind = share->owner_kind,
        .charged = share->charged,
        .op = q->op,
        .asker = q->asker,
    };

    memcpy(k.comm, q->comm, sizeof(k.comm));
    memcpy(k.device, q->device, sizeof(k.device));
    return k;
}

/* What the block layer calls it, or an errno's number of older kernels. */
static void add_error(uint32_t error, struct buf *out)
{
    static const char *const names[] = {
        NULL,       "not-supported", "timeout",    "no-space",    "transport", "target",
        "reserved", "medium",        "protection", "no-resource", "io",
    };

    if (!error)
        return;
    if (error < ARRAY_SIZE(names))
        add_member(out, "error", names[error]);
    else
        buf_addf(out, ",\"error\":\"%d\"", (int)error);
}

/* end_ns 0: it is still open, or nobody saw when it ended. Requests that were merged of several
 * owners' are a line each, of which the first one counts. */
static void add_request(const struct records *r, const struct event_block_request *q,
                        uint64_t end_ns, bool open, struct buf *out)
{
    uint64_t issued = q->issue_ns ? q->issue_ns : q->start_ns; /* flushes are issued by others */

    for (uint32_t i = 0; i < q->shares && i < EVENT_BLOCK_SHARES; i++) {
        struct event_block_key k = key_of(q, &q->share[i]);
        uint64_t from = q->start_ns > r->setup.started_ns ? q->start_ns - r->setup.started_ns : 0;

        buf_addf(out, "{\"type\":\"event\",\"record\":\"block-event\",\"time_us\":%llu",
                 to_us(from));
        add_who(r, &k, out);
        buf_addf(out, ",\"sector\":%llu,\"bytes\":%u,\"count\":%u", (unsigned long long)q->sector,
                 q->share[i].bytes, i == 0);
        if (end_ns)
            buf_addf(out, ",\"queue_us\":%llu,\"device_us\":%llu,\"latency_us\":%llu",
                     to_us(issued - q->start_ns), to_us(end_ns - issued),
                     to_us(end_ns - q->start_ns));
        else
            buf_addf(out, ",\"%s\":true", open ? "in_flight" : "end_unseen");
        add_error(q->error, out);
        buf_adds(out, "}\n");
    }
}

static void total_request(struct records *r, const struct event_block_request *q)
{
    for (uint32_t i = 0; i < q->shares && i < EVENT_BLOCK_SHARES; i++) {
        struct event_block_key k = key_of(q, &q->share[i]);

        block_totals_add(&r->totals, &k, i == 0, q->share[i].bytes, i == 0 && q->error);
    }
}

/* In the slice where it ended, as sums have it. */
static void count_request(struct records *r, const struct event_block_done *done)
{
    uint64_t since = done->end_ns > r->setup.started_ns ? done->end_ns - r->setup.started_ns : 0;
    uint64_t n = MIN(since / MAX(r->setup.slice_ns, 1ull), EVENT_BLOCK_SLICES - 1ull);

    if (!done->end_ns)
        return;
    block_sums_count(&r->events, done);
    block_sums_count_slice(&r->slices[n], done);
    r->slice_count = MAX(r->slice_count, (uint32_t)n + 1);
}

static int block_event(struct records *r, const void *event, size_t size, struct buf *out)
{
    const struct event_block_done *done = event;

    if (size < sizeof(*done))
        return 0;
    total_request(r, &done->request);
    count_request(r, done);
    add_request(r, &done->request, done->end_ns, false, out);
    return buf_error(out);
}

/* ---- the end ---- */

/* A row that there is none of yet; NULL when out of memory. */
static struct row *new_row(struct records *r, const struct event_block_key *key)
{
    if (r->count == r->room) {
        size_t room = r->room * 2 + 64;
        struct row *rows = reallocarray(r->rows, room, sizeof(*rows));

        if (!rows)
            return NULL;
        r->rows = rows;
        r->room = room;
    }
    r->rows[r->count] = (struct row){.key = *key};
    return &r->rows[r->count++];
}

/* For the few requests that are open at the end. */
static struct row *find_row(struct records *r, const struct event_block_key *key)
{
    for (size_t i = 0; i < r->count; i++)
        if (memcmp(&r->rows[i].key, key, sizeof(*key)) == 0)
            return &r->rows[i];
    return new_row(r, key);
}

static int take_row(void *data, const struct event_block_key *key,
                    const struct event_block_value *value)
{
    struct records *r = data;
    struct row *row = new_row(r, key); /* the kernel's keys differ */

    if (!row)
        return -ENOMEM;
    row->value = *value;
    block_totals_add(&r->totals, key, value->count, value->bytes, value->errors);
    return 0;
}

static int take_slice(void *data, uint32_t n, const struct event_block_slice *slice)
{
    struct records *r = data;

    if (n >= EVENT_BLOCK_SLICES)
        return 1;
    r->slices[n] = *slice;
    for (uint32_t i = 0; i < EVENT_BLOCK_BUCKETS; i++)
        if (slice->both[i])
            r->slice_count = n + 1;
    return 0;
}

/* A request that has not ended counts in this capture, where it began, and in no later one. */
static int take_open(void *data, const struct event_block_request *q)
{
    struct records *r = data;

    r->totals.open++;
    total_request(r, q);
    if (r->setup.events) {
        add_request(r, q, 0, true, &r->left);
        return 0;
    }
    for (uint32_t i = 0; i < q->shares && i < EVENT_BLOCK_SHARES; i++) {
        struct event_block_key k = key_of(q, &q->share[i]);
        struct row *row;

        if (!r->setup.per_process && !r->setup.per_thread)
            k.tgid = k.ns_tgid = 0;
        row = find_row(r, &k);
        if (!row)
            return -ENOMEM;
        row->value.tgid = q->tgid;
        row->value.ns_tgid = q->ns_tgid;
        row->open += i == 0;
        row->open_bytes += q->share[i].bytes;
    }
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    uint64_t left = x->value.bytes + x->open_bytes, right = y->value.bytes + y->open_bytes;

    if (left != right)
        return left < right ? 1 : -1;
    return memcmp(&x->key, &y->key, sizeof(x->key));
}

static int block_finish(struct records *r, struct probe *p)
{
    int error = 0;

    if (!r->setup.events) {
        error = probe_block_rows(p, take_row, r);
        if (error == 0)
            error = MIN(probe_block_slices(p, take_slice, r), 0);
    }
    if (error == 0)
        error = probe_block_open_requests(p, take_open, r);
    probe_block_counts(p, &r->totals.counts);
    if (r->count)
        qsort(r->rows, r->count, sizeof(*r->rows), by_bytes);
    return error;
}

/* ---- lines ---- */

static void fill(struct histogram *h, const uint32_t buckets[EVENT_BLOCK_BUCKETS], uint64_t sum_us,
                 uint64_t max_us)
{
    for (uint32_t i = 0; i < EVENT_BLOCK_BUCKETS; i++)
        if (buckets[i])
            histogram_add(h, i, buckets[i], 0, 0);
    h->sum += sum_us;
    h->max = MAX(h->max, max_us);
}

static void add_histogram(const char *state, const struct histogram *h, struct buf *out)
{
    buf_addf(out, ",\"state\":\"%s\",\"unit\":\"microseconds\",", state);
    histogram_add_json(h, out);
    buf_adds(out, "}\n");
}

struct latencies {
    struct histogram queue, device, both;
};

static void fill_latencies(struct latencies *l, const struct event_block_value *v)
{
    fill(&l->queue, v->queue, v->queue_ns / 1000, v->queue_max_ns / 1000);
    fill(&l->device, v->device, v->device_ns / 1000, v->device_max_ns / 1000);
    fill(&l->both, v->both, (v->queue_ns + v->device_ns) / 1000, v->max_ns / 1000);
}

static void add_totals(const struct records *r, struct buf *out)
{
    static const char head[] = "{\"type\":\"histogram\",\"histogram\":\"block\"";
    struct latencies l = {0};

    for (size_t i = 0; i < r->count; i++)
        fill_latencies(&l, &r->rows[i].value);
    fill_latencies(&l, &r->events);
    if (!l.both.count)
        return;
    buf_adds(out, head);
    add_histogram("queue", &l.queue, out);
    buf_adds(out, head);
    add_histogram("device", &l.device, out);
    buf_adds(out, head);
    add_histogram("latency", &l.both, out);
}

static void add_slice(const struct records *r, uint32_t n, struct buf *out)
{
    const struct event_block_slice *s = &r->slices[n];
    const uint64_t ms = r->setup.slice_ns / NS_PER_MS;
    struct histogram h = {0};

    fill(&h, s->both, s->sum_us, s->max_us);
    if (!h.count)
        return;
    buf_addf(out, "{\"type\":\"histogram\",\"histogram\":\"block\",\"from_ms\":%llu,\"to_ms\":%llu",
             (unsigned long long)(n * ms), (unsigned long long)((n + 1) * ms));
    add_histogram("latency", &h, out);
}

static void add_percentiles(const struct event_block_value *v, struct buf *out)
{
    struct latencies l = {0};

    fill_latencies(&l, v);
    buf_addf(out,
             ",\"queue_us\":%llu,\"device_us\":%llu,\"p50_us\":%llu,\"p99_us\":%llu,"
             "\"max_us\":%llu,\"queue_p99_us\":%llu,\"device_p99_us\":%llu",
             to_us(v->queue_ns), to_us(v->device_ns),
             (unsigned long long)histogram_permille(&l.both, 500),
             (unsigned long long)histogram_permille(&l.both, 990), to_us(v->max_ns),
             (unsigned long long)histogram_permille(&l.queue, 990),
             (unsigned long long)histogram_permille(&l.device, 990));
}

static void add_row(const struct records *r, const struct row *row, struct buf *out)
{
    const struct event_block_value *v = &row->value;

    struct event_block_key who = row->key;

    who.tgid = v->tgid;
    who.ns_tgid = v->ns_tgid;
    buf_adds(out, "{\"type\":\"aggregate\",\"record\":\"block\"");
    add_who(r, &who, out);
    buf_addf(out, ",\"count\":%llu,\"bytes\":%llu,\"errors\":%llu",
             (unsigned long long)(v->count + row->open),
             (unsigned long long)(v->bytes + row->open_bytes), (unsigned long long)v->errors);
    add_percentiles(v, out);
    if (row->open)
        buf_addf(out, ",\"in_flight\":%llu", (unsigned long long)row->open);
    buf_adds(out, "}\n");
}

static bool block_next(struct records *r, struct buf *out)
{
    if (!r->totals_told) {
        r->totals_told = true;
        if (r->left.size)
            buf_add(out, r->left.data, r->left.size);
        add_totals(r, out);
        return true;
    }
    if (r->slice_cursor < r->slice_count) {
        add_slice(r, r->slice_cursor++, out);
        return true;
    }
    if (r->row_cursor >= r->count)
        return false;
    add_row(r, &r->rows[r->row_cursor++], out);
    return true;
}

static uint64_t block_shown(const struct records *r)
{
    return r->totals.requests;
}

static void block_quality(const struct records *r, struct buf *out)
{
    block_totals_write(&r->totals, out);
}

const struct records_ops block_records = {
    .kind = "block",
    .events_kind = "block-event",
    .new = block_new,
    .free = block_free,
    .event = block_event,
    .finish = block_finish,
    .next = block_next,
    .shown = block_shown,
    .quality = block_quality,
};
