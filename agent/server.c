/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/server.h"

#include "agent/session.h"
#include "agent/status.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OVERFLOW_UID 65534u        /* who has no uid in our user namespace */
#define ACCEPT_ROUND 64            /* connections taken before others are served again */
#define RETRY_NS (100 * NS_PER_MS) /* out of fds: try again then */

struct server {
    struct context *ctx;
    int listen_fd;
    struct source *source, *retry;
    struct session **sessions;
    size_t count, allocated;
};

static size_t count_of(const struct server *s, uid_t uid)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += session_uid(s->sessions[i]) == uid;
    return n;
}

static int admit(void *data, uid_t uid, struct err *e)
{
    const struct server *s = data;
    const struct config *config = s->ctx->setup->config;
    uint64_t all = 0, own = 0;

    for (size_t i = 0; i < s->count; i++)
        if (session_capture(s->sessions[i])) {
            all++;
            own += session_uid(s->sessions[i]) == uid;
        }
    if (all < config->max_captures && own < config->max_captures_uid)
        return 0;
    err_set(e, ERR_LIMIT, "%llu captures are under way, %llu of them yours: that is the limit",
            (unsigned long long)all, (unsigned long long)own);
    err_remedy(e, "wait for one to end, or raise max-captures in the agent's configuration");
    return -EBUSY;
}

static void on_status(void *data, struct buf *out)
{
    struct server *s = data;
    const struct capture **captures = calloc(MAX(s->count, (size_t)1), sizeof(*captures));
    size_t n = 0;

    for (size_t i = 0; captures && i < s->count; i++)
        if (session_capture(s->sessions[i]))
            captures[n++] = session_capture(s->sessions[i]);
    status_write(s->ctx, captures, n, s->count, out);
    free(captures);
}

static void on_closed(void *data, struct session *session)
{
    struct server *s = data;

    for (size_t i = 0; i < s->count; i++)
        if (s->sessions[i] == session)
            s->sessions[i--] = s->sessions[--s->count];
    session_free(session);
}

static int keep(struct server *s, struct session *session)
{
    if (s->count == s->allocated) {
        size_t want = MAX(s->allocated * 2, (size_t)16);
        struct session **grown = realloc(s->sessions, want * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        s->sessions = grown;
        s->allocated = want;
    }
    s->sessions[s->count++] = session;
    return 0;
}

/* A connection beyond a limit gets one line, if it fits the socket at once, and is closed. */
static void turn_away(struct server *s, int fd, const char *line)
{
    ssize_t n = send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);

    s->ctx->totals.refused += n >= 0;
    close(fd);
}

static void welcome(struct server *s, int fd)
{
    const struct config *config = s->ctx->setup->config;
    struct session_setup setup = {
        .ctx = s->ctx,
        .admit = admit,
        .status = on_status,
        .closed = on_closed,
        .data = s,
    };
    struct session *session;
    struct ucred peer;
    socklen_t size = sizeof(peer);

    /* An error while checking is a denial. The socket's mode has decided who may connect. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || size != sizeof(peer) ||
        peer.uid == OVERFLOW_UID) {
        turn_away(s, fd,
                  "{\"type\":\"error\",\"code\":\"denied\",\"message\":\"the agent does not know "
                  "who you are\",\"remedy\":\"connect from the host's user namespace\"}\n");
        return;
    }
    s->ctx->totals.connections++;
    if (s->count >= config->max_connections ||
        count_of(s, peer.uid) >= config->max_connections_uid) {
        turn_away(s, fd,
                  "{\"type\":\"error\",\"code\":\"limit\",\"message\":\"too many connections\","
                  "\"remedy\":\"close some, or raise max-connections in the agent's "
                  "configuration\"}\n");
        return;
    }
    setup.uid = peer.uid;
    if (session_new(&setup, fd, &session) == 0 && keep(s, session) < 0)
        session_free(session);
}

static void on_connect(void *data, uint32_t events _unused_)
{
    struct server *s = data;

    for (int i = 0; i < ACCEPT_ROUND; i++) {
        struct sockaddr_un peer;
        socklen_t size = sizeof(peer);
        int fd =
            accept4(s->listen_fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            welcome(s, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            /* The connection stays in the queue: do not spin on it. */
            source_set_events(s->source, 0);
            source_arm(s->retry, now_ns() + RETRY_NS);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_retry(void *data)
{
    struct server *s = data;

    source_set_events(s->source, EPOLLIN);
}

int server_new(struct context *ctx, int listen_fd, struct server **ret)
{
    _cleanup_(server_freep) struct server *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    s->ctx = ctx;
    s->listen_fd = listen_fd;
    r = loop_add_timer(ctx->loop, on_retry, s, &s->retry);
    if (r == 0)
        r = loop_add_fd(ctx->loop, listen_fd, EPOLLIN, on_connect, s, &s->source);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        session_free(s->sessions[i]);
    free(s->sessions);
    source_free(s->source);
    source_free(s->retry);
    free(s);
}
