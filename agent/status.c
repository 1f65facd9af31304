/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status.h"

#include "agent/cost.h"
#include "base/text.h"
#include "base/version.h"

#include <unistd.h>

typedef unsigned long long ull;

static void add_agent(const struct context *ctx, struct buf *out)
{
    struct cost cost;

    cost_read(ctx->setup, &cost);
    buf_addf(out, ",\"agent\":{\"pid\":%d,\"version\":", getpid());
    text_add_json(out, porthole_version);
    if (*ctx->setup->lacking) {
        buf_adds(out, ",\"lacking\":");
        text_add_json(out, ctx->setup->lacking);
    }
    buf_addf(out, ",\"uptime_ms\":%llu,\"cpu_us\":%llu,\"rss_kb\":%llu}",
             (ull)((now_ns() - ctx->started_ns) / NS_PER_MS), (ull)cost.agent_us,
             (ull)cost_rss_kb(getpid()));
}

static void add_limits(const struct context *ctx, size_t captures, size_t connections,
                       struct buf *out)
{
    const struct config *c = ctx->setup->config;

    buf_addf(out,
             ",\"limits\":{\"captures\":%zu,\"max_captures\":%llu,\"max_captures_uid\":%llu,"
             "\"connections\":%zu,\"max_connections\":%llu,\"max_connections_uid\":%llu,"
             "\"max_memory_mb\":%llu}",
             captures, (ull)c->max_captures, (ull)c->max_captures_uid, connections,
             (ull)c->max_connections, (ull)c->max_connections_uid, (ull)c->max_memory_mb);
}

static void add_caches(const struct context *ctx, struct buf *out)
{
    struct resolver_stats r;
    struct discovery_stats d;

    resolver_get_stats(ctx->resolver, &r);
    discovery_get_stats(ctx->discovery, &d);
    buf_addf(
        out,
        ",\"caches\":{\"symbol_tables\":%llu,\"symbol_bytes\":%llu,\"symbol_budget_bytes\":%llu,"
        "\"hits\":%llu,\"misses\":%llu,\"evicted\":%llu,\"unwind_tables\":%llu,"
        "\"unwind_rows\":%llu,"
        "\"unwind_rows_max\":%llu,\"unwind_in_use\":%llu,\"unwind_refused\":%llu,"
        "\"unwind_evicted\":%llu,\"kernel_bytes\":%llu,"
        "\"state_files\":%llu,\"containers\":%llu}",
        (ull)r.cache.entries, (ull)r.cache.bytes, (ull)r.cache.budget, (ull)r.cache.hits,
        (ull)r.cache.misses, (ull)r.cache.evicted, (ull)r.unwinds.tables, (ull)r.unwinds.rows,
        (ull)r.unwinds.rows_max, (ull)r.unwinds.in_use, (ull)r.unwinds.refused,
        (ull)r.unwinds.evicted, (ull)r.kernel_bytes, (ull)d.files, (ull)d.containers);
}

static void add_child(const struct context *ctx, enum client_peer peer, const char *name,
                      struct buf *out)
{
    int pid = ctx->setup->helper_pids[peer];
    struct client_stats s;

    client_get_stats(ctx->client, peer, &s);
    pid = s.pid ? s.pid : pid;
    buf_addf(out,
             "\"%s\":{\"pid\":%d,\"rss_kb\":%llu,\"asked\":%llu,\"answered\":%llu,"
             "\"pending\":%u,\"timeouts\":%llu,\"crashes\":%llu,\"breaker\":%llu,\"lost\":%llu,"
             "\"restarts\":%llu}",
             name, pid, (ull)cost_rss_kb(pid), (ull)s.asked, (ull)s.answered, s.pending,
             (ull)s.timeouts, (ull)s.crashes, (ull)s.breaker, (ull)s.lost, (ull)s.restarts);
}

/* Only where there is somebody to fetch. */
static void add_fetches(const struct context *ctx, struct buf *out)
{
    struct resolver_stats r;

    if (!client_has(ctx->client, CLIENT_FETCHER))
        return;
    resolver_get_stats(ctx->resolver, &r);
    buf_addf(out,
             ",\"debuginfod\":{\"asked\":%llu,\"found\":%llu,\"absent\":%llu,\"failed\":%llu,"
             "\"pending\":%u,\"fetched_bytes\":%llu}",
             (ull)r.fetches.asked, (ull)r.fetches.found, (ull)r.fetches.absent,
             (ull)r.fetches.failed, r.fetches.open, (ull)r.fetches.bytes);
}

void status_write(const struct context *ctx, const struct capture *const *captures, size_t count,
                  size_t connections, struct buf *out)
{
    const struct totals *t = &ctx->totals;

    buf_adds(out, "{\"type\":\"record\",\"kind\":\"status\"");
    add_agent(ctx, out);
    buf_adds(out, ",\"captures\":[");
    for (size_t i = 0; i < count; i++) {
        buf_adds(out, i ? "," : "");
        capture_describe(captures[i], out);
    }
    buf_addc(out, ']');
    add_limits(ctx, count, connections, out);
    add_caches(ctx, out);
    add_fetches(ctx, out);
    buf_addf(out,
             ",\"losses\":{\"taken\":%llu,\"shown\":%llu,\"lost\":%llu,\"captures\":%llu,"
             "\"refused\":%llu,\"dropped\":%llu,\"connections\":%llu}",
             (ull)t->taken, (ull)t->shown, (ull)t->lost, (ull)t->captures, (ull)t->refused,
             (ull)t->dropped, (ull)t->connections);
    buf_adds(out, ",\"children\":{");
    add_child(ctx, CLIENT_OPENER, "opener", out);
    buf_addc(out, ',');
    add_child(ctx, CLIENT_PARSER, "parser", out);
    if (client_has(ctx->client, CLIENT_ATTACHER)) {
        buf_addc(out, ',');
        add_child(ctx, CLIENT_ATTACHER, "attacher", out);
    }
    if (client_has(ctx->client, CLIENT_FETCHER)) {
        buf_addc(out, ',');
        add_child(ctx, CLIENT_FETCHER, "fetcher", out);
    }
    buf_adds(out, "}}\n");
}
