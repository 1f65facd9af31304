/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that a capture sends: what became of threads' time, and how long they waited for a
 * CPU. docs/protocol.md describes each.
 */
#include "agent/capture_inside.h"

#include "base/text.h"

#include <string.h>

/* The filter by name holds for rows as it does for stacks. */
static int add_wanted(void *data, const struct event_key *who, const struct event_times *times)
{
    struct capture *c = data;
    const char *wanted = c->request.wait.comm;

    if (strncmp(who->comm, wanted, strnlen(wanted, sizeof(c->request.wait.comm))) != 0)
        return 0;
    return states_add_times(c->states, who, times);
}

int capture_take_times(struct capture *c, const struct profile_setup *setup)
{
    const struct probe_ops *ops = c->request.probe;
    struct profile_setup apart = *setup;
    int r;

    if (!ops->times)
        return 0;
    if (ops->cells && c->request.probe->yields == YIELDS_RECORDS)
        apart.per_thread = apart.per_thread || strcmp(ops->view, "runq") == 0;
    r = states_new(&apart, &c->states);
    if (r == 0)
        r = ops->times(c->probe, add_wanted, c);
    if (r == 0)
        r = latency_new(&c->latency);
    if (r == 0 && ops->cells)
        r = ops->cells(c->probe, latency_add_cell, c->latency);
    return r;
}

/* The states are counted by stacks as well, of which none is sent. */
void capture_count_records(const struct capture *c, struct quality_setup *setup)
{
    if (c->records) {
        setup->yields_records = true;
        setup->records_shown = c->records_ops->shown(c->records);
        setup->records = c->records;
        setup->records_ops = c->records_ops;
    }
    if (strcmp(c->request.probe->view, "runq") != 0)
        return;
    setup->yields_records = true;
    setup->records_shown = latency_total(c->latency, LATENCY_RUNNABLE)->count;
}

/* ---- lines ---- */

static void add_who(const struct states_row *row, struct buf *out)
{
    buf_adds(out, ",\"comm\":");
    text_add_json(out, row->comm);
    if (row->container) {
        buf_adds(out, ",\"container\":");
        text_add_json(out, row->container);
    }
    if (row->tgid)
        buf_addf(out, ",\"pid\":%u,\"host_pid\":%u", row->ns_tgid, row->tgid);
    if (row->tid)
        buf_addf(out, ",\"tid\":%u,\"host_tid\":%u", row->ns_tid, row->tid);
}

static void add_us(struct buf *out, const char *name, uint64_t ns)
{
    buf_addf(out, ",\"%s_us\":%llu", name, (unsigned long long)(ns / 1000));
}

static void add_states_record(const struct states_row *row, struct buf *out)
{
    const struct event_times *t = &row->times;

    buf_adds(out, "{\"type\":\"record\",\"record\":\"states\"");
    add_who(row, out);
    buf_addf(out, ",\"threads\":%llu", (unsigned long long)t->threads);
    add_us(out, "wall", t->wall_ns);
    add_us(out, "on_cpu", t->time_ns[EVENT_ON_CPU]);
    add_us(out, "runnable", t->time_ns[EVENT_RUNNABLE]);
    add_us(out, "throttled", t->time_ns[EVENT_THROTTLED]);
    add_us(out, "blocked", t->time_ns[EVENT_BLOCKED]);
    for (int i = 0; i < WAIT_CLASS_COUNT; i++)
        add_us(out, wait_class_name(i), row->blocked_us[i] * 1000);
    buf_addf(out, ",\"voluntary\":%llu,\"involuntary\":%llu}\n", (unsigned long long)t->voluntary,
             (unsigned long long)t->involuntary);
}

static void add_histogram(const struct histogram *h, enum latency_part part, struct buf *out)
{
    static const char *const parts[] = {
        [LATENCY_RUNNABLE] = "runnable",
        [LATENCY_THROTTLED] = "throttled",
    };

    buf_addf(out, ",\"state\":\"%s\",\"unit\":\"microseconds\",", parts[part]);
    histogram_add_json(h, out);
    buf_adds(out, "}\n");
}

static void add_slice(const struct capture *c, uint32_t n, struct buf *out)
{
    const uint64_t slice_ms = c->request.wait.slice_ns / NS_PER_MS;

    for (int part = 0; part < LATENCY_PART_COUNT; part++) {
        const struct histogram *h = latency_of_slice(c->latency, n, part);

        if (!h)
            continue;
        buf_addf(out,
                 "{\"type\":\"histogram\",\"histogram\":\"runq\",\"from_ms\":%llu,\"to_ms\":%llu",
                 (unsigned long long)(n * slice_ms), (unsigned long long)((n + 1) * slice_ms));
        add_histogram(h, part, out);
    }
}

static void add_total(const struct capture *c, struct buf *out)
{
    for (int part = 0; part < LATENCY_PART_COUNT; part++) {
        const struct histogram *h = latency_total(c->latency, part);

        if (!h->count && part == LATENCY_THROTTLED)
            continue;
        buf_adds(out, "{\"type\":\"histogram\",\"histogram\":\"runq\"");
        add_histogram(h, part, out);
    }
}

static void add_runq_record(const struct capture *c, const struct states_row *row, struct buf *out)
{
    static const struct histogram none;
    const struct histogram *ready = latency_of_thread(c->latency, row->tid, LATENCY_RUNNABLE);
    const struct event_times *t = &row->times;

    if (!ready)
        ready = &none;
    buf_adds(out, "{\"type\":\"record\",\"record\":\"runq\"");
    add_who(row, out);
    buf_addf(out, ",\"waits\":%llu", (unsigned long long)ready->count);
    add_us(out, "p50", histogram_permille(ready, 500) * 1000);
    add_us(out, "p99", histogram_permille(ready, 990) * 1000);
    add_us(out, "max", ready->max * 1000);
    add_us(out, "on_cpu", t->time_ns[EVENT_ON_CPU]);
    add_us(out, "runnable", t->time_ns[EVENT_RUNNABLE]);
    add_us(out, "throttled", t->time_ns[EVENT_THROTTLED]);
    add_us(out, "blocked", t->time_ns[EVENT_BLOCKED]);
    buf_adds(out, "}\n");
}

bool stream_record(struct capture *c, struct buf *out)
{
    bool runq = strcmp(c->request.probe->view, "runq") == 0;
    const struct states_row *row;

    if (c->records)
        return c->records_ops->next(c->records, out);
    if (runq && c->slice_cursor == 0)
        add_total(c, out);
    if (runq && c->slice_cursor < latency_slices(c->latency)) {
        add_slice(c, c->slice_cursor++, out);
        return true;
    }
    row = states_next(c->states, &c->record_cursor);
    if (!row)
        return false;
    if (runq)
        add_runq_record(c, row, out);
    else
        add_states_record(row, out);
    return true;
}
