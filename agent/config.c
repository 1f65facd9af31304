/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"

#include "agent/proto.h"
#include "base/options.h"

#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

/* systemd's list of uids leaves 65520 to 65533 to nobody, so no container or service gets one of
 * these by default. */
#define UID_AGENT 65520
#define UID_OPENER 65521
#define UID_PARSER 65522
#define UID_ATTACHER 65523
#define UID_FETCHER 65524

struct key {
    const char *name;
    int (*set)(struct config *c, const struct key *key, const char *value, struct err *e);
    size_t offset;     /* numbers and flags: where */
    uint64_t min, max; /* numbers */
    enum census_root_kind root;
};

static int set_number(struct config *c, const struct key *key, const char *value, struct err *e)
{
    return parse_number(value, key->name, key->min, key->max,
                        (uint64_t *)(void *)((char *)c + key->offset), e);
}

static int set_socket(struct config *c, const struct key *key _unused_, const char *value,
                      struct err *e)
{
    return config_set_socket(c, value, e);
}

static int set_group(struct config *c, const struct key *key _unused_, const char *value,
                     struct err *e)
{
    char *copy = strdup(value);

    if (!copy)
        return err_set(e, ERR_FAILED, "out of memory");
    free(c->group);
    c->group = copy;
    return 0;
}

static int add_root(struct config *c, const struct key *key, const char *value, struct err *e)
{
    _cleanup_free_ char *copy = NULL;
    struct census_root *roots;

    if (value[0] != '/')
        return err_set(e, ERR_USAGE, "'%.200s' is not an absolute path", value);
    if (c->root_count >= CENSUS_ROOTS_MAX / 2)
        return err_set(e, ERR_USAGE, "more than %d roots", CENSUS_ROOTS_MAX / 2);
    copy = strdup(value);
    roots = copy ? realloc(c->roots, (c->root_count + 1) * sizeof(*roots)) : NULL;
    if (!roots)
        return err_set(e, ERR_FAILED, "out of memory");
    c->roots = roots;
    roots[c->root_count++] = (struct census_root){.kind = key->root, .path = TAKE_PTR(copy)};
    return 0;
}

static int set_flag(struct config *c, const struct key *key, const char *value, struct err *e)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return err_set(e, ERR_USAGE, "%s '%.64s' is neither yes nor no", key->name, value);
    *(bool *)(void *)((char *)c + key->offset) = strcmp(value, "yes") == 0;
    return 0;
}

static int set_agent_uid(struct config *c, const struct key *key, const char *value, struct err *e)
{
    int r = set_number(c, key, value, e);

    if (r == 0)
        c->agent_gid = c->agent_uid;
    return r;
}

#define NUMBER(key_name, field, least, most)                                             \
    {                                                                                    \
        .name = (key_name), .set = set_number, .offset = offsetof(struct config, field), \
        .min = (least), .max = (most),                                                   \
    }
#define ROOT(key_name, kind)                                 \
    {                                                        \
        .name = (key_name), .set = add_root, .root = (kind), \
    }

static const struct key keys[] = {
    {.name = "socket", .set = set_socket},
    {.name = "group", .set = set_group},
    NUMBER("max-captures", max_captures, 1, 1000),
    NUMBER("max-captures-per-user", max_captures_uid, 1, 1000),
    NUMBER("max-connections", max_connections, 1, 4096),
    NUMBER("max-connections-per-user", max_connections_uid, 1, 4096),
    NUMBER("max-memory-mb", max_memory_mb, 16, 1u << 20),
    NUMBER("max-cache-mb", max_cache_mb, 0, 1u << 20),
    {
        .name = "agent-uid",
        .set = set_agent_uid,
        .offset = offsetof(struct config, agent_uid),
        .min = 1,
        .max = UINT32_MAX - 1,
    },
    NUMBER("opener-uid", opener_uid, 1, UINT32_MAX - 1),
    NUMBER("parser-uid", parser_uid, 1, UINT32_MAX - 1),
    NUMBER("attacher-uid", attacher_uid, 1, UINT32_MAX - 1),
    {.name = "unwind-tables", .set = set_flag, .offset = offsetof(struct config, unwind_tables)},
    {.name = "java", .set = set_flag, .offset = offsetof(struct config, java)},
    NUMBER("fetcher-uid", fetcher_uid, 1, UINT32_MAX - 1),
    ROOT("docker-root", CENSUS_ROOT_DOCKER),
    ROOT("docker-exec-root", CENSUS_ROOT_DOCKER_EXEC),
    ROOT("containerd-state", CENSUS_ROOT_CONTAINERD),
    ROOT("podman-root", CENSUS_ROOT_PODMAN_GRAPH),
    ROOT("podman-runroot", CENSUS_ROOT_PODMAN_RUN),
    ROOT("runc-root", CENSUS_ROOT_RUNC),
    ROOT("crun-root", CENSUS_ROOT_CRUN),
};

/* Reads /etc/passwd and nothing else: name services would load code. */
static void find_user(struct config *c)
{
    _cleanup_fclose_ FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *p;

    while (f && (p = fgetpwent(f)))
        if (strcmp(p->pw_name, "porthole") == 0 && p->pw_uid != 0) {
            c->agent_uid = p->pw_uid;
            c->agent_gid = p->pw_gid;
        }
}

int config_init(struct config *c)
{
    *c = (struct config){
        .max_captures = 16,
        .max_captures_uid = 8,
        .max_connections = 256,
        .max_connections_uid = 64,
        .max_memory_mb = 256,
        .max_cache_mb = 64,
        .agent_uid = UID_AGENT,
        .agent_gid = UID_AGENT,
        .opener_uid = UID_OPENER,
        .parser_uid = UID_PARSER,
        .attacher_uid = UID_ATTACHER,
        .fetcher_uid = UID_FETCHER,
        .unwind_tables = true,
    };
    c->socket_path = strdup(PROTO_SOCKET);
    c->group = strdup("porthole");
    find_user(c);
    if (!c->socket_path || !c->group) {
        config_free(c);
        return -ENOMEM;
    }
    return 0;
}

void config_free(struct config *c)
{
    free(c->socket_path);
    free(c->group);
    free(c->debuginfod_urls);
    for (size_t i = 0; i < c->root_count; i++)
        free((char *)(uintptr_t)c->roots[i].path);
    free(c->roots);
    *c = (struct config){0};
}

int config_set_socket(struct config *c, const char *path, struct err *e)
{
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    char *copy;

    if (path[0] != '/' || path[strlen(path) - 1] == '/')
        return err_set(e, ERR_USAGE, "socket '%.200s' is not an absolute path of a file", path);
    if (strlen(path) > most)
        return err_set(e, ERR_USAGE, "socket '%.200s' is longer than %zu bytes", path, most);
    copy = strdup(path);
    if (!copy)
        return err_set(e, ERR_FAILED, "out of memory");
    free(c->socket_path);
    c->socket_path = copy;
    return 0;
}

int config_set_debuginfod(struct config *c, const char *urls)
{
    char *copy = NULL;

    if (urls && urls[strspn(urls, " \t")]) {
        copy = strdup(urls);
        if (!copy)
            return -ENOMEM;
    }
    free(c->debuginfod_urls);
    c->debuginfod_urls = copy;
    return 0;
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *s)
{
    size_t n;

    s += strspn(s, " \t");
    n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

static int set_line(struct config *c, char *line, struct err *e)
{
    char *name = trim(line), *value;

    if (!*name || *name == '#')
        return 0;
    value = strchr(name, '=');
    if (!value)
        return err_set(e, ERR_USAGE, "'%.64s' is not of the form 'key = value'", name);
    *value++ = '\0';
    name = trim(name);
    value = trim(value);
    if (!*value)
        return err_set(e, ERR_USAGE, "'%.64s' has no value", name);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(keys[i].name, name) == 0)
            return keys[i].set(c, &keys[i], value, e);
    err_set(e, ERR_USAGE, "unknown key '%.64s'", name);
    err_remedy(e, "portholed --help lists the keys");
    return -EINVAL;
}

/* Two processes of one user could signal and, but for other guards, trace each other. */
int config_check(const struct config *c, struct err *e)
{
    const uint64_t uids[] = {c->agent_uid, c->opener_uid, c->parser_uid, c->attacher_uid,
                             c->fetcher_uid};

    for (size_t i = 0; i < ARRAY_SIZE(uids); i++)
        for (size_t k = 0; k < i; k++)
            if (uids[i] == uids[k])
                return err_set(e, ERR_USAGE,
                               "agent-uid, opener-uid, parser-uid, attacher-uid and fetcher-uid "
                               "must differ");
    return 0;
}

int config_read(struct config *c, const char *path, struct err *e)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    _cleanup_free_ char *line = NULL;
    unsigned number = 0;
    size_t allocated = 0;
    ssize_t n;

    if (!f)
        return err_set(e, ERR_USAGE, "cannot read '%s': %s", path, strerror(errno));
    while ((n = getline(&line, &allocated, f)) >= 0) {
        struct err inner = {0};

        number++;
        if (strlen(line) != (size_t)n)
            return err_set(e, ERR_USAGE, "%s:%u: holds a NUL byte", path, number);
        if (set_line(c, line, &inner) < 0) {
            err_set(e, inner.code, "%s:%u: %.400s", path, number, inner.message);
            err_remedy(e, "%s", inner.remedy);
            return -EINVAL;
        }
    }
    if (ferror(f))
        return err_set(e, ERR_USAGE, "cannot read '%s': %s", path, strerror(errno));
    return 0;
}

void config_print(const struct config *c, FILE *out)
{
    fprintf(out, "  socket = %s\n  group = %s\n", c->socket_path, c->group);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (keys[i].max)
            fprintf(out, "  %s = %llu\n", keys[i].name,
                    (unsigned long long)*(const uint64_t *)(const void *)((const char *)c +
                                                                          keys[i].offset));
        else if (keys[i].set == set_flag)
            fprintf(out, "  %s = %s\n", keys[i].name,
                    *(const bool *)(const void *)((const char *)c + keys[i].offset) ? "yes" : "no");
        else if (keys[i].set == add_root)
            fprintf(out, "  %s = DIRECTORY (may be given several times)\n", keys[i].name);
    }
}
