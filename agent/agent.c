/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include "agent/context.h"
#include "agent/kernel_types.h"
#include "agent/monitor.h"
#include "agent/server.h"
#include "base/log.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int on_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
    _cleanup_free_ char *text = NULL;
    char *line, *rest;

    /* Its warnings are ours to explain; they help only who looks for the reason. */
    if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
        return 0;
    rest = text;
    while ((line = strsep(&rest, "\n")))
        if (*line)
            log_debug("%s", line);
    return 0;
}

static void on_signal(void *data, int signo _unused_)
{
    struct loop *loop = data;

    loop_quit(loop, 0);
}

static int fail(const char *what, int error)
{
    log_error("cannot %s: %s", what, strerror(-error));
    return 1;
}

int agent_run(const struct agent_setup *setup)
{
    static const int signals[] = {SIGTERM, SIGINT, 0};
    _cleanup_(loop_freep) struct loop *loop = NULL;
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(resolver_freep) struct resolver *resolver = NULL;
    _cleanup_(discovery_freep) struct discovery *discovery = NULL;
    _cleanup_(kernel_types_freep) struct kernel_types *types = NULL;
    _cleanup_(server_freep) struct server *server = NULL;
    _cleanup_(unwind_rows_freep) struct unwind_rows *rows = NULL;
    struct roots roots = {.items = setup->config->roots, .count = setup->config->root_count};
    struct context ctx = {.setup = setup, .started_ns = now_ns()};
    int r;

    libbpf_set_print(on_libbpf);
    r = loop_new(&loop);
    if (r == 0)
        r = loop_add_signals(loop, signals, on_signal, loop);
    if (r == 0)
        r = client_new(loop, setup->helper_fds, setup->monitor_fd, &client);
    if (r < 0)
        return fail("set up the event loop", r);
    r = resolver_new(client, setup->kallsyms_fd, setup->modules_fd,
                     setup->config->max_cache_mb << 20, &resolver);
    if (r == 0)
        r = discovery_new(client, &roots, &discovery);
    if (r < 0)
        return fail("set up symbols and discovery", r);

    r = kernel_types_new(&types);
    if (r < 0)
        log_debug("cannot take the kernel's types: %s", strerror(-r));

    ctx.types = types;
    ctx.loop = loop;
    ctx.client = client;
    ctx.resolver = resolver;
    ctx.discovery = discovery;
    r = server_new(&ctx, setup->listen_fd, &server);
    if (r == 0)
        r = monitor_say_ready(setup->monitor_fd);
    if (r < 0)
        return fail("serve", r);
    r = loop_run(loop);
    rows = ctx.unwind_rows; /* goes before the server, whose captures only hold its fd's map */
    return r;
}
