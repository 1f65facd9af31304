/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/capture.h"

#include "agent/capture_inside.h"
#include "agent/doctor.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FIRST_TICK_NS (50 * NS_PER_MS) /* early, so that files and tables are asked for early */
#define TICK_NS (500 * NS_PER_MS)
#define LOCATE_MAX_NS (2 * NS_PER_SEC)
#define COLLECT_MAX_NS (12 * NS_PER_SEC) /* one file that takes the parser to its bounds */
#define NAME_MAX_NS (2 * NS_PER_SEC)
#define ADOPT_EAGERLY_MAX 64    /* processes of the target; others when they are sampled */
#define NEWS_NS (2 * NS_PER_MS) /* several answers are taken together */
#define EMIT_MAX (256u << 10)

static void locate_all(struct capture *c);
static void collect(struct capture *c);
static void name_all(struct capture *c);
static void deliver(struct capture *c);

/* ---- beginning ---- */

static void fail(struct capture *c, const struct err *e, const struct candidates *candidates)
{
    struct err unknown = {0};

    if (e->code == ERR_NONE) {
        err_set(&unknown, ERR_FAILED, "the capture failed: out of memory");
        e = &unknown;
    }
    stream_error(c, e, candidates);
    c->phase = PHASE_DONE;
    c->ctx->totals.refused++;
    c->wake(c->data);
}

/* The name of the container that a process is in, when the target spans several: by process for
 * those that were there at the start, by cgroup for later ones. */
static const char *container_of(void *data, uint32_t tgid, uint64_t cgroup_id)
{
    const struct capture *c = data;
    const char *name = table_get(c->container_names, &tgid, sizeof(tgid));

    return name ? name : table_get(c->container_names, &cgroup_id, sizeof(cgroup_id));
}

static void add_name(struct capture *c, const void *key, size_t size, const char *name)
{
    char *copy = strdup(name);

    if (copy && table_put(c->container_names, key, size, copy) < 0)
        free(copy);
}

static void name_containers(struct capture *c, const struct containers *cs)
{
    size_t count;
    const struct container *all = containers_all(cs, &count);
    const struct cgroup_mount *v2 = cgroups_find(containers_cgroups(cs), "");

    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < all[i].process_count; k++) {
            uint32_t tgid = (uint32_t)all[i].processes[k].tgid;

            add_name(c, &tgid, sizeof(tgid), all[i].name);
        }
        for (size_t k = 0; v2 && k < all[i].cgroup_count && all[i].cgroups[k].v2; k++) {
            _cleanup_free_ char *dir = cgroup_directory(v2, all[i].cgroups[k].path);
            uint64_t id;

            if (dir && cgroup_id(dir, &id) == 0)
                add_name(c, &id, sizeof(id), all[i].name);
        }
    }
}

/* What the host lacks, in doctor's words, when it lacks something; otherwise the probe's own
 * reason. */
static void explain(const struct capture *c, struct err *e)
{
    const char *const *need = c->request.probe->needs;

    if (e->code != ERR_UNSUPPORTED)
        return;
    for (; *need; need++) {
        struct err reason = {0};

        if (doctor_explain(*need, &reason) == -EOPNOTSUPP) {
            *e = reason;
            return;
        }
    }
}

/* The memory for unwind tables comes with the first capture, so that an idle agent has none. */
static void prepare_unwinding(struct context *ctx)
{
    uint32_t max;
    void *memory;

    if (!ctx->unwind_tried) {
        ctx->unwind_tried = true;
        if (unwind_rows_new(&ctx->unwind_rows) < 0)
            return;
        memory = unwind_rows_memory(ctx->unwind_rows, &max);
        if (resolver_use_rows(ctx->resolver, memory, max) < 0) {
            unwind_rows_free(ctx->unwind_rows);
            ctx->unwind_rows = NULL;
        }
    }
    if (ctx->captures == 1)
        resolver_make_room(ctx->resolver);
}

static int open_probe(struct capture *c, struct err *e)
{
    const struct request *rq = &c->request;
    struct probe_setup setup = {
        .target = c->target,
        .event_word = rq->event_word,
        .event = rq->event,
        .frequency = rq->frequency,
        .period = rq->period,
        .duration_ns = rq->duration_ms * NS_PER_MS,
        .per_thread = rq->per_thread,
        .unwind_rows_fd = -1,
    };

    prepare_unwinding(c->ctx);
    if (c->ctx->unwind_rows)
        setup.unwind_rows_fd = unwind_rows_fd(c->ctx->unwind_rows);
    return rq->probe->open(&setup, &c->probe, e);
}

static void advance(struct capture *c, uint64_t until)
{
    scene_advance(c->scene, until, c->previous_tick_ns);
    if (c->unwind)
        unwind_tell(c->unwind, c->scene);
}

static void on_sideband_full(void *data)
{
    struct capture *c = data;

    advance(c, sideband_read(c->sideband, c->scene));
}

/* Answers that lead on: mappings whose files can be opened, rules that the program wants to know.
 */
static void on_news(void *data)
{
    struct capture *c = data;

    if (c->phase <= PHASE_RUNNING && c->unwind)
        source_arm(c->news, now_ns() + NEWS_NS);
}

static int adopt_one(void *data, pid_t tgid)
{
    struct capture *c = data;

    scene_process(c->scene, (uint32_t)tgid, 0, now_ns());
    return ++c->adopted >= ADOPT_EAGERLY_MAX;
}

/* Everything that observes, in the order in which nothing can slip through: side-band, then
 * samples, then a look at the processes that were there before. */
static int observe(struct capture *c, struct err *e)
{
    bool narrow = c->target->kind == TARGET_CGROUP_V2;
    int init = c->target->container ? c->target->container->init_pid : 0;
    int ranges_fd, processes_fd;
    struct profile_setup setup = {
        .per_process = c->request.per_process,
        .per_thread = c->request.per_thread,
        .memory_max = c->ctx->setup->config->max_memory_mb << 20,
        .data = c,
    };
    int r;

    r = scene_new(c->ctx->resolver, (uint32_t)init, c->request.addresses, &c->scene);
    if (r < 0)
        return r;
    setup.scene = c->scene;
    scene_on_news(c->scene, on_news, c);
    setup.container_of = c->target->container ? NULL : container_of;
    setup.memory_max /= MAX(c->ctx->setup->config->max_captures, 1ull);
    r = profile_new(&setup, &c->profile);
    if (r == 0)
        r = sideband_new(c->ctx->loop, narrow ? c->target->cgroup_dir : NULL,
                         probe_unwind_fds(c->probe, &ranges_fd, &processes_fd), on_sideband_full, c,
                         &c->sideband, e);
    if (r < 0)
        return r;
    if (!sideband_is_narrow(c->sideband))
        scene_be_choosy(c->scene);
    if (probe_unwind_fds(c->probe, &ranges_fd, &processes_fd)) {
        r = unwind_new(ranges_fd, processes_fd, &c->unwind);
        if (r < 0)
            return r;
        c->unwound = true;
    }
    r = c->request.probe->start(c->probe, e);
    if (r < 0)
        return r;
    c->started_ns = now_ns();
    if (c->target->kind != TARGET_ALL)
        target_processes(c->target, adopt_one, c);
    return 0;
}

static void on_containers(void *data, const struct containers *cs, const struct err *error)
{
    struct capture *c = data;
    struct candidates candidates = {0};
    struct err e = {0};
    int r;

    c->finding = 0;
    if (!cs) {
        fail(c, error, NULL);
        return;
    }
    r = target_resolve(cs, c->request.target, (int64_t)c->request.pid, &c->target, &e, &candidates);
    if (r == 0 && !c->target->container)
        name_containers(c, cs);
    if (r == 0)
        r = open_probe(c, &e);
    if (r == 0)
        r = observe(c, &e);
    if (r < 0) {
        explain(c, &e);
        fail(c, &e, &candidates);
        candidates_clear(&candidates);
        return;
    }
    candidates_clear(&candidates);
    c->phase = PHASE_RUNNING;
    c->ctx->totals.captures++;
    stream_started(c);
    source_arm(c->tick, c->started_ns + FIRST_TICK_NS);
    source_arm(c->deadline, c->started_ns + c->request.duration_ms * NS_PER_MS);
    c->wake(c->data);
}

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
    advance(c, until);
    profile_locate(c->profile, false);
    advance(c, until);
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

        fail(c, &e, NULL);
        return;
    }
    wait_for_answers(c, NAME_MAX_NS);
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
        fail(c, &e, NULL);
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
        fail(c, &e, NULL);
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
        r = loop_add_timer(ctx->loop, on_sideband_full, c, &c->news);
    if (r == 0)
        r = discovery_refresh(ctx->discovery, on_containers, c, &c->finding);
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
