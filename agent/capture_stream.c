/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines that a capture sends: docs/protocol.md describes each.
 */
#include "agent/capture_inside.h"

#include "agent/proto.h"
#include "base/text.h"
#include "base/version.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void add_hex(struct buf *out, const uint8_t *bytes, size_t size)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < size; i++)
        buf_addf(out, "%02x", bytes[i]);
    buf_addc(out, '"');
}

static void add_member(struct buf *out, const char *field, const char *value)
{
    buf_addf(out, ",\"%s\":", field);
    text_add_json(out, value);
}

void stream_started(struct capture *c)
{
    const struct request *rq = &c->request;
    struct buf *out = &c->lines;
    struct utsname host = {0};
    char when[64];
    time_t now = time(NULL);
    struct tm tm;

    uname(&host);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    buf_addf(out, "{\"type\":\"started\",\"porthole\":%d", PROTO_VERSION);
    add_member(out, "version", porthole_version);
    add_member(out, "view", rq->probe->view);
    add_member(out, "unit", request_unit(rq));
    add_member(out, "yields", rq->probe->yields == YIELDS_RECORDS ? "records" : "stacks");
    if (rq->probe->records)
        add_member(out, "record",
                   rq->events ? rq->probe->records->events_kind : rq->probe->records->kind);
    if (rq->probe->family == FAMILY_SAMPLES)
        add_member(out, "event", rq->event_word);
    if (rq->frequency)
        buf_addf(out, ",\"frequency\":%llu", (unsigned long long)rq->frequency);
    else if (rq->probe->family == FAMILY_SAMPLES)
        buf_addf(out, ",\"period\":%llu", (unsigned long long)MAX(rq->period, 1ull));
    buf_addf(out, ",\"duration_ms\":%llu,\"max_stack\":%llu,\"per_process\":%s,\"per_thread\":%s",
             (unsigned long long)rq->duration_ms, (unsigned long long)rq->max_stack,
             rq->per_process ? "true" : "false", rq->per_thread ? "true" : "false");
    add_member(out, "host", host.nodename);
    add_member(out, "kernel", host.release);
    buf_addf(out, ",\"cpus\":%ld", sysconf(_SC_NPROCESSORS_ONLN));
    add_member(out, "time", when);
    add_member(out, "target", rq->target);
    if (rq->ignored.size)
        buf_addf(out, ",\"ignored\":[%s]", rq->ignored.data);
    if (c->target->container) {
        buf_adds(out, ",\"container\":{");
        container_add_json(c->target->container, out);
        buf_addc(out, '}');
    }
    buf_adds(out, "}\n");
}

static uint64_t lost_so_far(const struct capture *c)
{
    uint64_t lost = 0;

    for (int i = 0; i < EVENT_LOST_COUNT; i++)
        lost += c->counters.lost[i];
    return lost;
}

void stream_progress(struct capture *c)
{
    buf_addf(&c->lines,
             "{\"type\":\"progress\",\"elapsed_ms\":%llu,\"samples\":%llu,\"lost\":%llu}\n",
             (unsigned long long)((now_ns() - c->started_ns) / NS_PER_MS),
             (unsigned long long)c->counters.taken, (unsigned long long)lost_so_far(c));
}

void stream_error(struct capture *c, const struct err *e, const struct candidates *candidates)
{
    struct buf *out = &c->lines;

    buf_addf(out, "{\"type\":\"error\",\"code\":\"%s\"", err_code_name(e->code));
    add_member(out, "message", e->message);
    add_member(out, "remedy", e->remedy);
    if (candidates && candidates->count) {
        buf_adds(out, ",\"candidates\":[");
        for (size_t i = 0; i < candidates->count; i++) {
            buf_adds(out, i ? "," : "");
            text_add_json(out, candidates->items[i]);
        }
        buf_addc(out, ']');
    }
    buf_adds(out, "}\n");
}

static void add_frame(struct buf *out, const struct frame *f)
{
    static const char *const kinds[FRAME_KIND_COUNT] = PROTO_FRAME_KINDS;

    buf_addf(out, "{\"type\":\"frame\",\"id\":%u", f->id);
    add_member(out, "name", f->name);
    add_member(out, "kind", kinds[f->kind < FRAME_KIND_COUNT ? f->kind : FRAME_USER]);
    buf_addf(out, ",\"named\":%s", f->source == SOURCE_NONE ? "false" : "true");
    if (f->source == SOURCE_NONE)
        add_member(out, "reason", frame_reason_name(f->reason));
    if (f->file && *f->file)
        add_member(out, "file", f->file);
    if (f->build_id_size) {
        buf_adds(out, ",\"build_id\":");
        add_hex(out, f->build_id, f->build_id_size);
    }
    if (f->source != SOURCE_NONE)
        buf_addf(out, ",\"address\":\"0x%llx\"", (unsigned long long)f->address);
    if (f->language)
        add_member(out, "language", f->language);
    buf_adds(out, "}\n");
}

static void add_stack(const struct capture *c, struct buf *out, const struct profile_stack *s)
{
    buf_adds(out, "{\"type\":\"stack\",\"frames\":[");
    for (uint32_t i = 0; i < s->frame_count; i++)
        buf_addf(out, i ? ",%u" : "%u", s->frames[i]);
    buf_addf(out, "],\"value\":%llu", (unsigned long long)s->value);
    add_member(out, "comm", s->comm);
    if (c->request.per_process || c->request.per_thread)
        buf_addf(out, ",\"pid\":%u,\"host_pid\":%u", s->ns_tgid, s->tgid);
    if (c->request.per_thread)
        buf_addf(out, ",\"tid\":%u,\"host_tid\":%u", s->ns_tid, s->tid);
    if (s->container)
        add_member(out, "container", s->container);
    buf_adds(out, "}\n");
}

bool stream_result(struct capture *c, struct buf *out)
{
    static const char *const ends[] = {
        [END_DONE] = "done",
        [END_INTERRUPTED] = "interrupted",
        [END_TARGET_GONE] = "target-gone",
    };
    const struct profile_stack *s;
    bool stacks = c->request.probe->yields == YIELDS_STACKS;

    if (!stacks && stream_record(c, out))
        return true;
    if (stacks && c->frame_cursor < scene_frame_count(c->scene)) {
        add_frame(out, scene_frame_by_id(c->scene, (uint32_t)c->frame_cursor++));
        return true;
    }
    s = stacks ? profile_next(c->profile, &c->stack_cursor) : NULL;
    if (s) {
        add_stack(c, out, s);
        return true;
    }
    quality_write(c->quality, c->profile, out);
    buf_addf(out, "{\"type\":\"end\",\"status\":\"%s\",\"elapsed_ms\":%llu}\n", ends[c->end],
             (unsigned long long)((c->ended_ns - c->started_ns) / NS_PER_MS));
    return false;
}
