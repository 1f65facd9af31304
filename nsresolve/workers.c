/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/workers.h"

#include "base/jail.h"
#include "base/log.h"
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define GRACE_NS (200 * NS_PER_MS) /* between SIGKILL and being called stuck */

/* A request that waits. */
struct job {
    struct job *next;
    struct wire_request head;
    uint64_t deadline_ns;
    int fds[RECORD_FDS];
    size_t fd_count;
    uint64_t payload[]; /* head.size bytes */
};

enum child_state {
    CHILD_NONE,
    CHILD_WORKING, /* its request has no answer yet */
    CHILD_LEAVING, /* answered: should exit at once */
    CHILD_KILLED,  /* answered by us, SIGKILL sent */
    CHILD_STUCK,   /* the same, too long ago */
};

struct child {
    struct workers *workers;
    enum child_state state;
    pid_t pid;
    uint32_t id;
    uint64_t container;
    int channel; /* our end of its socket; -1 once read */
    struct source *source, *timer;
};

struct workers {
    const struct workers_spec *spec;
    struct loop *loop;
    int socket_fd;
    struct source *source, *queue_timer;
    struct job *first, **last;
    unsigned queued;
    struct child *children;
    size_t child_count;
    pid_t pid;
};

/* One for all, since one is used at a time: requests and answers are big. */
static union {
    struct work_answer answer;
    struct {
        struct wire_request head;
        uint64_t payload[RECORD_MAX / sizeof(uint64_t)];
    } request;
} scratch;

static void job_free(struct job *job)
{
    for (size_t i = 0; i < job->fd_count; i++)
        close(job->fds[i]);
    free(job);
}

/* Blocks while the agent is slow to read: it has nothing to gain from our going on. */
static void reply(struct workers *w, const struct wire_reply *head, size_t size, const int *fds,
                  size_t fd_count)
{
    int r = record_send(w->socket_fd, head, size, fds, fd_count, 0);

    if (r == -EPIPE || r == -ECONNRESET)
        loop_quit(w->loop, 0);
    else if (r < 0)
        log_warning("cannot send a reply: %s", strerror(-r));
}

static void reply_status(struct workers *w, uint32_t id, enum wire_status status, int error)
{
    struct wire_reply head = {.id = id, .status = status, .error = error};

    reply(w, &head, sizeof(head), NULL, 0);
}

/* ---- in the child ---- */

static void send_answer(int channel, const struct work_answer *a)
{
    size_t size = sizeof(a->head) + a->head.size;

    /* Without fds by write(): a confined child may have nothing else left. */
    if (a->fd_count)
        record_send(channel, a, size, a->fds, a->fd_count, 0);
    else if (write(channel, a, size) < 0)
        _exit(1);
}

static void child_run(const struct workers *w, struct job *job, int channel)
{
    const struct workers_spec *spec = w->spec;
    struct work work = {
        .op = job->head.op,
        .container = job->head.container,
        .payload = (const uint8_t *)job->payload,
        .size = job->head.size,
        .fds = job->fds,
        .fd_count = job->fd_count,
    };
    int keep[RECORD_FDS + 8];
    size_t count = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != w->pid)
        _exit(1);
    keep[count++] = channel;
    for (size_t i = 0; i < spec->keep_count && count < 8; i++)
        keep[count++] = spec->keep_fds[i];
    for (size_t i = 0; i < job->fd_count; i++)
        keep[count++] = job->fds[i];
    jail_close_fds(keep, count);
    if (spec->confine && spec->confine() < 0)
        _exit(1);
    memset(&scratch.answer.head, 0, sizeof(scratch.answer.head));
    scratch.answer.fd_count = 0;
    spec->handle(&work, &scratch.answer);
    send_answer(channel, &scratch.answer);
    _exit(0);
}

/* ---- children, from the parent's side ---- */

static void schedule(struct workers *w);

/* Whether these are an answer that a child may give. */
static bool answer_is_sane(const struct work_answer *a, size_t size)
{
    return size >= sizeof(a->head) && a->head.size == size - sizeof(a->head) &&
           a->head.status <= WIRE_TOO_BIG && a->head.status != WIRE_BREAKER;
}

/* Takes the answer of a working child, or notes that there will be none. */
static void child_answered(struct child *c)
{
    struct workers *w = c->workers;
    struct work_answer *a = &scratch.answer;
    size_t fd_count = w->spec->answers_fds ? RECORD_FDS : 0;
    ssize_t n = record_receive(c->channel, a, RECORD_MAX, a->fds, &fd_count, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return;
    if (n > 0 && answer_is_sane(a, (size_t)n)) {
        a->head.id = c->id;
        reply(w, &a->head, (size_t)n, a->fds, fd_count);
    } else {
        reply_status(w, c->id, WIRE_CRASHED, 0);
    }
    for (size_t i = 0; n > 0 && i < fd_count; i++)
        close(a->fds[i]);
    source_free(TAKE_PTR(c->source));
    close(TAKE_FD(c->channel));
    c->state = CHILD_LEAVING;
    source_arm(c->timer, now_ns() + GRACE_NS);
}

static void on_channel(void *data, uint32_t events _unused_)
{
    child_answered(data);
}

static void on_child_timer(void *data)
{
    struct child *c = data;
    struct workers *w = c->workers;

    if (c->state == CHILD_WORKING || c->state == CHILD_LEAVING) {
        kill(c->pid, SIGKILL);
        if (c->state == CHILD_WORKING) {
            reply_status(w, c->id, WIRE_TIMEOUT, 0);
            source_free(TAKE_PTR(c->source));
            close(TAKE_FD(c->channel));
        }
        c->state = CHILD_KILLED;
        source_arm(c->timer, now_ns() + GRACE_NS);
    } else if (c->state == CHILD_KILLED) {
        c->state = CHILD_STUCK;
        log_warning("a request for mount namespace %llu hangs in the kernel: abandoned",
                    (unsigned long long)c->container);
        schedule(w);
    }
}

static void child_free(struct child *c)
{
    source_free(c->source);
    source_free(c->timer);
    if (c->channel >= 0)
        close(c->channel);
    *c = (struct child){.workers = c->workers, .channel = -1};
}

static void on_signal(void *data, int signo)
{
    struct workers *w = data;

    if (signo != SIGCHLD)
        return; /* an interrupt from the terminal is the monitor's business */
    for (size_t i = 0; i < w->child_count; i++) {
        struct child *c = &w->children[i];

        if (c->state == CHILD_NONE || waitpid(c->pid, NULL, WNOHANG) != c->pid)
            continue;
        if (c->state == CHILD_WORKING)
            child_answered(c);
        child_free(c);
    }
    schedule(w);
}

static int child_start(struct workers *w, struct job *job)
{
    struct child *c = w->children;
    int pair[2], r;

    while (c->state != CHILD_NONE)
        c++; /* schedule() saw to it that one is free */
    r = record_pair(pair);
    if (r < 0)
        return r;
    c->pid = fork();
    if (c->pid == 0)
        child_run(w, job, pair[1]);
    r = -errno;
    close(pair[1]);
    c->channel = pair[0];
    if (c->pid < 0) {
        child_free(c);
        return r;
    }
    c->state = CHILD_WORKING;
    c->id = job->head.id;
    c->container = job->head.container;
    r = loop_add_fd(w->loop, c->channel, EPOLLIN, on_channel, c, &c->source);
    if (r == 0)
        r = loop_add_timer(w->loop, on_child_timer, c, &c->timer);
    if (r < 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
        child_free(c);
        return r;
    }
    source_arm(c->timer, job->deadline_ns);
    return 0;
}

/* ---- the queue ---- */

struct load {
    unsigned active, active_container, stuck, stuck_container;
};

static struct load load_of(const struct workers *w, uint64_t container)
{
    struct load l = {0};

    for (size_t i = 0; i < w->child_count; i++) {
        const struct child *c = &w->children[i];
        bool same = c->container == container;

        if (c->state == CHILD_STUCK) {
            l.stuck++;
            l.stuck_container += same;
        } else if (c->state != CHILD_NONE) {
            l.active++;
            l.active_container += same;
        }
    }
    return l;
}

/* Starts, refuses or gives up this one. false: it must wait. Whatever runs may get stuck as well,
 * so the caps count it beforehand. Requests that belong to no container have the host's cap only.
 */
static bool try_job(struct workers *w, struct job *job, uint64_t now)
{
    const struct workers_spec *s = w->spec;
    struct load l = load_of(w, job->head.container);
    int r;

    if (!job->head.container)
        l.stuck_container = l.active_container = 0;
    if (l.stuck_container >= s->stuck_container || l.stuck >= s->stuck_total) {
        reply_status(w, job->head.id, WIRE_BREAKER, 0);
        return true;
    }
    if (job->deadline_ns <= now) {
        reply_status(w, job->head.id, WIRE_TIMEOUT, 0);
        return true;
    }
    if (l.active >= s->concurrency || l.active + l.stuck >= s->stuck_total ||
        l.active_container >= s->per_container ||
        l.active_container + l.stuck_container >= s->stuck_container)
        return false;
    r = child_start(w, job);
    if (r < 0)
        reply_status(w, job->head.id, WIRE_FAILED, -r);
    return true;
}

static void schedule(struct workers *w)
{
    uint64_t now = now_ns();
    struct job **at = &w->first, *job;

    while ((job = *at)) {
        if (!try_job(w, job, now)) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        w->queued--;
        job_free(job);
    }
    w->last = at;
    /* All have the same time, so the first one's ends first. */
    source_arm(w->queue_timer, w->first ? w->first->deadline_ns : 0);
    source_set_events(w->source, w->queued < w->spec->queue ? EPOLLIN : 0);
}

static void on_queue_timer(void *data)
{
    schedule(data);
}

static void enqueue(struct workers *w, size_t size, const int *fds, size_t fd_count)
{
    struct job *job = malloc(sizeof(*job) + size);

    if (!job) {
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]);
        reply_status(w, scratch.request.head.id, WIRE_FAILED, ENOMEM);
        return;
    }
    job->next = NULL;
    job->head = scratch.request.head;
    job->deadline_ns = now_ns() + w->spec->deadline_ns;
    job->fd_count = fd_count;
    memcpy(job->fds, fds, fd_count * sizeof(*fds));
    memcpy(job->payload, scratch.request.payload, size);
    *w->last = job;
    w->last = &job->next;
    w->queued++;
}

static void on_socket(void *data, uint32_t events _unused_)
{
    struct workers *w = data;
    int fds[RECORD_FDS];
    size_t fd_count = RECORD_FDS, size;
    ssize_t n =
        record_receive(w->socket_fd, &scratch.request, RECORD_MAX, fds, &fd_count, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return;
    if (n == 0 || (n < 0 && n != -EMSGSIZE)) {
        loop_quit(w->loop, (int)n);
        return;
    }
    size = n < 0 ? 0 : (size_t)n - MIN((size_t)n, sizeof(struct wire_request));
    if (n < (ssize_t)sizeof(struct wire_request) || scratch.request.head.size != size) {
        log_warning("dropped a request of a wrong size");
        for (size_t i = 0; n > 0 && i < fd_count; i++)
            close(fds[i]);
        return;
    }
    if (scratch.request.head.op == WIRE_PING) {
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]);
        reply_status(w, scratch.request.head.id, WIRE_OK, 0);
        return;
    }
    enqueue(w, size, fds, fd_count);
    schedule(w);
}

static int set_up(struct workers *w)
{
    static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, 0};
    int r;

    w->child_count = w->spec->concurrency + w->spec->stuck_total;
    w->children = calloc(w->child_count, sizeof(*w->children));
    if (!w->children)
        return -ENOMEM;
    for (size_t i = 0; i < w->child_count; i++)
        w->children[i] = (struct child){.workers = w, .channel = -1};
    r = loop_new(&w->loop);
    if (r == 0)
        r = loop_add_signals(w->loop, signals, on_signal, w);
    if (r == 0)
        r = loop_add_timer(w->loop, on_queue_timer, w, &w->queue_timer);
    if (r == 0)
        r = loop_add_fd(w->loop, w->socket_fd, EPOLLIN, on_socket, w, &w->source);
    return r;
}

int workers_run(const struct workers_spec *spec, int socket_fd)
{
    struct workers w = {.spec = spec, .socket_fd = socket_fd, .pid = getpid()};
    int r;

    w.last = &w.first;
    r = set_up(&w);
    if (r == 0)
        r = loop_run(w.loop);
    /* Nobody waits for the answers any more. */
    for (size_t i = 0; w.children && i < w.child_count; i++)
        if (w.children[i].state != CHILD_NONE) {
            kill(w.children[i].pid, SIGKILL);
            child_free(&w.children[i]);
        }
    while (w.first) {
        struct job *job = w.first;

        w.first = job->next;
        job_free(job);
    }
    free(w.children);
    loop_free(w.loop);
    return r;
}
