/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/session.h"

#include "agent/capture.h"
#include "agent/proto.h"
#include "agent/request.h"
#include "base/text.h"
#include "base/version.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX_NS (5 * NS_PER_SEC) /* from connecting to the end of the request's line */
#define WRITE_ROUND_NS (10 * NS_PER_SEC)
#define WRITE_ROUND_BYTES 4096u /* who reads less in a round is dropped */
#define OUT_LOW (64u << 10)     /* below: ask the capture for more */

struct session {
    struct session_setup setup;
    int fd;
    struct source *source, *timer, *kick;
    struct buf in, out;
    bool asked;       /* the request has come */
    bool in_closed;   /* the client will send nothing more */
    bool finishing;   /* close once out is empty */
    uint64_t listing; /* ticket of a list under way */
    struct capture *capture;
    uint64_t round_written; /* bytes since the timer was armed for writing */
    bool writing;           /* the timer watches the reader */
};

uid_t session_uid(const struct session *s)
{
    return s->setup.uid;
}

const struct capture *session_capture(const struct session *s)
{
    return s->capture;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    if (s->listing)
        discovery_cancel(s->setup.ctx->discovery, s->listing);
    capture_free(s->capture);
    source_free(s->source);
    source_free(s->timer);
    source_free(s->kick);
    if (s->fd >= 0)
        close(s->fd);
    buf_free(&s->in);
    buf_free(&s->out);
    free(s);
}

static void end(struct session *s)
{
    s->setup.closed(s->setup.data, s);
}

/* ---- writing ---- */

static void watch_reader(struct session *s, bool on)
{
    if (on == s->writing)
        return;
    s->writing = on;
    s->round_written = 0;
    source_arm(s->timer, on ? now_ns() + WRITE_ROUND_NS : 0);
}

static void want_events(struct session *s)
{
    uint32_t events = 0;

    if (!s->in_closed)
        events |= EPOLLIN | EPOLLRDHUP;
    if (s->out.size)
        events |= EPOLLOUT;
    source_set_events(s->source, events);
    if (s->asked)
        watch_reader(s, s->out.size > 0);
}

/* Sends what is there and asks the capture for more. Returns false when the session is over (and
 * freed). */
static bool flush(struct session *s)
{
    for (;;) {
        ssize_t n;

        if (s->capture && s->out.size < OUT_LOW && capture_emit(s->capture, &s->out)) {
            capture_free(s->capture);
            s->capture = NULL;
            s->finishing = true;
        }
        if (buf_error(&s->out) < 0 || (s->finishing && s->out.size == 0)) {
            end(s);
            return false;
        }
        if (s->out.size == 0)
            break;
        n = send(s->fd, s->out.data, s->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            end(s);
            return false;
        }
        s->round_written += (uint64_t)n;
        buf_consume(&s->out, (size_t)n);
    }
    want_events(s);
    return true;
}

static void write_error(struct session *s, const struct err *e)
{
    buf_addf(&s->out, "{\"type\":\"error\",\"code\":\"%s\",\"message\":", err_code_name(e->code));
    text_add_json(&s->out, e->message);
    buf_adds(&s->out, ",\"remedy\":");
    text_add_json(&s->out, e->remedy);
    buf_addf(&s->out, ",\"porthole\":%d,\"porthole_min\":%d,\"version\":", PROTO_VERSION,
             PROTO_VERSION_MIN);
    text_add_json(&s->out, porthole_version);
    buf_adds(&s->out, "}\n");
    s->asked = true;
    s->finishing = true;
}

/* The capture wrote something. Flushing may end the session and free the capture: not inside its
 * own call, but in the loop's next round. */
static void on_wake(void *data)
{
    struct session *s = data;

    source_arm(s->kick, now_ns());
}

static void on_kick(void *data)
{
    flush(data);
}

/* ---- requests ---- */

static void on_list(void *data, const struct containers *cs, const struct err *e)
{
    struct session *s = data;
    const struct container *all;
    size_t count;

    s->listing = 0;
    on_wake(s);
    if (!cs) {
        write_error(s, e);
        return;
    }
    all = containers_all(cs, &count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].sandbox)
            continue;
        buf_adds(&s->out, "{\"type\":\"record\",\"kind\":\"container\",");
        container_add_json(&all[i], &s->out);
        buf_adds(&s->out, "}\n");
    }
    buf_adds(&s->out, "{\"type\":\"end\",\"status\":\"done\"}\n");
    s->finishing = true;
}

static int begin(struct session *s, struct request *r, struct err *e)
{
    int error;

    switch (r->op) {
    case REQUEST_LIST:
        return discovery_refresh(s->setup.ctx->discovery, on_list, s, &s->listing);
    case REQUEST_STATUS:
        s->setup.status(s->setup.data, &s->out);
        buf_adds(&s->out, "{\"type\":\"end\",\"status\":\"done\"}\n");
        s->finishing = true;
        return 0;
    case REQUEST_CAPTURE:
        error = s->setup.admit(s->setup.data, s->setup.uid, e);
        return error < 0 ? error : capture_new(s->setup.ctx, r, on_wake, s, &s->capture);
    case REQUEST_STOP:
        break;
    }
    return err_set(e, ERR_USAGE, "'stop' ends a capture on the same connection: there is none");
}

static int too_big(struct err *e)
{
    return err_set(e, ERR_USAGE, "a request may have at most %d bytes", PROTO_REQUEST_MAX);
}

static void handle_line(struct session *s, const char *line, size_t size)
{
    struct request r = {0};
    struct err e = {0};
    int error;

    error = size > PROTO_REQUEST_MAX ? too_big(&e) : request_parse(line, size, &r, &e);
    if (error == 0 && s->asked) {
        if (r.op != REQUEST_STOP || !s->capture)
            error = err_set(&e, ERR_USAGE,
                            "one request a connection; only 'stop' may follow a "
                            "capture");
        else
            capture_stop(s->capture);
    } else if (error == 0) {
        s->asked = true;
        source_arm(s->timer, 0);
        error = begin(s, &r, &e);
    }
    if (error < 0) {
        if (e.code == ERR_NONE)
            err_set(&e, ERR_FAILED, "the agent is out of memory or of its helpers");
        capture_free(s->capture);
        s->capture = NULL;
        write_error(s, &e);
        s->setup.ctx->totals.refused++;
    }
    request_free(&r);
}

/* Handles the lines that are complete. */
static void handle_input(struct session *s)
{
    char *newline;

    while (!s->finishing && s->in.size && (newline = memchr(s->in.data, '\n', s->in.size))) {
        if (newline - s->in.data > PROTO_REQUEST_MAX)
            break;
        handle_line(s, s->in.data, (size_t)(newline - s->in.data));
        buf_consume(&s->in, (size_t)(newline - s->in.data) + 1);
    }
    if (!s->finishing && s->in.size > PROTO_REQUEST_MAX) {
        struct err e = {0};

        too_big(&e);
        write_error(s, &e);
    }
    if (s->finishing) {
        /* Whatever else comes is read by nobody. */
        s->in_closed = true;
        buf_free(&s->in);
    }
}

/* Reads without taking fds along: what SCM_RIGHTS brings is dropped by the kernel. */
static void read_input(struct session *s)
{
    ssize_t n;
    char *to = buf_reserve(&s->in, 16384);

    if (!to) {
        s->finishing = s->in_closed = true;
        return;
    }
    n = recv(s->fd, to, 16384, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        s->in_closed = true;
        /* Half a request will never be a whole one. */
        if (!s->asked)
            s->finishing = true;
        return;
    }
    s->in.size += (size_t)n;
    handle_input(s);
}

static void on_fd(void *data, uint32_t events)
{
    struct session *s = data;

    /* HUP: both directions are shut, nobody is there any more. */
    if (events & (EPOLLHUP | EPOLLERR)) {
        end(s);
        return;
    }
    if ((events & (EPOLLIN | EPOLLRDHUP)) && !s->in_closed)
        read_input(s);
    flush(s);
}

static void on_timer(void *data)
{
    struct session *s = data;
    struct err e = {0};

    if (!s->asked) {
        err_set(&e, ERR_USAGE, "no request came within %llu seconds",
                (unsigned long long)(REQUEST_MAX_NS / NS_PER_SEC));
        write_error(s, &e);
        s->in_closed = true;
        s->setup.ctx->totals.dropped++;
        flush(s);
        return;
    }
    if (s->writing && s->round_written < WRITE_ROUND_BYTES) {
        s->setup.ctx->totals.dropped++;
        end(s);
        return;
    }
    s->writing = false;
    watch_reader(s, s->out.size > 0);
}

int session_new(const struct session_setup *setup, int fd, struct session **ret)
{
    struct session *s = calloc(1, sizeof(*s));
    int r;

    if (!s) {
        close(fd);
        return -ENOMEM;
    }
    s->setup = *setup;
    s->fd = fd;
    r = loop_add_timer(setup->ctx->loop, on_timer, s, &s->timer);
    if (r == 0)
        r = loop_add_timer(setup->ctx->loop, on_kick, s, &s->kick);
    if (r == 0)
        r = loop_add_fd(setup->ctx->loop, fd, EPOLLIN | EPOLLRDHUP, on_fd, s, &s->source);
    if (r < 0) {
        session_free(s);
        return r;
    }
    source_arm(s->timer, now_ns() + REQUEST_MAX_NS);
    *ret = s;
    return 0;
}
