/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a capture begins: from the list of containers to a target, a loaded probe, and everything
 * that observes.
 */
#include "agent/capture_inside.h"
#include "agent/doctor.h"
#include "agent/kernel_types.h"
#include "agent/quota.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#define FIRST_TICK_NS (50 * NS_PER_MS) /* early, so that files and tables are asked for early */
#define ADOPT_EAGERLY_MAX 64           /* processes of the target; others when they are sampled */
#define NEWS_NS (2 * NS_PER_MS)        /* several answers are taken together */

void capture_fail(struct capture *c, const struct err *e, const struct candidates *candidates)
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
    struct unwind_sink sink;

    if (!ctx->unwind_tried && ctx->setup->config->unwind_tables) {
        ctx->unwind_tried = true;
        if (unwind_rows_new(&ctx->unwind_rows) < 0)
            return;
        sink = unwind_rows_sink(ctx->unwind_rows);
        if (resolver_use_rows(ctx->resolver, &sink) < 0) {
            unwind_rows_free(ctx->unwind_rows);
            ctx->unwind_rows = NULL;
        }
    }
}

/* Programs that walk the kernel's stack need bpf_loop(), Linux 5.17. */
static const struct kernel_orc *find_orc(struct context *ctx)
{
    if (!ctx->orc_tried &&
        libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_loop, NULL) == 1)
        kernel_orc_find(ctx->setup->kallsyms_fd, &ctx->orc);
    ctx->orc_tried = true;
    return ctx->orc.count ? &ctx->orc : NULL;
}

static void on_loaded(void *data, const uint8_t tag[RESOLVER_TAG_SIZE])
{
    resolver_own_program(data, tag);
}

static const char *find_types(struct context *ctx)
{
    kernel_types_refresh(ctx->types);
    return kernel_types_path(ctx->types);
}

static int open_probe(struct capture *c, const struct containers *cs, struct err *e)
{
    const struct request *rq = &c->request;
    struct probe_setup setup = {
        .view = rq->probe->view,
        .wait = rq->wait,
        .target = c->target,
        .weight = rq->weight,
        .events = rq->events,
        .event_word = rq->event_word,
        .event = rq->event,
        .frequency = rq->frequency,
        .period = rq->period,
        .duration_ns = rq->duration_ms * NS_PER_MS,
        .per_process = rq->per_process || rq->per_thread,
        .per_thread = rq->per_thread,
        .has_quota = rq->probe->family == FAMILY_WAITS && quota_may_throttle(cs, c->target),
        .stack_max = (uint32_t)rq->max_stack,
        .unwind_rows_fd = -1,
        .loaded = on_loaded,
        .loaded_data = c->ctx->resolver,
        .types = find_types(c->ctx),
    };

    if (rq->probe->family == FAMILY_IO)
        charges_find(cs, c->target, &setup.charges);
    if (rq->probe->family == FAMILY_WAITS)
        setup.orc = find_orc(c->ctx);
    if (!rq->probe->records)
        prepare_unwinding(c->ctx);
    if (!rq->probe->records && c->ctx->unwind_rows)
        setup.unwind_rows_fd = unwind_rows_fd(c->ctx->unwind_rows);
    return rq->probe->open(&setup, &c->probe, e);
}

void capture_advance(struct capture *c, uint64_t until)
{
    scene_advance(c->scene, until, c->previous_tick_ns);
    if (c->unwind)
        unwind_tell(c->unwind, c->scene);
}

void capture_read_sideband(void *data)
{
    struct capture *c = data;

    capture_advance(c, sideband_read(c->sideband, c->scene));
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

/* Side-band and unwinding: what stacks are named by. A side-band of one cgroup has the kernel look
 * at cgroups in every switch of the host, some 60 ns: too much where it is switches that are
 * followed. */
static int follow_processes(struct capture *c, struct err *e)
{
    bool narrow = c->target->kind == TARGET_CGROUP_V2 && c->request.probe->family != FAMILY_WAITS;
    int ranges_fd, processes_fd, r;

    r = sideband_new(c->ctx->loop, narrow ? c->target->cgroup_dir : NULL,
                     probe_unwind_fds(c->probe, &ranges_fd, &processes_fd), capture_read_sideband,
                     c, &c->sideband, e);
    if (r < 0)
        return r;
    if (sideband_has_ksymbols(c->sideband))
        r = scene_follow_ksymbols(c->scene);
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
    return 0;
}

/* Everything that observes, in the order in which nothing can slip through: side-band, then
 * samples, then a look at the processes that were there before. */
static int observe(struct capture *c, struct err *e)
{
    int init = c->target->container ? c->target->container->init_pid : 0;
    struct profile_setup setup = {
        .per_process = c->request.per_process,
        .per_thread = c->request.per_thread,
        .labels = c->request.probe->shows & SHOWS_PARTS,
        .wakers_upright = c->request.probe->shows & SHOWS_WAKERS_ALONE,
        .waker_name = capture_waker_name,
        .stack_max = (uint32_t)c->request.max_stack,
        .memory_max = c->ctx->setup->config->max_memory_mb << 20,
        .data = c,
    };
    int r;

    r = scene_new(c->ctx->resolver, (uint32_t)init, c->request.addresses, &c->scene);
    if (r < 0)
        return r;
    if (c->request.full_names)
        scene_keep_names_full(c->scene);
    if (c->request.java)
        scene_attach(c->scene);
    if (c->request.inlines && (r = scene_want_inlines(c->scene)) < 0)
        return r;
    setup.scene = c->scene;
    scene_on_news(c->scene, on_news, c);
    setup.container_of = c->target->container ? NULL : capture_container_of;
    setup.memory_max /= MAX(c->ctx->setup->config->max_captures, 1ull);
    r = profile_new(&setup, &c->profile);
    if (r == 0)
        r = c->request.probe->records ? capture_open_records(c) : follow_processes(c, e);
    if (r == 0)
        r = c->request.probe->start(c->probe, e);
    if (r < 0)
        return r;
    c->started_ns = now_ns();
    if (!c->request.probe->records && c->target->kind != TARGET_ALL)
        target_processes(c->target, adopt_one, c);
    return 0;
}

static int refuse_java(struct err *e)
{
    err_set(e, ERR_DENIED, "this agent may not ask JVMs for their perf maps");
    err_remedy(e, "its administrator can allow it with 'java = yes' in %s", CONFIG_FILE);
    return -EPERM;
}

void capture_begin(void *data, const struct containers *cs, const struct err *error)
{
    struct capture *c = data;
    struct candidates candidates = {0};
    struct err e = {0};
    int r;

    c->finding = 0;
    if (!cs) {
        capture_fail(c, error, NULL);
        return;
    }
    if (c->request.java && !c->ctx->setup->config->java)
        r = refuse_java(&e);
    else
        r = target_resolve(cs, c->request.target, (int64_t)c->request.pid, &c->target, &e,
                           &candidates);
    if (r == 0 && (!c->target->container || (c->request.probe->shows & SHOWS_WAKERS) ||
                   c->request.probe->family == FAMILY_IO))
        capture_name_containers(c, cs);
    if (r == 0)
        r = open_probe(c, cs, &e);
    if (r == 0 && c->request.probe->lacks)
        c->lacks = c->request.probe->lacks(c->probe);
    if (r == 0)
        r = observe(c, &e);
    if (r < 0) {
        explain(c, &e);
        capture_fail(c, &e, &candidates);
        candidates_clear(&candidates);
        return;
    }
    candidates_clear(&candidates);
    c->phase = PHASE_RUNNING;
    c->ctx->totals.captures++;
    stream_started(c);
    source_arm(c->tick, c->started_ns + FIRST_TICK_NS);
    if (c->request.duration_ms)
        source_arm(c->deadline, c->started_ns + c->request.duration_ms * NS_PER_MS);
    c->wake(c->data);
}
