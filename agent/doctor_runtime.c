/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doctor_check.h"
#include "agent/runtimes.h"
#include "base/buf.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LIST_MAX 4
#define COMMAND_MAX 32768 /* bytes of a command line that are looked at */

/* How a runtime can be told to be here: its state (in runtimes_default_roots()), where it listens,
 * its programs. */
static const struct trace {
    const char *name;
    enum census_root_kind kinds[2]; /* CENSUS_ROOT_KINDS: none */
    const char *sockets[LIST_MAX];
    const char *programs[LIST_MAX]; /* the first is the daemon, when there is one */
    const char *options[LIST_MAX];  /* of the daemon, that say where its state is */
} traces[] = {
    {"docker",
     {CENSUS_ROOT_DOCKER, CENSUS_ROOT_DOCKER_EXEC},
     {"/run/docker.sock"},
     {"dockerd", "docker"},
     {"--data-root", "--exec-root", "-g"}},
    {"containerd",
     {CENSUS_ROOT_CONTAINERD, CENSUS_ROOT_KINDS},
     {"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock",
      "/var/snap/microk8s/common/run/containerd.sock"},
     {"containerd", "k3s", "rke2", "microk8s"},
     {"--state", "--root"}},
    {"podman",
     {CENSUS_ROOT_PODMAN_GRAPH, CENSUS_ROOT_PODMAN_RUN},
     {"/run/podman/podman.sock"},
     {"podman", "conmon"},
     {"--root", "--runroot"}},
    {"cri-o", /* its state lies in podman's graph root */
     {CENSUS_ROOT_KINDS, CENSUS_ROOT_KINDS},
     {"/run/crio/crio.sock"},
     {"crio"},
     {"--root", "--runroot"}},
    {"runc", {CENSUS_ROOT_RUNC, CENSUS_ROOT_KINDS}, {NULL}, {"runc"}, {NULL}},
    {"crun", {CENSUS_ROOT_CRUN, CENSUS_ROOT_KINDS}, {NULL}, {"crun"}, {NULL}},
};

static void add_word(struct buf *b, const char *before, const char *word)
{
    buf_addf(b, "%s%s", b->size ? ", " : "", before);
    text_add_terminal(b, word);
}

/* Adds state directories that are there; returns 1 when one can be listed, -errno when there are
 * some but none can, 0 when there are none. */
static int look_at_states(const struct trace *t, struct buf *seen)
{
    const struct census_root *roots;
    int answer = 0;
    size_t count;

    roots = runtimes_default_roots(&count);
    for (size_t i = 0; i < count; i++) {
        _cleanup_closedir_ DIR *directory = NULL;

        if (roots[i].kind != t->kinds[0] && roots[i].kind != t->kinds[1])
            continue;
        directory = opendir(roots[i].path);
        if (directory) {
            add_word(seen, "state in ", roots[i].path);
            answer = 1;
        } else if (errno != ENOENT && errno != ENOTDIR && answer == 0) {
            answer = -errno;
        }
    }
    return answer;
}

/* Connects to a Unix socket and hangs up. Returns 0 or -errno. */
static int try_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static void look_at_sockets(const struct trace *t, struct buf *seen)
{
    for (size_t i = 0; i < LIST_MAX && t->sockets[i]; i++)
        if (try_socket(t->sockets[i]) == 0)
            add_word(seen, "answers at ", t->sockets[i]);
}

static void look_at_programs(const struct trace *t, struct buf *seen)
{
    static const char *const places[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin",
                                         "/usr/local/sbin", "/snap/bin"};
    char path[128];

    for (size_t i = 0; i < LIST_MAX && t->programs[i]; i++)
        for (size_t j = 0; j < ARRAY_SIZE(places); j++) {
            snprintf(path, sizeof(path), "%s/%s", places[j], t->programs[i]);
            if (access(path, X_OK) == 0) {
                add_word(seen, "program ", path);
                return;
            }
        }
}

/* Adds the roots that a daemon's command line (words, NUL-separated) names. */
static void look_at_words(const struct trace *t, const struct buf *words, struct buf *seen)
{
    const char *end = words->data + words->size;

    for (const char *w = words->data; w < end; w += strlen(w) + 1)
        for (size_t i = 0; i < LIST_MAX && t->options[i]; i++) {
            size_t n = strlen(t->options[i]);
            const char *next = w + strlen(w) + 1;

            if (strncmp(w, t->options[i], n) != 0)
                continue;
            if (w[n] == '=')
                add_word(seen, "runs with ", w);
            else if (!w[n] && next < end)
                add_word(seen, "runs with root ", next);
        }
}

/* Daemons of this kind that run, and the roots that they were started with. Only those of root are
 * believed. */
static void look_at_daemons(const struct trace *t, struct buf *seen)
{
    _cleanup_closedir_ DIR *proc = t->options[0] ? opendir("/proc") : NULL;
    const struct dirent *entry;

    while (proc && (entry = readdir(proc))) {
        _cleanup_buf_ struct buf words = {0};
        _cleanup_close_ int fd = -1;
        const char *base;
        char path[300];
        struct stat st;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != 0 ||
            buf_read_all(&words, fd, COMMAND_MAX) < 0 || !words.size)
            continue;
        base = strrchr(words.data, '/');
        if (strcmp(base ? base + 1 : words.data, t->programs[0]) == 0)
            look_at_words(t, &words, seen);
    }
}

void check_runtime(struct doctor *d _unused_, const struct check *c, struct finding *f)
{
    _cleanup_buf_ struct buf seen = {0};
    const struct trace *t = traces;
    int state;

    while (strcmp(t->name, c->name) != 0)
        t++;
    state = look_at_states(t, &seen);
    look_at_sockets(t, &seen);
    look_at_daemons(t, &seen);
    look_at_programs(t, &seen);
    if (state > 0) {
        check_works(f, "%s", seen.data ? seen.data : "");
    } else if (state < 0) {
        check_lost(f, "its state cannot be read: %s", strerror(-state));
        doctor_grant(f, "CAP_DAC_READ_SEARCH");
    } else {
        check_info(f, "%s%s", seen.data ? seen.data : "not found",
                   seen.data ? ", no state in the usual places" : "");
    }
}

void check_socket(struct doctor *d, const struct check *c _unused_, struct finding *f)
{
    int r = try_socket(d->socket);

    if (r == 0) {
        check_info(f, "an agent answers at %s", d->socket);
        return;
    }
    check_info(f, "no agent answers at %s: %s", d->socket, strerror(-r));
    check_remedy(f, "%s",
                 r == -EACCES ? "join the group 'porthole', or run as root"
                              : "start it: portholed");
}
