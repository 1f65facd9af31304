/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quality.h"

#include "base/text.h"
#include "cli/quality_io.h"
#include "cli/units.h"

#include <inttypes.h>
#include <string.h>

#define CAUSES_SHOWN 4
#define REMARKS_SHOWN 6

void quality_put_line(struct buf *line, FILE *out)
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
    const char *view = json_string(m->started, "view"), *event = json_string(m->started, "event");
    uint64_t ms = json_count(m->end, "elapsed_ms");

    buf_addf(line, "%s: ", units_nothing(m));
    if (view && strcmp(view, "cpu") != 0)
        buf_adds(line, "none of the target was seen");
    else if (event && strcmp(event, "cpu-clock") != 0)
        buf_addf(line, "the target caused no %s", event);
    else
        buf_adds(line, "the target used no CPU");
    if (ms)
        buf_addf(line, " in %" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    quality_put_line(line, out);
}

/* Nothing is that, in whichever unit. */
static void add_number(const struct model *m, uint64_t n, struct buf *line)
{
    if (n)
        units_add_number(line, m, n);
    else
        buf_addc(line, '0');
}

/* The members that are not zero: a word and its value each. */
static void add_values(const struct model *m, const struct json_object *values, struct buf *line)
{
    bool first = true;

    json_object_object_foreach((struct json_object *)values, cause, n)
    {
        if (json_object_get_uint64(n) == 0)
            continue;
        buf_addf(line, "%s%s ", first ? ": " : ", ", cause);
        units_add_number(line, m, json_object_get_uint64(n));
        first = false;
    }
}

static void put_samples(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *lost = json_member(m->quality, "lost", json_type_object);
    uint64_t taken = json_count(m->quality, "taken"), shown = json_count(m->quality, "shown");

    buf_addf(line, "%s: ", units_subject(m));
    add_number(m, taken, line);
    buf_adds(line, " taken, ");
    add_number(m, shown, line);
    buf_adds(line, " shown, ");
    add_number(m, taken - MIN(shown, taken), line);
    buf_adds(line, " lost");
    if (lost)
        add_values(m, lost, line);
    quality_put_line(line, out);
}

/* Where threads' time went; the four states add up to the time that they lived. */
static void put_times(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *t = json_member(m->quality, "times", json_type_object);
    double wall = (double)json_count(t, "wall_us");
    uint64_t left_out = json_count(t, "left_out_us"), no_room = json_count(t, "no_room");

    if (!t || wall <= 0)
        return;
    buf_adds(line, "time: ");
    units_add_us(line, json_count(t, "wall_us"));
    buf_adds(line, " of ");
    units_add_grouped(line, json_count(t, "threads"));
    buf_addf(line,
             " threads = %.1f %% on a CPU + %.1f %% ready + %.1f %% throttled + %.1f %% blocked",
             (double)json_count(t, "on_cpu_us") * 100 / wall,
             (double)json_count(t, "runnable_us") * 100 / wall,
             (double)json_count(t, "throttled_us") * 100 / wall,
             (double)json_count(t, "blocked_us") * 100 / wall);
    quality_put_line(line, out);
    if (left_out) {
        buf_adds(line, "left out by the filters: ");
        units_add_us(line, left_out);
        buf_adds(line, " of waiting");
        quality_put_line(line, out);
    }
    if (no_room) {
        units_add_grouped(line, no_room);
        buf_adds(line, " switches of threads that there was no room for");
        quality_put_line(line, out);
    }
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
    quality_put_line(line, out);
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
    quality_put_line(line, out);
    if (!causes)
        return;
    json_object_array_sort(causes, compare_causes);
    n = json_object_array_length(causes);
    for (size_t i = 0; i < MIN(n, (size_t)CAUSES_SHOWN); i++)
        put_cause(json_object_array_get_idx(causes, i), total, line, out);
    if (n > CAUSES_SHOWN) {
        buf_addf(line, "  and %zu causes more (all are in the output as json)", n - CAUSES_SHOWN);
        quality_put_line(line, out);
    }
}

static void put_not_expanded(const struct json_object *row, uint64_t total, struct buf *line,
                             FILE *out)
{
    const char *file = json_string(row, "file"), *cause = json_string(row, "cause");
    const char *detail = json_string(row, "detail"), *remedy = json_string(row, "remedy");

    buf_addf(line, "  %.1f %%", (double)json_count(row, "frames") * 100 / (double)total);
    if (file)
        buf_addf(line, " %s:", file);
    buf_addf(line, " %s", cause ? cause : "no cause given");
    if (detail)
        buf_addf(line, " (%s)", detail);
    if (remedy && *remedy)
        buf_addf(line, "; %s", remedy);
    quality_put_line(line, out);
}

/* Only where inlined functions were asked for. */
static void put_inlines(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *inlines = json_member(m->quality, "inlines", json_type_object);
    struct json_object *rows = json_member(inlines, "not_expanded", json_type_array);
    uint64_t asked = json_count(inlines, "asked"), expanded = json_count(inlines, "expanded");
    size_t n = rows ? json_object_array_length(rows) : 0;

    if (!asked)
        return;
    buf_addf(line, "inlined functions: known for %.1f %% of the frames of files",
             (double)MIN(expanded, asked) * 100 / (double)asked);
    quality_put_line(line, out);
    for (size_t i = 0; i < MIN(n, (size_t)CAUSES_SHOWN); i++)
        put_not_expanded(json_object_array_get_idx(rows, i), asked, line, out);
    if (n > CAUSES_SHOWN) {
        buf_addf(line, "  and %zu causes more (all are in the output as json)", n - CAUSES_SHOWN);
        quality_put_line(line, out);
    }
}

/* Stacks of which no user part was looked for are not broken: wakers are asked for, not where the
 * target's own threads were. */
static bool walked_none(const struct json_object *stacks)
{
    struct json_object *causes = json_member(stacks, "broken_by", json_type_object);
    uint64_t broken = json_count(stacks, "broken");

    return json_count(stacks, "whole") + json_count(stacks, "truncated") == 0 && broken &&
           json_count(causes, "no-user-stack") == broken;
}

static void put_stacks(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *stacks = json_member(m->quality, "stacks", json_type_object);
    uint64_t whole = json_count(stacks, "whole"), cut = json_count(stacks, "truncated");
    struct json_object *causes = json_member(stacks, "broken_by", json_type_object);
    uint64_t broken = json_count(stacks, "broken");

    if (cut + broken == 0 || walked_none(stacks))
        return;
    buf_addf(line, "stacks: %.1f %% do not reach the thread's start",
             (double)(cut + broken) * 100 / (double)(whole + cut + broken));
    if (cut) {
        buf_adds(line, ", ");
        units_add_number(line, m, cut);
        buf_adds(line, " too deep");
    }
    if (broken) {
        buf_adds(line, ", ");
        units_add_number(line, m, broken);
        buf_adds(line, " lost on the way");
    }
    if (broken && causes)
        add_values(m, causes, line);
    quality_put_line(line, out);
}

/* What could not be classed of the time that was. */
static void put_unclassed(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *t = json_member(m->quality, "times", json_type_object);
    const char *view = json_string(m->started, "view");
    uint64_t blocked = json_count(t, "blocked_us"), unclassed = json_count(t, "unclassed_us");

    if (!view || strcmp(view, "states") != 0 || !blocked)
        return;
    buf_addf(line, "causes: %.1f %% of the blocked time has one that kernel functions tell",
             (double)(blocked - MIN(unclassed, blocked)) * 100 / (double)blocked);
    quality_put_line(line, out);
}

/* What was asked for in vain: an agent that is older than we are lists it. */
static void put_ignored(const struct model *m, struct buf *line, FILE *out)
{
    struct json_object *names = json_member(m->started, "ignored", json_type_array);
    const char *version = json_string(m->started, "version");
    size_t n = names ? MIN(json_object_array_length(names), (size_t)REMARKS_SHOWN) : 0;

    if (n == 0)
        return;
    buf_addf(line, "ignored by portholed, which is of version %s and does not know it:",
             version ? version : "unknown");
    for (size_t i = 0; i < n; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(names, i));

        buf_addf(line, "%s '%s'", i ? "," : "", name ? name : "");
    }
    quality_put_line(line, out);
}

void quality_print(const struct model *m, FILE *out)
{
    struct json_object *remarks = json_member(m->quality, "remarks", json_type_array);
    const char *status = json_string(m->end, "status");
    _cleanup_buf_ struct buf line = {0};
    size_t n;

    if (model_is_empty(m))
        put_empty(m, &line, out);
    if (m->quality)
        put_samples(m, &line, out);
    put_times(m, &line, out);
    quality_put_io(m, &line, out);
    if (m->yields_records) {
        put_unclassed(m, &line, out);
    } else {
        put_frames(m, &line, out);
        put_inlines(m, &line, out);
        put_stacks(m, &line, out);
    }
    put_ignored(m, &line, out);
    if (status && strcmp(status, "target-gone") == 0) {
        buf_adds(&line,
                 "the target ended before the capture did: this is what was seen until then");
        quality_put_line(&line, out);
    }
    n = remarks ? json_object_array_length(remarks) : 0;
    for (size_t i = 0; i < MIN(n, (size_t)REMARKS_SHOWN); i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(remarks, i));

        buf_adds(&line, text ? text : "");
        quality_put_line(&line, out);
    }
}
