/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/capture.h"

#include "agent/capture_inside.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TICK_NS (500 * NS_PER_MS)
#define LOCATE_MAX_NS (2 * NS_PER_SEC)
#define FINDING_NS (10 * NS_PER_MS) /* between looks whether the containers are known */
#define ATTACH_MAX_NS (10 * NS_PER_SEC)
#define COLLECT_MAX_NS (12 * NS_PER_SEC) /* one file that takes the parser to its bounds */
#define EXPAND_MAX_NS (12 * NS_PER_SEC)  /* the same */
#define FETCH_MAX_NS (2 * NS_PER_SEC)    /* debuginfod's answers come later, or never */
#define NAME_MAX_NS (2 * NS_PER_SEC)
#define EMIT_MAX (256u << 10)

static void locate_all(struct capture *c);
static void attach_all(struct capture *c);
static void collect(struct capture *c);
static void expand(struct capture *c);
static void fetch_all(struct capture *c);
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

    profile_draining(c->profile, tick);
    if (c->probe && c->request.probe->drain(c->probe, last, on_row, c) == 1)
        profile_rows_forgotten(c->profile);
    if (c->probe)
        probe_counters(c->probe, &c->counters);
    capture_take_events(c, last);
    if (!c->sideband)
        return;
    until = sideband_read(c->sideband, c->scene);
    capture_advance(c, until);
    profile_locate(c->profile, false);
    capture_advance(c, until);
    scene_make_room(c->scene);
    scene_look_around(c->scene);
    c->previous_tick_ns = tick;
}

static bool target_is_gone(const struct capture *c)
{
    return c->target->cgroup_dir && access(c->target->cgroup_dir, F_OK) < 0 && errno == ENOENT;
}

static void on_tick(void *data)
{
    struct capture *c = data;

    if (c->phase == PHASE_ATTACHING) { /* takes seconds: the client sees that it goes on */
        stream_progress(c);
        source_arm(c->tick, now_ns() + TICK_NS);
        c->wake(c->data);
        return;
    }
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
    scene_hurry(c->scene);
    pump(c, true);
    c->ended_ns = now_ns();
    capture_take_times(c, profile_get_setup(c->profile));
    c->overhead = c->request.probe->overhead ? c->request.probe->overhead(c->probe) : -1;
    if (c->unwind)
        c->left_out = unwind_left_out(c->unwind);
    unwind_free(c->unwind);
    c->unwind = NULL;
    c->request.probe->close(c->probe);
    c->probe = NULL;
    wait_for_answers(c, LOCATE_MAX_NS);
}

/* The maps that JVMs wrote before lack what was compiled since. */
static void attach_all(struct capture *c)
{
    c->phase = PHASE_ATTACHING;
    source_arm(c->tick, now_ns() + TICK_NS);
    scene_attach_again(c->scene);
    wait_for_answers(c, ATTACH_MAX_NS);
}

static void locate_rest(struct capture *c)
{
    uint64_t until = sideband_read(c->sideband, c->scene);

    scene_advance(c->scene, until, c->previous_tick_ns);
    profile_locate(c->profile, true);
    scene_look_at_ksymbols(c->scene);
    sideband_read(c->sideband, c->scene);
    c->sideband_lost = sideband_lost(c->sideband);
    sideband_free(c->sideband);
    c->sideband = NULL;
}

static void collect(struct capture *c)
{
    if (c->sideband)
        locate_rest(c);
    c->phase = PHASE_COLLECTING;
    source_arm(c->tick, 0);
    scene_look_around(c->scene);
    scene_collect(c->scene);
    wait_for_answers(c, COLLECT_MAX_NS);
}

static void expand(struct capture *c)
{
    c->phase = PHASE_EXPANDING;
    scene_expand(c->scene);
    wait_for_answers(c, EXPAND_MAX_NS);
}

/* The files were asked for when they were first sampled; this is the rest of the wait. */
static void fetch_all(struct capture *c)
{
    c->phase = PHASE_FETCHING;
    source_arm(c->deadline, now_ns() + FETCH_MAX_NS);
    scene_when_fetched(c->scene, on_idle, c);
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

static void add_remarks(struct capture *c)
{
    struct remarks *r = &c->remarks;
    struct scene_stats stats;

    scene_get_stats(c->scene, &stats);
    if (c->sideband_lost)
        remarks_add(r, "records of mapped files were lost: processes were looked at anew");
    if (c->end == END_TARGET_GONE)
        remarks_add(r, "the target went away before the capture's end");
    if (!c->counters.taken)
        remarks_add(r, "%s",
                    c->request.probe->family == FAMILY_IO
                        ? "nothing was seen: the target did nothing of this kind"
                        : "no sample was taken: the target did not run");
    if (c->lacks)
        remarks_add(r, "%s", c->lacks);
    if (*c->ctx->setup->lacking)
        remarks_add(r, "portholed lacks %s; see porthole doctor for what that costs",
                    c->ctx->setup->lacking);
    if (!c->unwound && !c->request.probe->records)
        remarks_add(r,
                    "%s: stacks are walked by frame pointers, and code built without them shows "
                    "fewer callers",
                    c->ctx->setup->config->unwind_tables
                        ? "this kernel cannot unwind by tables"
                        : "the agent's configuration says 'unwind-tables = no'");
    if (stats.bad_jit_lines)
        remarks_add(r, "%llu entries of perf maps or jitdump files are not valid and were left out",
                    (unsigned long long)stats.bad_jit_lines);
    if (c->left_out)
        remarks_add(r,
                    "%llu processes were walked by frame pointers: no room for more unwind tables",
                    (unsigned long long)c->left_out);
    remarks_add_programs(r, c->scene, c->ctx->setup->config->java);
}

/* That some waits' stacks were not taken, or that this was not enough. */
static void remark_overhead(struct capture *c)
{
    const struct event_counters *n = &c->counters;
    unsigned long long max = c->request.wait.max_overhead;

    if (n->owing)
        remarks_add(
            &c->remarks,
            "to stay within --max-overhead %llu the stacks of %llu of %llu waits were taken, "
            "whose values stand for the others, too",
            max, (unsigned long long)n->drawn, (unsigned long long)(n->drawn + n->owing));
    if (c->overhead > (double)max)
        remarks_add(&c->remarks,
                    "the programs took %.1f %% of a CPU's time all the same, more than "
                    "--max-overhead %llu: so often does the target switch",
                    c->overhead, max);
}

static int measure(struct capture *c)
{
    struct quality_setup setup = {
        .counters = c->counters, .sideband_lost = c->sideband_lost, .states = c->states};
    const struct profile_stack *s;
    size_t cursor = 0;
    int r;

    capture_count_records(c, &setup);
    cost_read(c->ctx->setup, &setup.cost);
    cost_subtract(&setup.cost, &c->cost_before);
    if (c->counters.first_ns > c->asked_ns)
        setup.first_sample_ns = c->counters.first_ns - c->asked_ns;
    if (c->counters.first_whole_ns > c->asked_ns)
        setup.first_whole_ns = c->counters.first_whole_ns - c->asked_ns;
    add_remarks(c);
    if (c->overhead >= 0)
        remark_overhead(c);
    setup.overhead_percent = c->overhead;
    setup.overhead_max = c->request.wait.max_overhead;
    setup.remarks = &c->remarks;
    setup.attached = c->request.java ? c->scene : NULL;
    r = quality_new(&setup, &c->quality);
    while (r == 0 && (s = profile_next(c->profile, &cursor))) {
        quality_add(c->quality, c->scene, s);
        if (c->states)
            states_add_stack(c->states, c->scene, s);
    }
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

    if (c->scene) {
        scene_when_idle(c->scene, NULL, NULL);
        scene_when_fetched(c->scene, NULL, NULL);
    }
    switch (c->phase) {
    case PHASE_RUNNING:
        locate_all(c);
        break;
    case PHASE_LOCATING:
        if (c->finding && now_ns() < c->ended_ns + LOCATE_MAX_NS)
            source_arm(c->deadline, now_ns() + FINDING_NS);
        else if (c->request.java)
            attach_all(c);
        else
            collect(c);
        break;
    case PHASE_ATTACHING:
        collect(c);
        break;
    case PHASE_COLLECTING:
        fetch_all(c);
        break;
    case PHASE_FETCHING:
        if (c->request.inlines)
            expand(c);
        else
            name_all(c);
        break;
    case PHASE_EXPANDING:
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
        r = table_new(&c->strangers, free);
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
    capture_close_events(c); /* before the probe, whose fd it looks at */
    if (c->records)
        c->records_ops->free(c->records);
    unwind_free(c->unwind);
    if (c->probe)
        c->request.probe->close(c->probe);
    sideband_free(c->sideband);
    quality_free(c->quality);
    states_free(c->states);
    latency_free(c->latency);
    profile_free(c->profile);
    scene_free(c->scene);
    target_free(c->target);
    table_free(c->container_names);
    table_free(c->strangers);
    buf_free(&c->lines);
    remarks_free(&c->remarks);
    request_free(&c->request);
    c->ctx->captures--;
    free(c);
}

void capture_describe(const struct capture *c, struct buf *out)
{
    static const char *const phases[] = {
        [PHASE_FINDING] = "finding",       [PHASE_RUNNING] = "running",
        [PHASE_LOCATING] = "locating",     [PHASE_ATTACHING] = "attaching",
        [PHASE_COLLECTING] = "collecting", [PHASE_EXPANDING] = "expanding",
        [PHASE_FETCHING] = "fetching",     [PHASE_NAMING] = "naming",
        [PHASE_DELIVERING] = "delivering", [PHASE_DONE] = "done",
    };

    buf_addf(out, "{\"view\":\"%s\",\"phase\":\"%s\",\"target\":", c->request.probe->view,
             phases[c->phase]);
    text_add_json(out, c->request.target);
    buf_addf(out, ",\"elapsed_ms\":%llu,\"duration_ms\":%llu,\"samples\":%llu,\"memory_kb\":%llu}",
             (unsigned long long)((now_ns() - c->asked_ns) / NS_PER_MS),
             (unsigned long long)c->request.duration_ms, (unsigned long long)c->counters.taken,
             (unsigned long long)(c->profile ? profile_bytes(c->profile) / 1024 : 0));
}
