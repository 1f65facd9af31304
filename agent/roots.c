/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/roots.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROOT_PATH_MAX 1024

void roots_clear(struct roots *r)
{
    for (size_t i = 0; i < r->count; i++)
        free((char *)r->items[i].path);
    free(r->items);
    *r = (struct roots){0};
}

/* Without doubled, trailing and "." parts. False for what is not an absolute path without "..". */
static bool normalise(const char *path, size_t size, char *ret)
{
    size_t used = 0;

    if (size == 0 || size > ROOT_PATH_MAX || path[0] != '/')
        return false;
    for (size_t i = 0; i < size;) {
        size_t start, n;

        while (i < size && path[i] == '/')
            i++;
        start = i;
        while (i < size && path[i] != '/' && path[i] != '\0')
            i++;
        if (i < size && path[i] == '\0')
            return false;
        n = i - start;
        if (n == 2 && path[start] == '.' && path[start + 1] == '.')
            return false;
        if (n == 0 || (n == 1 && path[start] == '.'))
            continue;
        ret[used++] = '/';
        memcpy(ret + used, path + start, n);
        used += n;
    }
    ret[used] = '\0';
    return used > 0;
}

int roots_add(struct roots *r, enum census_root_kind kind, const char *path, size_t size)
{
    char plain[ROOT_PATH_MAX + 2], *copy;

    if (!normalise(path, size, plain))
        return 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].kind == kind && strcmp(r->items[i].path, plain) == 0)
            return 0;
    if (r->count >= CENSUS_ROOTS_MAX)
        return 0;
    if (!r->items) {
        r->items = calloc(CENSUS_ROOTS_MAX, sizeof(*r->items));
        if (!r->items)
            return -ENOMEM;
    }
    copy = strdup(plain);
    if (!copy)
        return -ENOMEM;
    r->items[r->count++] = (struct census_root){.kind = kind, .path = copy};
    return 1;
}

/* ---- command lines ---- */

/* What roots_add_command() gathers: added roots, or the first error. */
struct gather {
    struct roots *roots;
    int added;
};

static void gather(struct gather *g, enum census_root_kind kind, const char *path, size_t size)
{
    int r = g->added < 0 ? 0 : roots_add(g->roots, kind, path, size);

    if (r < 0)
        g->added = r;
    else
        g->added += r;
}

static void gather_text(struct gather *g, enum census_root_kind kind, const char *path)
{
    if (path)
        gather(g, kind, path, strlen(path));
}

/* Size of path without its last n components; 0 when it has not more than that. */
static size_t without(const char *path, size_t size, unsigned n)
{
    while (n-- > 0) {
        while (size > 0 && path[size - 1] != '/')
            size--;
        while (size > 0 && path[size - 1] == '/')
            size--;
    }
    return size;
}

/* The same, provided that the first dropped component begins and ends so. */
static size_t without_known(const char *path, size_t size, unsigned n, const char *begin,
                            const char *end)
{
    size_t kept = without(path, size, n), from = kept + 1, to = from;

    while (to < size && path[to] != '/')
        to++;
    if (kept == 0 || to > size || to - from < strlen(begin) + strlen(end) ||
        strncmp(path + from, begin, strlen(begin)) != 0 ||
        strncmp(path + to - strlen(end), end, strlen(end)) != 0)
        return 0;
    return kept;
}

/* containerd's state next to a file of it; docker's own containerd keeps it one level down. */
static void gather_containerd_near(struct gather *g, const char *path)
{
    char daemon[ROOT_PATH_MAX + 16];
    size_t size = path ? without(path, strlen(path), 1) : 0;

    if (size == 0 || size > ROOT_PATH_MAX)
        return;
    gather(g, CENSUS_ROOT_CONTAINERD, path, size);
    snprintf(daemon, sizeof(daemon), "%.*s/daemon", (int)size, path);
    gather_text(g, CENSUS_ROOT_CONTAINERD, daemon);
}

static void gather_dockerd(struct gather *g, const struct census_item *command)
{
    const char *exec = runtimes_option(command, "exec-root");
    char state[ROOT_PATH_MAX + 32];

    gather_text(g, CENSUS_ROOT_DOCKER, runtimes_option(command, "data-root"));
    gather_text(g, CENSUS_ROOT_DOCKER, runtimes_option(command, "graph"));
    gather_text(g, CENSUS_ROOT_DOCKER, runtimes_option(command, "g"));
    gather_text(g, CENSUS_ROOT_DOCKER_EXEC, exec);
    if (exec && strlen(exec) <= ROOT_PATH_MAX) {
        snprintf(state, sizeof(state), "%s/containerd/daemon", exec);
        gather_text(g, CENSUS_ROOT_CONTAINERD, state);
    }
}

static void gather_containerd(struct gather *g, const struct census_item *command)
{
    gather_text(g, CENSUS_ROOT_CONTAINERD, runtimes_option(command, "state"));
    gather_containerd_near(g, runtimes_option(command, "c"));
    gather_containerd_near(g, runtimes_option(command, "config"));
    gather_containerd_near(g, runtimes_option(command, "a"));
    gather_containerd_near(g, runtimes_option(command, "address"));
}

/* A shim works in its bundle: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID. */
static void gather_shim(struct gather *g, const struct census_item *command)
{
    const char *address = runtimes_option(command, "address");
    const char *ns = runtimes_option(command, "namespace");

    gather(g, CENSUS_ROOT_CONTAINERD, command->path,
           without_known(command->path, command->path_size, 3, "io.containerd.runtime.", ""));
    gather_containerd_near(g, address);
    if (address && ns && strcmp(ns, "moby") == 0)
        gather(g, CENSUS_ROOT_DOCKER_EXEC, address, without(address, strlen(address), 2));
}

/* -b is the bundle, -p the pid file: ROOT/DRIVER-containers/ID/userdata[/pidfile]. */
static void gather_conmon(struct gather *g, const struct census_item *command)
{
    const char *bundle = runtimes_option(command, "b"), *pidfile = runtimes_option(command, "p");
    size_t n;

    if (bundle) {
        n = without_known(bundle, strlen(bundle), 3, "", "-containers");
        gather(g, CENSUS_ROOT_PODMAN_GRAPH, bundle, n);
        gather(g, CENSUS_ROOT_PODMAN_RUN, bundle, n);
    }
    if (pidfile)
        gather(g, CENSUS_ROOT_PODMAN_RUN, pidfile,
               without_known(pidfile, strlen(pidfile), 4, "", "-containers"));
}

static void gather_storage(struct gather *g, const struct census_item *command)
{
    gather_text(g, CENSUS_ROOT_PODMAN_GRAPH, runtimes_option(command, "root"));
    gather_text(g, CENSUS_ROOT_PODMAN_RUN, runtimes_option(command, "runroot"));
}

static void gather_runc(struct gather *g, const struct census_item *command)
{
    gather_text(g, CENSUS_ROOT_RUNC, runtimes_option(command, "root"));
}

static void gather_crun(struct gather *g, const struct census_item *command)
{
    gather_text(g, CENSUS_ROOT_CRUN, runtimes_option(command, "root"));
}

static const struct {
    const char *comm;
    void (*fn)(struct gather *g, const struct census_item *command);
} commands[] = {
    {"dockerd", gather_dockerd},
    {"containerd", gather_containerd},
    {"docker-containe", gather_containerd},
    {"containerd-shim", gather_shim},
    {"conmon", gather_conmon},
    {"crio", gather_storage},
    {"podman", gather_storage},
    {"runc", gather_runc},
    {"crun", gather_crun},
};

int roots_add_command(struct roots *r, const struct census_item *command)
{
    struct gather g = {.roots = r};

    if (command->command->uid != 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(command->command->comm, commands[i].comm) == 0)
            commands[i].fn(&g, command);
    return g.added;
}
