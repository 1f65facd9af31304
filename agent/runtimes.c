/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/runtimes.h"

#include "agent/cgroup.h"
#include "agent/runtimes_json.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const char *const names[RUNTIME_COUNT] = {
    [RUNTIME_DOCKER] = "docker",         [RUNTIME_CRI] = "cri",   [RUNTIME_PODMAN] = "podman",
    [RUNTIME_CONTAINERD] = "containerd", [RUNTIME_CRUN] = "crun", [RUNTIME_RUNC] = "runc",
    [RUNTIME_UNKNOWN] = "unknown",
};

/* k3s, rke2, k0s, microk8s and the snaps keep the same trees elsewhere. */
static const struct census_root default_roots[] = {
    {CENSUS_ROOT_DOCKER, "/var/lib/docker"},
    {CENSUS_ROOT_DOCKER, "/var/snap/docker/common/var-lib-docker"},
    {CENSUS_ROOT_DOCKER_EXEC, "/run/docker"},
    {CENSUS_ROOT_DOCKER_EXEC, "/run/snap.docker"},
    {CENSUS_ROOT_CONTAINERD, "/run/containerd"},
    {CENSUS_ROOT_CONTAINERD, "/run/docker/containerd/daemon"},
    {CENSUS_ROOT_CONTAINERD, "/run/snap.docker/containerd/daemon"},
    {CENSUS_ROOT_CONTAINERD, "/run/k3s/containerd"},
    {CENSUS_ROOT_CONTAINERD, "/run/k0s/containerd"},
    {CENSUS_ROOT_CONTAINERD, "/var/snap/microk8s/common/run/containerd"},
    {CENSUS_ROOT_PODMAN_GRAPH, "/var/lib/containers/storage"},
    {CENSUS_ROOT_PODMAN_RUN, "/run/containers/storage"},
    {CENSUS_ROOT_RUNC, "/run/runc"},
    {CENSUS_ROOT_CRUN, "/run/crun"},
};

const char *runtime_name(enum runtime runtime)
{
    return runtime < RUNTIME_COUNT ? names[runtime] : names[RUNTIME_UNKNOWN];
}

bool runtime_from_name(const char *name, size_t size, enum runtime *ret)
{
    for (enum runtime i = 0; i < RUNTIME_COUNT; i++) {
        if (strlen(names[i]) != size || strncmp(names[i], name, size) != 0)
            continue;
        *ret = i;
        return true;
    }
    return false;
}

const struct census_root *runtimes_default_roots(size_t *count)
{
    *count = ARRAY_SIZE(default_roots);
    return default_roots;
}

static void claim_clear(struct claim *c)
{
    free(c->id);
    free(c->name);
    free(c->image);
    free(c->pod);
    free(c->namespace);
    free(c->pod_uid);
    free(c->cgroup);
    free(c->docker_root);
}

void claims_clear(struct claims *cs)
{
    for (size_t i = 0; i < cs->count; i++)
        claim_clear(&cs->items[i]);
    free(cs->items);
    *cs = (struct claims){0};
}

struct claim *claims_add(struct claims *cs)
{
    if (cs->count >= RUNTIMES_CLAIMS_MAX)
        return NULL;
    if ((cs->count & (cs->count - 1)) == 0) {
        size_t room = cs->count ? cs->count * 2 : 1;
        struct claim *items = realloc(cs->items, room * sizeof(*items));

        if (!items)
            return NULL;
        cs->items = items;
    }
    cs->items[cs->count] = (struct claim){.runtime = RUNTIME_UNKNOWN};
    return &cs->items[cs->count++];
}

const char *path_component(const char *path, unsigned from_end, size_t *size)
{
    const char *end = path + strlen(path);

    for (;;) {
        const char *start = end;

        while (start > path && start[-1] != '/')
            start--;
        if (from_end-- == 0) {
            *size = (size_t)(end - start);
            return start;
        }
        if (start == path) {
            *size = 0;
            return path;
        }
        end = start - 1;
    }
}

/* A new claim whose id is that component of the path. */
static int claim_by_path(struct claims *cs, const char *path, unsigned from_end,
                         enum runtime runtime, struct claim **ret)
{
    struct claim *c = claims_add(cs);
    const char *id;
    size_t size;

    if (!c)
        return -ENOMEM;
    id = path_component(path, from_end, &size);
    c->runtime = runtime;
    c->id = strndup(id, size);
    *ret = c;
    return c->id ? 0 : -ENOMEM;
}

/* A file that holds a pid and nothing else. */
static int parse_pid(const char *data, size_t size, int32_t *ret)
{
    char text[16], *end;
    long pid;

    while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == ' '))
        size--;
    if (size == 0 || size >= sizeof(text) || data[0] < '1' || data[0] > '9')
        return -EBADMSG;
    memcpy(text, data, size);
    text[size] = '\0';
    pid = strtol(text, &end, 10);
    if (*end || pid <= 0 || pid > INT32_MAX)
        return -EBADMSG;
    *ret = (int32_t)pid;
    return 0;
}

/* containerd keeps each client's containers in a namespace of its own. */
static enum runtime runtime_of_namespace(const char *path)
{
    size_t size;
    const char *ns = path_component(path, 2, &size);

    if (size == 4 && strncmp(ns, "moby", 4) == 0)
        return RUNTIME_DOCKER;
    if (size == 6 && strncmp(ns, "k8s.io", 6) == 0)
        return RUNTIME_CRI;
    return RUNTIME_CONTAINERD;
}

static int parse_containerd_pid(const char *path, const char *data, size_t size, struct claims *ret)
{
    struct claim *c;
    int32_t pid;
    int r = parse_pid(data, size, &pid);

    if (r < 0)
        return r;
    r = claim_by_path(ret, path, 1, runtime_of_namespace(path), &c);
    if (r == 0)
        c->pid = pid;
    return r;
}

/* …/DRIVER-containers/ID/userdata/pidfile */
static int parse_podman_pid(const char *path, const char *data, size_t size, struct claims *ret)
{
    struct claim *c;
    int32_t pid;
    int r = parse_pid(data, size, &pid);

    if (r < 0)
        return r;
    r = claim_by_path(ret, path, 2, RUNTIME_PODMAN, &c);
    if (r == 0)
        c->pid = pid;
    return r;
}

/* A bundle: containerd's task, the userdata of podman and CRI-O, or crun's copy. */
static int parse_oci_config(const char *path, const char *data, size_t size, struct claims *ret)
{
    enum runtime runtime = RUNTIME_CRUN;
    unsigned id_at = 1;
    struct claim *c;
    size_t n;
    const char *word = path_component(path, 1, &n);
    int r;

    if (n == 8 && strncmp(word, "userdata", 8) == 0) {
        runtime = RUNTIME_PODMAN;
        id_at = 2;
    } else {
        word = path_component(path, 3, &n);
        if (n > 14 && strncmp(word, "io.containerd.", 14) == 0)
            runtime = runtime_of_namespace(path);
    }
    r = claim_by_path(ret, path, id_at, runtime, &c);
    return r < 0 ? r : runtimes_json_oci_config(data, size, c);
}

static int parse_crun_status(const char *path, const char *data, size_t size, struct claims *ret)
{
    struct claim *c;
    int r = claim_by_path(ret, path, 1, RUNTIME_CRUN, &c);

    return r < 0 ? r : runtimes_json_crun_status(data, size, c);
}

static int parse_runc_state(const char *path, const char *data, size_t size, struct claims *ret)
{
    struct claim *c;
    int r = claim_by_path(ret, path, 1, RUNTIME_RUNC, &c);

    return r < 0 ? r : runtimes_json_runc_state(data, size, c);
}

static int parse_docker_config(const char *path, const char *data, size_t size, struct claims *ret)
{
    struct claim *c;
    int r = claim_by_path(ret, path, 1, RUNTIME_DOCKER, &c);

    return r < 0 ? r : runtimes_json_docker_config(data, size, c);
}

static int parse_podman_containers(const char *path, const char *data, size_t size,
                                   struct claims *ret)
{
    (void)path;
    return runtimes_json_podman_containers(data, size, ret);
}

typedef int (*parser_fn)(const char *path, const char *data, size_t size, struct claims *ret);

static const parser_fn parsers[CENSUS_FILE_KINDS] = {
    [CENSUS_FILE_DOCKER_CONFIG] = parse_docker_config,
    [CENSUS_FILE_CONTAINERD_PID] = parse_containerd_pid,
    [CENSUS_FILE_OCI_CONFIG] = parse_oci_config,
    [CENSUS_FILE_PODMAN_CONTAINERS] = parse_podman_containers,
    [CENSUS_FILE_PODMAN_PID] = parse_podman_pid,
    [CENSUS_FILE_RUNC_STATE] = parse_runc_state,
    [CENSUS_FILE_CRUN_STATUS] = parse_crun_status,
};

int runtimes_parse(enum census_file_kind kind, const char *path, const char *data, size_t size,
                   struct claims *ret)
{
    struct claims cs = {0};
    int r;

    if (kind >= CENSUS_FILE_KINDS)
        return -EBADMSG;
    r = parsers[kind](path, data, size, &cs);
    if (r < 0) {
        claims_clear(&cs);
        return r;
    }
    *ret = cs;
    return 0;
}

const char *runtimes_option(const struct census_item *command, const char *option)
{
    const char *p = command->text, *end = p + command->text_size;
    size_t size = strlen(option);

    while (p < end) {
        const char *next = memchr(p, '\0', (size_t)(end - p)), *word = p;

        if (!next)
            return NULL;
        next++;
        if (word[0] == '-') {
            word += word[1] == '-' ? 2 : 1;
            if (strncmp(word, option, size) == 0) {
                if (word[size] == '=')
                    return word + size + 1;
                if (!word[size])
                    return next < end && memchr(next, '\0', (size_t)(end - next)) ? next : NULL;
            }
        }
        p = next;
    }
    return NULL;
}

int runtimes_parse_command(const struct census_item *command, struct claims *ret)
{
    const char *id = runtimes_option(command, "c"), *name = runtimes_option(command, "n");
    struct claim *c;
    size_t size;

    if (strcmp(command->command->comm, "conmon") != 0 || command->command->uid != 0 || !id)
        return 0;
    size = strlen(id);
    if (size != CGROUP_ID_LENGTH || !cgroup_container_id(id, size))
        return 0;
    c = claims_add(ret);
    if (!c)
        return -ENOMEM;
    c->runtime = RUNTIME_PODMAN;
    c->id = strdup(id);
    if (name && *name && strlen(name) <= RUNTIMES_TEXT_MAX)
        c->name = strdup(name);
    return c->id ? 0 : -ENOMEM;
}
