/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quality.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

#define CAUSES_SHOWN 4
#define REMARKS_SHOWN 6

/* Writes a line and empties it. Names and remedies in it are foreign text. */
static void put_line(struct buf *line, FILE *out)
{
    _cleanup_buf_ struct buf safe = {0};

    if (!buf_error(line)) {
        text_add_terminal(&safe, line->data);
        fprintf(out, "%s\n", safe.data ? safe.data : "");
    }
    line->size = 0;
}

/* Says why there is nothing to see. */
static void put_empty(const struct model *m, struct buf *line, FILE *out)
{
    const char *event = json_string(m->started, "event");
    uint64_t ms = json_count(m->end, "elapsed_ms");

    if (event && strcmp(event, "cpu-clock") != 0)
        buf_addf(line, "no samples: the target caused no %s", event);
    else
        buf_adds(line, "no samples: the target used no CPU");
    if (ms)
        buf_addf(line, " in %" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    put_line(line, out);
}

static void put_samples(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *lost = json_member(m->quality, "lost", json_type_object);
    uint64_t taken = json_count(m->quality, "taken"), shown = json_count(m->quality, "shown");
    bool first = true;

    buf_addf(line, "samples: %" PRIu64 " taken, %" PRIu64 " shown, %" PRIu64 " lost", taken, shown,
             taken - MIN(shown, taken));
    if (lost) {
        json_object_object_foreach(lost, cause, n)
        {
            if (json_object_get_uint64(n) == 0)
                continue;
            buf_addf(line, "%s%s %" PRIu64, first ? ": " : ", ", cause, json_object_get_uint64(n));
            first = false;
        }
    }
    put_line(line, out);
}

static int compare_causes(const void *a, const void *b)
{
    uint64_t x = json_count(*(struct json_object *const *)a, "frames");
    uint64_t y = json_count(*(struct json_object *const *)b, "frames");

    return (x < y) - (x > y);
}

static void put_cause(const struct json_object *cause, uint64_t total, struct buf *line, FILE *out)
{
    const char *file = json_string(cause, "file"), *remedy = json_string(cause, "remedy");
    const char *reason = json_string(cause, "reason"), *id = json_string(cause, "build_id");

    buf_addf(line, "  %.1f %%", (double)json_count(cause, "frames") * 100 / (double)total);
    if (file)
        buf_addf(line, " %s:", file);
    buf_addf(line, " %s", reason ? reason : "no reason given");
    if (id)
        buf_addf(line, ", build ID %s", id);
    if (remedy && *remedy)
        buf_addf(line, "; %s", remedy);
    put_line(line, out);
}

static void put_frames(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *frames = json_member(m->quality, "frames", json_type_object);
    struct json_object *causes = json_member(m->quality, "unnamed", json_type_array);
    uint64_t total = json_count(frames, "total"), unnamed = json_count(frames, "unnamed");
    size_t n;

    if (!total)
        return;
    buf_addf(line, "frames: %.1f %% named",
             (double)(total - MIN(unnamed, total)) * 100 / (double)total);
    put_line(line, out);
    if (!causes)
        return;
    json_object_array_sort(causes, compare_causes);
    n = json_object_array_length(causes);
    for (size_t i = 0; i < MIN(n, (size_t)CAUSES_SHOWN); i++)
        put_cause(json_object_array_get_idx(causes, i), total, line, out);
    if (n > CAUSES_SHOWN) {
        buf_addf(line, "  and %zu causes more (all are in the output as json)", n - CAUSES_SHOWN);
        put_line(line, out);
    }
}

static void put_stacks(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *stacks = json_member(m->quality, "stacks", json_type_object);
    uint64_t whole = json_count(stacks, "whole"), cut = json_count(stacks, "truncated");
    uint64_t broken = json_count(stacks, "broken");

    if (cut + broken == 0)
        return;
    buf_addf(line, "stacks: %.1f %% do not reach the thread's start",
             (double)(cut + broken) * 100 / (double)(whole + cut + broken));
    if (cut)
        buf_addf(line, ", %" PRIu64 " too deep", cut);
    if (broken)
        buf_addf(line, ", %" PRIu64 " lost on the way", broken);
    put_line(line, out);
}

void quality_print(const struct model *m, FILE *out)
{
    struct json_object *remarks = json_member(m->quality, "remarks", json_type_array);
    const char *status = json_string(m->end, "status");
    _cleanup_buf_ struct buf line = {0};
    size_t n;

    if (m->stacks->total == 0)
        put_empty(m, &line, out);
    if (m->quality)
        put_samples(m, &line, out);
    put_frames(m, &line, out);
    put_stacks(m, &line, out);
    if (status && strcmp(status, "target-gone") == 0) {
        buf_adds(&line,
                 "the target ended before the capture did: this is what was seen until then");
        put_line(&line, out);
    }
    n = remarks ? json_object_array_length(remarks) : 0;
    for (size_t i = 0; i < MIN(n, (size_t)REMARKS_SHOWN); i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(remarks, i));

        buf_adds(&line, text ? text : "");
        put_line(&line, out);
    }
}
