/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/quality.h"

#include "agent/inlined.h"
#include "base/buf.h"
#include "base/table.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define UNNAMED_ROWS_MAX 64

/* Unnamed frames of one file for one reason. */
struct unnamed {
    const struct frame *example;
    uint64_t frames;
};

struct quality {
    struct quality_setup setup;
    uint64_t by_source[SOURCE_COUNT];
    uint64_t shapes[SHAPE_COUNT], causes[CAUSE_COUNT];
    uint64_t by_tables; /* stacks */
    uint64_t frames, unnamed_frames, jit_versions_missed;
    struct table *unnamed;
    struct inlined *inlined;
};

int quality_new(const struct quality_setup *setup, struct quality **ret)
{
    struct quality *q = calloc(1, sizeof(*q));

    if (!q || table_new(&q->unnamed, free) < 0 || inlined_new(&q->inlined) < 0) {
        quality_free(q);
        return -ENOMEM;
    }
    q->setup = *setup;
    *ret = q;
    return 0;
}

void quality_free(struct quality *q)
{
    if (!q)
        return;
    table_free(q->unnamed);
    inlined_free(q->inlined);
    free(q);
}

static void add_unnamed(struct quality *q, const struct frame *f, uint64_t value)
{
    struct {
        const char *file, *detail;
        uint64_t reason;
    } key = {f->file, f->detail, f->reason};
    struct unnamed *u = table_get(q->unnamed, &key, sizeof(key));

    q->unnamed_frames += value;
    if (f->reason == REASON_JIT_MOVED)
        q->jit_versions_missed += value;
    if (!u) {
        u = calloc(1, sizeof(*u));
        if (!u || table_put(q->unnamed, &key, sizeof(key), u) < 0) {
            free(u);
            return;
        }
        u->example = f;
    }
    u->frames += value;
}

void quality_add(struct quality *q, const struct scene *scene, const struct profile_stack *s)
{
    q->shapes[s->shape] += s->value;
    q->causes[s->cause] += s->value;
    if (s->by_tables)
        q->by_tables += s->value;
    for (uint32_t i = 0; i < s->frame_count; i++) {
        const struct frame *f = scene_frame_by_id(scene, s->frames[i]);

        if (f->source == SOURCE_LABEL)
            continue;
        q->frames += s->value;
        q->by_source[f->source] += s->value;
        if (f->source == SOURCE_NONE)
            add_unnamed(q, f, s->value);
        inlined_add(q->inlined, f, s->value);
    }
}

static uint64_t accounted(const struct quality *q, const struct profile *p)
{
    uint64_t sum = 0;

    for (int i = 0; i < EVENT_LOST_COUNT; i++)
        sum += q->setup.counters.lost[i];
    for (int i = 0; i < PROFILE_LOST_COUNT; i++)
        sum += profile_lost(p, i);
    return sum;
}

static uint64_t shown(const struct quality *q, const struct profile *p)
{
    return q->setup.yields_records ? q->setup.records_shown : profile_shown(p);
}

/* Counts of rows that we had no memory for never reached the profile. */
static uint64_t unaccounted(const struct quality *q, const struct profile *p)
{
    uint64_t known = shown(q, p) + accounted(q, p);

    return q->setup.counters.taken > known ? q->setup.counters.taken - known : 0;
}

uint64_t quality_lost(const struct quality *q, const struct profile *p)
{
    return accounted(q, p) + unaccounted(q, p);
}

static void write_lost(const struct quality *q, const struct profile *p, struct buf *out)
{
    const struct {
        const char *cause;
        uint64_t count;
    } rows[] = {
        {"row-map-full", q->setup.counters.lost[EVENT_LOST_KEYS_FULL]},
        {"stack-map-full", q->setup.counters.lost[EVENT_LOST_STACKS_FULL]},
        {"map-busy", q->setup.counters.lost[EVENT_LOST_BUSY]},
        {"ring-full", q->setup.counters.lost[EVENT_LOST_RING_FULL]},
        {"open-map-full", q->setup.counters.lost[EVENT_LOST_OPEN_FULL]},
        {"stack-gone", profile_lost(p, PROFILE_LOST_STACK)},
        {"agent-memory", profile_lost(p, PROFILE_LOST_MEMORY) + unaccounted(q, p)},
    };
    bool first = true;

    buf_adds(out, ",\"lost\":{");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!rows[i].count)
            continue;
        buf_addf(out, "%s\"%s\":%llu", first ? "" : ",", rows[i].cause,
                 (unsigned long long)rows[i].count);
        first = false;
    }
    buf_addc(out, '}');
}

static void write_stacks(const struct quality *q, struct buf *out)
{
    bool first = true;

    buf_addf(out,
             ",\"stacks\":{\"whole\":%llu,\"truncated\":%llu,\"broken\":%llu,\"by_tables\":%llu,"
             "\"broken_by\":{",
             (unsigned long long)q->shapes[SHAPE_WHOLE],
             (unsigned long long)q->shapes[SHAPE_TRUNCATED],
             (unsigned long long)q->shapes[SHAPE_BROKEN], (unsigned long long)q->by_tables);
    for (int i = CAUSE_NONE + 1; i < CAUSE_COUNT; i++) {
        if (!q->causes[i])
            continue;
        buf_addf(out, "%s\"%s\":%llu", first ? "" : ",", shape_cause_name(i),
                 (unsigned long long)q->causes[i]);
        first = false;
    }
    buf_adds(out, "}}");
}

static int by_frames(const void *a, const void *b)
{
    const struct unnamed *x = *(const struct unnamed *const *)a;
    const struct unnamed *y = *(const struct unnamed *const *)b;

    return x->frames > y->frames ? -1 : x->frames < y->frames;
}

static void write_unnamed_row(const struct unnamed *u, struct buf *out)
{
    const struct frame *f = u->example;
    const char *remedy = frame_reason_remedy(f->reason);

    buf_addf(out, "{\"reason\":\"%s\",\"frames\":%llu", frame_reason_name(f->reason),
             (unsigned long long)u->frames);
    if (f->file) {
        buf_adds(out, ",\"file\":");
        text_add_json(out, f->file);
    }
    if (f->detail) {
        buf_adds(out, ",\"detail\":");
        text_add_json(out, f->detail);
    }
    if (f->build_id_size) {
        buf_adds(out, ",\"build_id\":\"");
        for (int i = 0; i < f->build_id_size; i++)
            buf_addf(out, "%02x", f->build_id[i]);
        buf_addc(out, '"');
    }
    buf_adds(out, ",\"remedy\":");
    text_add_json(out, remedy);
    buf_addc(out, '}');
}

static void write_unnamed(const struct quality *q, struct buf *out)
{
    size_t count = table_count(q->unnamed), cursor = 0, n = 0;
    struct unnamed **sorted = calloc(MAX(count, (size_t)1), sizeof(*sorted)), *u;

    buf_adds(out, ",\"unnamed\":[");
    while (sorted && (u = table_next(q->unnamed, &cursor, NULL, NULL)))
        sorted[n++] = u;
    if (n)
        qsort(sorted, n, sizeof(*sorted), by_frames);
    for (size_t i = 0; i < MIN(n, (size_t)UNNAMED_ROWS_MAX); i++) {
        buf_adds(out, i ? "," : "");
        write_unnamed_row(sorted[i], out);
    }
    buf_addc(out, ']');
    free(sorted);
}

static void write_remarks(const struct quality *q, struct buf *out)
{
    buf_adds(out, ",\"remarks\":[");
    for (size_t i = 0; i < q->setup.remarks->count; i++) {
        buf_adds(out, i ? "," : "");
        text_add_json(out, q->setup.remarks->items[i]);
    }
    buf_addc(out, ']');
}

/* wall = on_cpu + runnable + throttled + blocked, or the counting has missed something. */
static void write_times(const struct quality *q, struct buf *out)
{
    const struct event_times *t;
    const struct {
        const char *name;
        enum event_state state;
    } states[] = {{"on_cpu", EVENT_ON_CPU},
                  {"runnable", EVENT_RUNNABLE},
                  {"throttled", EVENT_THROTTLED},
                  {"blocked", EVENT_BLOCKED}};

    if (!q->setup.states)
        return;
    t = states_total(q->setup.states);
    buf_addf(out, ",\"times\":{\"threads\":%llu,\"wall_us\":%llu", (unsigned long long)t->threads,
             (unsigned long long)t->wall_ns / 1000);
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        buf_addf(out, ",\"%s_us\":%llu", states[i].name,
                 (unsigned long long)t->time_ns[states[i].state] / 1000);
    buf_addf(out,
             ",\"unclassed_us\":%llu,\"voluntary\":%llu,\"involuntary\":%llu,"
             "\"left_out_us\":%llu,\"no_room\":%llu}",
             (unsigned long long)states_unclassed_us(q->setup.states),
             (unsigned long long)t->voluntary, (unsigned long long)t->involuntary,
             (unsigned long long)q->setup.counters.left_out,
             (unsigned long long)q->setup.counters.no_room);
}

static void write_overhead(const struct quality *q, struct buf *out)
{
    const struct event_counters *n = &q->setup.counters;

    if (q->setup.overhead_percent < 0)
        return;
    buf_addf(out,
             ",\"overhead\":{\"max_percent\":%llu,\"percent\":%.2f,\"waits\":%llu,\"drawn\":%llu}",
             (unsigned long long)q->setup.overhead_max, q->setup.overhead_percent,
             (unsigned long long)(n->drawn + n->owing), (unsigned long long)n->drawn);
}

static void write_cost(const struct quality_setup *s, struct buf *out)
{
    const struct event_counters *n = &s->counters;

    buf_addf(out,
             ",\"cost\":{\"agent_cpu_us\":%llu,\"children_cpu_us\":%llu,\"bpf_run_us\":%llu,"
             "\"unwind_us\":%llu,\"bpf_runs\":%llu",
             (unsigned long long)s->cost.agent_us, (unsigned long long)s->cost.children_us,
             (unsigned long long)n->run_ns / 1000, (unsigned long long)n->unwind_ns / 1000,
             (unsigned long long)n->runs);
    if (n->kernel_known || n->kernel_walked)
        buf_addf(out, ",\"kernel_known\":%llu,\"kernel_walked\":%llu",
                 (unsigned long long)n->kernel_known, (unsigned long long)n->kernel_walked);
    buf_adds(out, "}");
}

void quality_write(const struct quality *q, const struct profile *p, struct buf *out)
{
    const struct quality_setup *s = &q->setup;

    buf_addf(out, "{\"type\":\"quality\",\"taken\":%llu,\"shown\":%llu",
             (unsigned long long)s->counters.taken, (unsigned long long)shown(q, p));
    write_lost(q, p, out);
    buf_addf(out, ",\"frames\":{\"total\":%llu,\"by_source\":{", (unsigned long long)q->frames);
    for (int i = SOURCE_NONE + 1; i < SOURCE_LABEL; i++)
        buf_addf(out, "%s\"%s\":%llu", i > 1 ? "," : "", frame_source_name(i),
                 (unsigned long long)q->by_source[i]);
    buf_addf(out, "},\"unnamed\":%llu,\"jit_versions_missed\":%llu}",
             (unsigned long long)q->unnamed_frames, (unsigned long long)q->jit_versions_missed);
    write_unnamed(q, out);
    inlined_write(q->inlined, out);
    write_stacks(q, out);
    if (s->first_sample_ns)
        buf_addf(out, ",\"first_sample_us\":%llu", (unsigned long long)s->first_sample_ns / 1000);
    if (s->first_whole_ns)
        buf_addf(out, ",\"first_whole_us\":%llu", (unsigned long long)s->first_whole_ns / 1000);
    buf_addf(out, ",\"sideband_lost\":%llu", (unsigned long long)s->sideband_lost);
    write_cost(s, out);
    if (s->attached) {
        buf_adds(out, ",\"java\":");
        remarks_write_attached(s->attached, out);
    }
    write_times(q, out);
    write_overhead(q, out);
    if (s->records_ops && s->records_ops->quality)
        s->records_ops->quality(s->records, out);
    write_remarks(q, out);
    buf_adds(out, "}\n");
}
