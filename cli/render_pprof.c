/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile.proto of google/pprof, encoded by hand and gzipped: opens in "go tool pprof".
 *
 * Field numbers are those of https://github.com/google/pprof/blob/main/proto/profile.proto. Frames
 * are symbolised already, so a location is a function, and as lines before it what was inlined
 * there.
 */
#include "cli/render.h"

#include "base/buf.h"
#include "cli/units.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING,
    PROFILE_TIME = 9,
    PROFILE_DURATION,
    PROFILE_PERIOD_TYPE,
    PROFILE_PERIOD,
    PROFILE_COMMENT
};
enum { VALUE_TYPE = 1, VALUE_UNIT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_STRING, LABEL_NUMBER };
enum {
    MAPPING_ID = 1,
    MAPPING_START,
    MAPPING_LIMIT,
    MAPPING_FILE = 5,
    MAPPING_BUILD_ID,
    MAPPING_HAS_FUNCTIONS
};
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1 };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILE };

struct pprof {
    const struct model *m;
    struct buf out;          /* the message, string table last */
    struct buf strings;      /* that table, encoded */
    struct table *numbers;   /* string -> number + 1 */
    struct table *mappings;  /* file and build ID -> number */
    struct table *locations; /* frames, innermost first -> number */
    uint64_t string_count, mapping_count, location_count;
    uint64_t period_ns; /* 0: samples are not time */
};

static void add_varint(struct buf *b, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        buf_addc(b, (char)(n | 0x80));
    buf_addc(b, (char)n);
}

static void add_number(struct buf *b, unsigned field, uint64_t n)
{
    if (n == 0)
        return; /* the default of proto3 */
    add_varint(b, field << 3);
    add_varint(b, n);
}

static void add_bytes(struct buf *b, unsigned field, const void *data, size_t size)
{
    add_varint(b, field << 3 | 2);
    add_varint(b, size);
    buf_add(b, data, size);
}

/* Appends a finished message and empties it. */
static void add_message(struct buf *b, unsigned field, struct buf *message)
{
    if (buf_error(message) < 0)
        b->failed = true;
    add_bytes(b, field, message->data, message->size);
    message->size = 0;
}

/* The number of a string in the table; the empty one is 0, as the format wants. */
static uint64_t string_number(struct pprof *p, const char *s)
{
    uintptr_t known;

    if (!s || !*s)
        return 0;
    known = (uintptr_t)table_get(p->numbers, s, strlen(s));
    if (known)
        return known;
    if (table_put(p->numbers, s, strlen(s), (void *)(uintptr_t)++p->string_count) < 0)
        p->out.failed = true;
    add_bytes(&p->strings, PROFILE_STRING, s, strlen(s));
    return p->string_count;
}

static void add_value_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
    _cleanup_buf_ struct buf b = {0};

    add_number(&b, VALUE_TYPE, string_number(p, type));
    add_number(&b, VALUE_UNIT, string_number(p, unit));
    add_message(&p->out, field, &b);
}

/* The number of the mapping of this frame's file, 0 for none. Each file gets a range of its own, so
 * that tools which look addresses up do not mix them. */
static uint64_t mapping_number(struct pprof *p, const struct model_frame *f)
{
    _cleanup_buf_ struct buf key = {0}, b = {0};
    uintptr_t known;

    if (!f->file)
        return 0;
    buf_add(&key, f->file, strlen(f->file) + 1);
    buf_adds(&key, f->build_id ? f->build_id : "");
    if (buf_error(&key) < 0) {
        p->out.failed = true;
        return 0;
    }
    known = (uintptr_t)table_get(p->mappings, key.data, key.size);
    if (known)
        return known;
    if (table_put(p->mappings, key.data, key.size, (void *)(uintptr_t)++p->mapping_count) < 0)
        p->out.failed = true;
    add_number(&b, MAPPING_ID, p->mapping_count);
    add_number(&b, MAPPING_FILE, string_number(p, f->file));
    add_number(&b, MAPPING_BUILD_ID, string_number(p, f->build_id));
    add_number(&b, MAPPING_HAS_FUNCTIONS, 1); /* there is nothing to look up */
    add_message(&p->out, PROFILE_MAPPING, &b);
    return p->mapping_count;
}

/* A function has its frame's number, plus one. */
static void add_function(struct pprof *p, uint32_t frame)
{
    const struct model_frame *f = &p->m->frames[frame];
    _cleanup_buf_ struct buf b = {0};
    uint64_t name = string_number(p, *f->name ? f->name : RENDER_NO_NAME);

    add_number(&b, FUNCTION_ID, frame + 1ull);
    add_number(&b, FUNCTION_NAME, name);
    add_number(&b, FUNCTION_SYSTEM_NAME, name);
    add_number(&b, FUNCTION_FILE, string_number(p, f->file));
    add_message(&p->out, PROFILE_FUNCTION, &b);
}

/* The number of the location that has these frames (uint32_t), innermost first: what was inlined,
 * then the function that it was inlined into. */
static uint64_t location_number(struct pprof *p, const struct buf *run)
{
    const uint32_t *frames = (const void *)run->data;
    size_t count = run->size / sizeof(*frames);
    const struct model_frame *outer = &p->m->frames[frames[count - 1]];
    _cleanup_buf_ struct buf b = {0}, line = {0};
    uintptr_t known = (uintptr_t)table_get(p->locations, run->data, run->size);

    if (known)
        return known;
    if (table_put(p->locations, run->data, run->size, (void *)(uintptr_t)++p->location_count) < 0)
        p->out.failed = true;
    add_number(&b, LOCATION_ID, p->location_count);
    add_number(&b, LOCATION_MAPPING, mapping_number(p, outer));
    add_number(&b, LOCATION_ADDRESS, outer->address);
    for (size_t i = 0; i < count; i++) {
        add_number(&line, LINE_FUNCTION, frames[i] + 1ull);
        add_message(&b, LOCATION_LINE, &line);
    }
    add_message(&p->out, PROFILE_LOCATION, &b);
    return p->location_count;
}

/* Ends the run of frames that share a location, if there is one. */
static void end_run(struct pprof *p, struct buf *run, struct buf *list)
{
    if (buf_error(run) < 0)
        p->out.failed = true;
    else if (run->size)
        add_varint(list, location_number(p, run));
    run->size = 0;
}

static void add_frame(struct pprof *p, uint32_t frame, struct buf *run, struct buf *list)
{
    buf_add(run, &frame, sizeof(frame));
    if (p->m->frames[frame].kind != MODEL_INLINED)
        end_run(p, run, list);
}

static void add_label(struct pprof *p, struct buf *sample, const char *key, const char *text,
                      uint64_t number)
{
    _cleanup_buf_ struct buf b = {0};

    if (!text && !number)
        return;
    add_number(&b, LABEL_KEY, string_number(p, key));
    add_number(&b, LABEL_STRING, string_number(p, text));
    add_number(&b, LABEL_NUMBER, number);
    add_message(sample, SAMPLE_LABEL, &b);
}

static void add_labels(struct pprof *p, struct buf *sample, const struct model_label *l)
{
    const char *container = l->container;

    if (!container)
        container = json_string(json_member(p->m->started, "container", json_type_object), "name");
    add_label(p, sample, "container", container, 0);
    add_label(p, sample, "comm", l->comm, 0);
    add_label(p, sample, "pid", NULL, l->pid);
    add_label(p, sample, "tid", NULL, l->tid);
}

/* A sample for the stack that ends with this node, innermost frame first. */
static void add_sample(struct pprof *p, uint32_t node)
{
    const struct stacks *s = p->m->stacks;
    _cleanup_buf_ struct buf b = {0}, list = {0}, labels = {0}, run = {0};
    uint64_t value = s->nodes[node].self;

    for (uint32_t at = node; at != STACKS_ROOT; at = s->nodes[at].parent)
        for (uint32_t i = s->nodes[at].frame_count; i > 0; i--) {
            uint32_t frame = s->pool[s->nodes[at].frames + i - 1];

            if (p->m->frames[frame].kind < MODEL_THREAD)
                add_frame(p, frame, &run, &list);
            else if (p->m->frames[frame].kind == MODEL_THREAD)
                add_labels(p, &labels, &p->m->labels[p->m->frames[frame].label]);
        }
    end_run(p, &run, &list);
    add_message(&b, SAMPLE_LOCATION, &list);
    add_varint(&list, value);
    if (p->period_ns)
        add_varint(&list, value * p->period_ns);
    add_message(&b, SAMPLE_VALUE, &list);
    buf_add(&b, labels.data, labels.size);
    add_message(&p->out, PROFILE_SAMPLE, &b);
}

/* Seconds since 1970 of an ISO 8601 time in UTC, in nanoseconds; 0 when there is none. */
static uint64_t time_ns(const char *text)
{
    struct tm tm = {0};
    time_t t;

    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
        return 0;
    t = timegm(&tm);
    return t > 0 ? (uint64_t)t * 1000000000u : 0;
}

/* Samples are CPU time only when the clock of the CPU took them at a known pace. */
static uint64_t find_period(const struct model *m)
{
    const char *event = json_string(m->started, "event");
    uint64_t hz;

    if (!event || strcmp(event, "cpu-clock") != 0 ||
        !json_number(m->started, "frequency", PROTO_FREQUENCY_MAX, &hz) || hz == 0)
        return 0;
    return 1000000000u / hz;
}

static void add_profile(struct pprof *p)
{
    const struct model *m = p->m;
    const char *view = json_string(m->started, "view"), *event = json_string(m->started, "event");
    uint64_t period = json_count(m->started, "period");

    p->period_ns = find_period(m);
    add_bytes(&p->strings, PROFILE_STRING, "", 0);
    if (units_are_times(m))
        add_value_type(p, PROFILE_SAMPLE_TYPE, view ? view : "time", "microseconds");
    else if (units_are_bytes(m))
        add_value_type(p, PROFILE_SAMPLE_TYPE, view ? view : "bytes", "bytes");
    else
        add_value_type(p, PROFILE_SAMPLE_TYPE, model_unit(m), "count");
    if (p->period_ns)
        add_value_type(p, PROFILE_SAMPLE_TYPE, "cpu", "nanoseconds");
    for (uint32_t i = 0; i < m->frame_count; i++)
        if (m->frames[i].kind < MODEL_THREAD)
            add_function(p, i);
    for (uint32_t i = 1; i < m->stacks->node_count; i++)
        if (m->stacks->nodes[m->stacks->order[i]].self)
            add_sample(p, m->stacks->order[i]);
    add_number(&p->out, PROFILE_TIME, time_ns(json_string(m->started, "time")));
    add_number(&p->out, PROFILE_DURATION, json_count(m->end, "elapsed_ms") * 1000000u);
    if (p->period_ns) {
        add_value_type(p, PROFILE_PERIOD_TYPE, "cpu", "nanoseconds");
        add_number(&p->out, PROFILE_PERIOD, p->period_ns);
    } else if (event && period) {
        add_value_type(p, PROFILE_PERIOD_TYPE, event, "count");
        add_number(&p->out, PROFILE_PERIOD, period);
    }
}

static int write_gzip(const struct buf *b, FILE *out)
{
    unsigned char chunk[16384];
    z_stream z = {.next_in = (unsigned char *)b->data};
    size_t left = b->size;
    int r = Z_OK;

    /* 16 more than the window's bits asks zlib for a gzip header. */
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    do {
        uInt feed = (uInt)MIN(left, (size_t)1 << 30);

        z.avail_in += feed;
        left -= feed;
        do {
            z.next_out = chunk;
            z.avail_out = sizeof(chunk);
            r = deflate(&z, left ? Z_NO_FLUSH : Z_FINISH);
            fwrite(chunk, 1, sizeof(chunk) - z.avail_out, out);
        } while (z.avail_out == 0);
    } while (r != Z_STREAM_END && r != Z_STREAM_ERROR);
    deflateEnd(&z);
    return r == Z_STREAM_END ? 0 : -ENOMEM;
}

int render_pprof(const struct model *m, const struct render_options *o _unused_, FILE *out)
{
    struct pprof p = {.m = m};
    int r = table_new(&p.numbers, NULL);

    if (r == 0)
        r = table_new(&p.mappings, NULL);
    if (r == 0)
        r = table_new(&p.locations, NULL);
    if (r == 0) {
        add_profile(&p);
        if (buf_error(&p.strings) < 0)
            p.out.failed = true;
        buf_add(&p.out, p.strings.data, p.strings.size);
        r = buf_error(&p.out);
    }
    if (r == 0)
        r = write_gzip(&p.out, out);
    table_free(p.numbers);
    table_free(p.mappings);
    table_free(p.locations);
    buf_free(&p.out);
    buf_free(&p.strings);
    return r;
}
