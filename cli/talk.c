/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/talk.h"

#include "agent/proto.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli/model.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_BYTES 65536

struct talk {
    int fd, signal_fd;
    struct buf in;
    size_t taken; /* bytes at the start of in that lines have used up */
    sigset_t old_mask;
};

static int refuse(const char *path, int error, struct err *e)
{
    int r;

    if (error == EACCES || error == EPERM) {
        r = err_set(e, ERR_DENIED, "no permission for the agent's socket '%.108s'", path);
        err_remedy(e, "run as root or as a member of the group 'porthole'");
        return r;
    }
    r = err_set(e, ERR_NO_AGENT, "no agent at '%.108s': %s", path, strerror(error));
    err_remedy(e, "start portholed, or name its socket with --socket or $" PROTO_SOCKET_ENV);
    return r;
}

static int connect_socket(struct talk *c, const char *path, struct err *e)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(to.sun_path))
        return err_set(e, ERR_USAGE, "the socket's path '%.108s…' is longer than %zu bytes", path,
                       sizeof(to.sun_path) - 1);
    strcpy(to.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    if (connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        return refuse(path, errno, e);
    return 0;
}

/* Interrupts come as bytes from now on, so that none can slip in before a wait. */
static int take_signals(struct talk *c)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &mask, &c->old_mask) < 0)
        return -errno;
    c->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return c->signal_fd < 0 ? -errno : 0;
}

int talk_connect(struct talk **ret, const char *path, struct err *e)
{
    _cleanup_(talk_freep) struct talk *c = calloc(1, sizeof(*c));
    const char *given = getenv(PROTO_SOCKET_ENV);
    int r;

    if (!c)
        return -ENOMEM;
    c->fd = c->signal_fd = -1;
    sigprocmask(SIG_SETMASK, NULL, &c->old_mask);
    if (!path)
        path = given && *given ? given : PROTO_SOCKET;
    r = connect_socket(c, path, e);
    if (r < 0)
        return r;
    r = take_signals(c);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

void talk_free(struct talk *c)
{
    if (!c)
        return;
    closep(&c->fd);
    closep(&c->signal_fd);
    sigprocmask(SIG_SETMASK, &c->old_mask, NULL);
    buf_free(&c->in);
    free(c);
}

int talk_send(struct talk *c, const char *line, struct err *e)
{
    _cleanup_buf_ struct buf b = {0};
    size_t at = 0;

    buf_adds(&b, line);
    buf_addc(&b, '\n');
    if (buf_error(&b) < 0)
        return -ENOMEM;
    while (at < b.size) {
        ssize_t n = send(c->fd, b.data + at, b.size - at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        /* An agent that refuses may have closed already; its reply says why and is still here. */
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 0;
        if (n < 0)
            return err_set(e, ERR_FAILED, "cannot send to the agent: %s", strerror(errno));
        at += (size_t)n;
    }
    return 0;
}

/* True when in holds a whole line. */
static bool next_in_buffer(struct talk *c, const char **line, size_t *size)
{
    size_t left = c->in.size - c->taken;
    const char *start = c->in.data + c->taken, *end = left ? memchr(start, '\n', left) : NULL;

    if (!end)
        return false;
    *line = start;
    *size = (size_t)(end - start);
    c->taken += *size + 1;
    return true;
}

/* Waits for bytes or a signal. Returns an enum talk_event (TALK_LINE: there may be one now), or
 * -errno. */
static int wait_for_more(struct talk *c, struct err *e)
{
    struct pollfd fds[2] = {{.fd = c->signal_fd, .events = POLLIN},
                            {.fd = c->fd, .events = POLLIN}};
    struct signalfd_siginfo info;
    ssize_t n;

    if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
        return errno == EINTR ? TALK_LINE : -errno;
    if (fds[0].revents && read(c->signal_fd, &info, sizeof(info)) > 0)
        return TALK_INTERRUPT;
    if (!fds[1].revents)
        return TALK_LINE;
    n = buf_read_fd(&c->in, c->fd, READ_BYTES);
    if (n < 0 && n != -ECONNRESET)
        return err_set(e, ERR_FAILED, "cannot read from the agent: %s", strerror((int)-n));
    return n > 0 ? TALK_LINE : TALK_END;
}

int talk_next_line(struct talk *c, const char **line, size_t *size, struct err *e)
{
    int r;

    while (!next_in_buffer(c, line, size)) {
        buf_consume(&c->in, c->taken);
        c->taken = 0;
        if (c->in.size > JSON_LINE_MAX)
            return err_set(e, ERR_FAILED, "the agent sent a line of more than %u bytes",
                           JSON_LINE_MAX);
        r = wait_for_more(c, e);
        if (r != TALK_LINE)
            return r;
    }
    return TALK_LINE;
}

static int take_reply(const char *line, size_t size,
                      int (*each)(void *data, struct json_object *record), void *data, bool *end,
                      struct err *e)
{
    _cleanup_json_ struct json_object *o = NULL;
    const char *type;
    int r;

    r = json_parse_line(line, size, &o, e);
    if (r < 0)
        return r;
    type = json_string(o, "type");
    if (type && strcmp(type, "error") == 0)
        return model_error(o, e);
    if (type && strcmp(type, "end") == 0)
        *end = true;
    if (type && strcmp(type, "record") == 0)
        return each(data, o);
    return 0;
}

int talk_records(const char *socket_path, const char *op,
                 int (*each)(void *data, struct json_object *record), void *data, struct err *e)
{
    _cleanup_(talk_freep) struct talk *c = NULL;
    char request[64];
    bool end = false;
    int r;

    r = talk_connect(&c, socket_path, e);
    if (r < 0)
        return r;
    snprintf(request, sizeof(request), "{\"porthole\":%d,\"op\":\"%s\"}", PROTO_VERSION, op);
    r = talk_send(c, request, e);
    while (r >= 0 && !end) {
        const char *line;
        size_t size;

        r = talk_next_line(c, &line, &size, e);
        if (r == TALK_INTERRUPT)
            return err_set(e, ERR_INTERRUPTED, "interrupted");
        if (r == TALK_END)
            return err_set(e, ERR_FAILED, "the agent went away before its answer was complete");
        if (r == TALK_LINE)
            r = take_reply(line, size, each, data, &end, e);
    }
    return MIN(r, 0);
}
