/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adopting a process that the side-band did not see begin: pin it, take a snapshot of its mappings,
 * merge it with what the side-band said meanwhile.
 */
#include "nsresolve/scene.h"

#include "base/buf.h"
#include "base/loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Clock ticks of /proc/PID/stat: the kernel's USER_HZ is 100 on every architecture we know. */
#define NS_PER_TICK 10000000ull

/* 65,000 mappings with long paths; a process that has more stays unnamed. */
#define MAPS_ANSWER_MAX (16u << 20)
#define SNAPSHOTS_MAX (32u << 20) /* of all that wait to be merged */

static void snapshot_free(struct snapshot *shot)
{
    shot->scene->snapshot_bytes -= shot->size;
    pin_unref(shot->pin);
    free(shot->mappings);
    free(shot);
}

void adopt_free(struct scene *s)
{
    while (s->snapshots) {
        struct snapshot *next = s->snapshots->next;

        snapshot_free(s->snapshots);
        s->snapshots = next;
    }
    pin_unref(s->init);
}

/* The pin of an answer to WIRE_PIN, or NULL. */
static struct pin *take_pin(const struct client_answer *a)
{
    struct pin *p;

    if (a->status != WIRE_OK || a->size < sizeof(p->info) || a->fd_count < 2)
        return NULL;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->refs = 1;
    memcpy(&p->info, a->payload, sizeof(p->info));
    p->proc_fd = TAKE_FD(a->fds[0]);
    p->root_fd = TAKE_FD(a->fds[1]);
    p->started_ns = scene_monotonic(p->info.start_time * NS_PER_TICK);
    return p;
}

static void finished(struct snapshot *shot, bool ok)
{
    shot->failed = !ok;
    shot->replied_ns = now_ns();
    scene_tell_news(shot->scene);
}

static void on_maps_parsed(void *data, enum wire_status status, int *memfd)
{
    struct snapshot *shot = data;
    _cleanup_buf_ struct buf b = {0};
    bool ok;

    ok = status == WIRE_OK && lseek(*memfd, 0, SEEK_SET) == 0 &&
         buf_read_all(&b, *memfd, MAPS_ANSWER_MAX) == 0;
    ok = ok && shot->scene->snapshot_bytes + b.size <= SNAPSHOTS_MAX;
    if (ok) {
        shot->size = b.size;
        shot->scene->snapshot_bytes += b.size;
        shot->mappings = TAKE_PTR(b.data);
    }
    finished(shot, ok);
}

static void on_maps(void *data, const struct client_answer *a)
{
    struct snapshot *shot = data;

    if (a->status != WIRE_OK || a->fd_count < 1 ||
        asks_parse(shot->scene->asks, WIRE_PARSE_MAPS, shot->pin->info.mount_ns, NULL, 0, a->fds[0],
                   on_maps_parsed, shot) < 0)
        finished(shot, false);
}

static void on_pinned(void *data, const struct client_answer *a)
{
    struct snapshot *shot = data;

    shot->pin = take_pin(a);
    shot->sent_ns = now_ns();
    if (!shot->pin || asks_ask(shot->scene->asks, WIRE_MAPS, shot->pin->info.mount_ns, NULL, 0,
                               &shot->pin->proc_fd, 1, on_maps, shot) < 0)
        finished(shot, false);
}

void adopt_process(struct scene *s, struct process *p, uint64_t start_boottime_ns)
{
    struct wire_pin request = {.pid = (int32_t)p->tgid,
                               .start_time = start_boottime_ns / NS_PER_TICK};
    struct snapshot *shot = calloc(1, sizeof(*shot));

    p->adoption = ADOPT_FAILED;
    if (!shot)
        return;
    shot->scene = s;
    shot->tgid = p->tgid;
    shot->born_ns = p->born_ns;
    if (asks_ask(s->asks, WIRE_PIN, 0, &request, sizeof(request), NULL, 0, on_pinned, shot) < 0) {
        free(shot);
        return;
    }
    p->adoption = ADOPT_ASKED;
    shot->next = s->snapshots;
    s->snapshots = shot;
    s->adopted++;
}

static void on_init_pinned(void *data, const struct client_answer *a)
{
    struct scene *s = data;

    s->init = take_pin(a);
    if (s->init && s->init->proc_fd >= 0) {
        /* Only the root serves others. */
        close(s->init->proc_fd);
        s->init->proc_fd = -1;
    }
}

void adopt_init(struct scene *s, uint32_t init_pid)
{
    struct wire_pin request = {.pid = (int32_t)init_pid};

    asks_ask(s->asks, WIRE_PIN, 0, &request, sizeof(request), NULL, 0, on_init_pinned, s);
}

/* Fills the image with what the snapshot saw where newer records say nothing. */
static void fill_image(struct snapshot *shot, struct process *p, struct image *image)
{
    size_t at = 0;

    while (shot->size - at >= sizeof(struct wire_mapping)) {
        struct wire_mapping w;
        struct mapping m;
        struct file *f;

        memcpy(&w, shot->mappings + at, sizeof(w));
        at += sizeof(w);
        if (w.path_size > shot->size - at)
            return;
        f = files_obtain(shot->scene->files, w.dev, w.ino, shot->mappings + at, w.path_size,
                         &p->files);
        at += MIN(((size_t)w.path_size + 7) & ~(size_t)7, shot->size - at);
        m = (struct mapping){.start = w.start,
                             .end = w.end,
                             .offset = w.offset,
                             .born_ns = image->born_ns,
                             .file = f};
        if (mappings_fill(&image->mappings, &m) == 0 && f)
            scene_want_file(shot->scene, p, f, w.start, w.end);
    }
}

static void merge(struct scene *s, struct snapshot *shot)
{
    struct process *p = processes_get(s->processes, shot->tgid);
    struct image *image;

    /* Another life of that number has nothing to do with it. */
    if (!p || p->adoption != ADOPT_ASKED || p->born_ns != shot->born_ns)
        return;
    p->adoption = shot->failed ? ADOPT_FAILED : ADOPT_DONE;
    if (!shot->pin)
        return;
    pin_unref(p->pin);
    pin_unref(p->root);
    p->pin = pin_ref(shot->pin);
    p->root = pin_ref(shot->pin);

    /* It began another life or program since: the records tell everything about that. */
    image = &p->images[p->image_count - 1];
    if (shot->failed || p->born_ns > shot->sent_ns || image->born_ns > shot->sent_ns)
        return;
    fill_image(shot, p, image);
    image->complete = true;
    p->changed = true;
}

void adopt_merge(struct scene *s, uint64_t until_ns)
{
    for (struct snapshot **at = &s->snapshots; *at;) {
        struct snapshot *shot = *at;

        if (!shot->replied_ns || shot->replied_ns > until_ns) {
            at = &shot->next;
            continue;
        }
        merge(s, shot);
        *at = shot->next;
        snapshot_free(shot);
    }
}
