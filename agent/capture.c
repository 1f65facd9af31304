/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/capture.h"

#include "agent/capture_inside.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TICK_NS (500 * NS_PER_MS)
#define LOCATE_MAX_NS (2 * NS_PER_SEC)
#define COLLECT_MAX_NS (12 * NS_PER_SEC) /* one file that takes the parser to its bounds */
#define NAME_MAX_NS (2 * NS_PER_SEC)
#define EMIT_MAX (256u << 10)

static void locate_all(struct capture *c);
static void collect(struct capture *c);
static void name_all(struct capture *c);
static void deliver(struct capture *c);

/* ---- running ---- */

static int on_row(void *data, const struct event_key *key, const struct event_value *value)
{
    struct capture *c = data;

    return profile_row(c->profile, c->probe, key, value);
}

/* Samples first, then the records up to a later time, so that every sample finds its mappings. */
static void pump(struct capture *c, bool last)
{
    uint64_t tick = now_ns(), until;

    if (c->probe && c->request.probe->drain(c->probe, last, on_row, c) == 1)
        profile_rows_forgotten(c->profile);
    if (c->probe)
        probe_counters(c->probe, &c->counters);
    until = sideband_read(c->sideband, c->scene);
    capture_advance(c, until);
    profile_locate(c->profile, false);
    capture_advance(c, until);
    c->previous_tick_ns = tick;
}

static bool target_is_gone(const struct capture *c)
{
    return c->target->cgroup_dir && access(c->target->cgroup_dir, F_OK) < 0 && errno == ENOENT;
}

static void on_tick(void *data)
{
    struct capture *c = data;

    pump(c, false);
    stream_progress(c);
    if (target_is_gone(c)) {
        c->end = END_TARGET_GONE;
        locate_all(c);
    } else {
        source_arm(c->tick, now_ns() + TICK_NS);
    }
    c->wake(c->data);
}

/* ---- ending ---- */

static void on_idle(void *data)
{
    struct capture *c = data;

    /* Out of the answer's callback: what comes next frees and asks. */
    source_arm(c->deadline, now_ns());
}

/* Goes on when no question is open any more, or at the latest after max_ns. */
static void wait_for_answers(struct capture *c, uint64_t max_ns)
{
    source_arm(c->deadline, now_ns() + max_ns);
    scene_when_idle(c->scene, on_idle, c);
}

static void locate_all(struct capture *c)
{
    source_arm(c->tick, 0);
    source_arm(c->news, 0);
    c->phase = PHASE_LOCATING;
    pump(c, true);
    c->ended_ns = now_ns();
    if (c->unwind)
        c->left_out = unwind_left_out(c->unwind);
    unwind_free(c->unwind);
    c->unwind = NULL;
    c->request.probe->close(c->probe);
    c->probe = NULL;
    wait_for_answers(c, LOCATE_MAX_NS);
}

static void collect(struct capture *c)
{
    uint64_t until = sideband_read(c->sideband, c->scene);

    scene_advance(c->scene, until, c->previous_tick_ns);
    profile_locate(c->profile, true);
    c->sideband_lost = sideband_lost(c->sideband);
    sideband_free(c->sideband);
    c->sideband = NULL;
    c->phase = PHASE_COLLECTING;
    scene_collect(c->scene);
    wait_for_answers(c, COLLECT_MAX_NS);
}

static void name_all(struct capture *c)
{
    c->phase = PHASE_NAMING;
    if (scene_name(c->scene) < 0) {
        struct err e = {0};

        capture_fail(c, &e, NULL);
        return;
    }
    wait_for_answers(c, NAME_MAX_NS);
}

/* Remarks with numbers; n is how many stand already. */
static void add_counted_remarks(struct capture *c, struct quality_setup *setup, size_t n)
{
    struct scene_stats stats;

    scene_get_stats(c->scene, &stats);
    if (stats.bad_jit_lines) {
        snprintf(c->remarks[0], sizeof(c->remarks[0]),
                 "%llu lines of perf maps are no valid entries and were left out",
                 (unsigned long long)stats.bad_jit_lines);
        setup->remarks[n++] = c->remarks[0];
    }
    if (c->left_out) {
        snprintf(c->remarks[1], sizeof(c->remarks[1]),
                 "%llu processes were walked by frame pointers: no room for more unwind tables",
                 (unsigned long long)c->left_out);
        setup->remarks[n] = c->remarks[1];
    }
}

static int measure(struct capture *c)
{
    struct quality_setup setup = {.counters = c->counters, .sideband_lost = c->sideband_lost};
    const struct profile_stack *s;
    size_t cursor = 0, n = 0;
    int r;

    cost_read(c->ctx->setup, &setup.cost);
    cost_subtract(&setup.cost, &c->cost_before);
    if (c->counters.first_ns > c->asked_ns)
        setup.first_sample_ns = c->counters.first_ns - c->asked_ns;
    if (c->sideband_lost)
        setup.remarks[n++] = "records of mapped files were lost: processes were looked at anew";
    if (c->end == END_TARGET_GONE)
        setup.remarks[n++] = "the target went away before the capture's end";
    if (!c->counters.taken)
        setup.remarks[n++] = "no sample was taken: the target did not run";
    if (!c->unwound)
        setup.remarks[n++] = "this kernel cannot unwind by tables: stacks are walked by frame "
                             "pointers, and code built without them shows fewer callers";
    add_counted_remarks(c, &setup, n);
    r = quality_new(&setup, &c->quality);
    while (r == 0 && (s = profile_next(c->profile, &cursor)))
        quality_add(c->quality, c->scene, s);
    return r;
}

static void deliver(struct capture *c)
{
    struct err e = {0};

    scene_settle_names(c->scene);
    if (profile_finish(c->profile) < 0 || measure(c) < 0) {
        capture_fail(c, &e, NULL);
        return;
    }
    c->ctx->totals.taken += c->counters.taken;
    c->ctx->totals.shown += profile_shown(c->profile);
    c->ctx->totals.lost += quality_lost(c->quality, c->profile);
    c->phase = PHASE_DELIVERING;
    c->wake(c->data);
}

/* The one timer that moves a capture on: the end of its time, and of each wait after that. */
static void on_deadline(void *data)
{
    struct capture *c = data;

    if (c->scene)
        scene_when_idle(c->scene, NULL, NULL);
    switch (c->phase) {
    case PHASE_RUNNING:
        locate_all(c);
        break;
    case PHASE_LOCATING:
        collect(c);
        break;
    case PHASE_COLLECTING:
        name_all(c);
        break;
    case PHASE_NAMING:
        deliver(c);
        break;
    default:
        break;
    }
}

void capture_stop(struct capture *c)
{
    struct err e = {0};

    if (c->phase == PHASE_FINDING) {
        discovery_cancel(c->ctx->discovery, c->finding);
        c->finding = 0;
        err_set(&e, ERR_INTERRUPTED, "interrupted before anything was captured");
        capture_fail(c, &e, NULL);
    } else if (c->phase == PHASE_RUNNING) {
        c->end = END_INTERRUPTED;
        locate_all(c);
    }
}

bool capture_emit(struct capture *c, struct buf *out)
{
    buf_add(out, c->lines.data, c->lines.size);
    buf_free(&c->lines);
    while (c->phase == PHASE_DELIVERING && out->size < EMIT_MAX)
        if (!stream_result(c, out))
            c->phase = PHASE_DONE;
    return c->phase == PHASE_DONE;
}

int capture_new(struct context *ctx, struct request *request, void (*wake)(void *data), void *data,
                struct capture **ret)
{
    _cleanup_(capture_freep) struct capture *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return -ENOMEM;
    c->ctx = ctx;
    ctx->captures++;
    c->wake = wake;
    c->data = data;
    c->asked_ns = now_ns();
    cost_read(ctx->setup, &c->cost_before);
    r = table_new(&c->container_names, free);
    if (r == 0)
        r = loop_add_timer(ctx->loop, on_tick, c, &c->tick);
    if (r == 0)
        r = loop_add_timer(ctx->loop, on_deadline, c, &c->deadline);
    if (r == 0)
        r = loop_add_timer(ctx->loop, capture_read_sideband, c, &c->news);
    if (r == 0)
        r = discovery_refresh(ctx->discovery, capture_begin, c, &c->finding);
    if (r < 0)
        return r;
    c->request = *request;
    *request = (struct request){0};
    *ret = TAKE_PTR(c);
    return 0;
}

void capture_free(struct capture *c)
{
    if (!c)
        return;
    if (c->finding)
        discovery_cancel(c->ctx->discovery, c->finding);
    source_free(c->tick);
    source_free(c->deadline);
    source_free(c->news);
    unwind_free(c->unwind);
    if (c->probe)
        c->request.probe->close(c->probe);
    sideband_free(c->sideband);
    quality_free(c->quality);
    profile_free(c->profile);
    scene_free(c->scene);
    target_free(c->target);
    table_free(c->container_names);
    buf_free(&c->lines);
    request_free(&c->request);
    c->ctx->captures--;
    free(c);
}

void capture_describe(const struct capture *c, struct buf *out)
{
    static const char *const phases[] = {
        [PHASE_FINDING] = "finding",   [PHASE_RUNNING] = "running",
        [PHASE_LOCATING] = "locating", [PHASE_COLLECTING] = "collecting",
        [PHASE_NAMING] = "naming",     [PHASE_DELIVERING] = "delivering",
        [PHASE_DONE] = "done",
    };

    buf_addf(out, "{\"view\":\"%s\",\"phase\":\"%s\",\"target\":", c->request.probe->view,
             phases[c->phase]);
    text_add_json(out, c->request.target);
    buf_addf(out, ",\"elapsed_ms\":%llu,\"duration_ms\":%llu,\"samples\":%llu,\"memory_kb\":%llu}",
             (unsigned long long)((now_ns() - c->asked_ns) / NS_PER_MS),
             (unsigned long long)c->request.duration_ms, (unsigned long long)c->counters.taken,
             (unsigned long long)(c->profile ? profile_bytes(c->profile) / 1024 : 0));
}
