/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/processes.h"

#include "base/table.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define AWAITED_NS 2000000000ull

struct processes {
    struct table *by_tgid; /* the last life; earlier ones hang behind it */
};

struct pin *pin_ref(struct pin *p)
{
    p->refs++;
    return p;
}

void pin_unref(struct pin *p)
{
    if (!p || --p->refs)
        return;
    if (p->proc_fd >= 0)
        close(p->proc_fd);
    if (p->root_fd >= 0)
        close(p->root_fd);
    free(p);
}

static void process_free(void *data)
{
    struct process *p = data;

    while (p) {
        struct process *previous = p->previous;

        for (unsigned i = 0; i < p->image_count; i++)
            mappings_unref(p->images[i].mappings);
        pin_unref(p->pin);
        pin_unref(p->root);
        free(p);
        p = previous;
    }
}

int processes_new(struct processes **ret)
{
    _cleanup_(processes_freep) struct processes *ps = calloc(1, sizeof(*ps));

    if (!ps || table_new(&ps->by_tgid, process_free) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(ps);
    return 0;
}

void processes_free(struct processes *ps)
{
    if (!ps)
        return;
    table_free(ps->by_tgid);
    free(ps);
}

struct process *processes_get(const struct processes *ps, uint32_t tgid)
{
    return table_get(ps->by_tgid, &tgid, sizeof(tgid));
}

struct process *processes_at(const struct processes *ps, uint32_t tgid, uint64_t time_ns)
{
    struct process *p = processes_get(ps, tgid);

    while (p && p->born_ns > time_ns)
        p = p->previous;
    return p;
}

/* Ends the current image and begins one with these mappings. */
static void begin_image(struct process *p, struct mappings *mappings, uint64_t time_ns,
                        bool complete)
{
    if (p->image_count == PROCESS_IMAGES_MAX) {
        mappings_unref(p->images[0].mappings);
        memmove(&p->images[0], &p->images[1], (PROCESS_IMAGES_MAX - 1) * sizeof(p->images[0]));
        p->image_count--;
    }
    p->images[p->image_count++] =
        (struct image){.mappings = mappings, .born_ns = time_ns, .complete = complete};
    p->changed = true;
}

/* A new life with an empty image; earlier lives of the same tgid stay behind it. */
static struct process *begin_life(struct processes *ps, uint32_t tgid, uint64_t time_ns,
                                  struct mappings *mappings, bool complete)
{
    struct process *p = calloc(1, sizeof(*p)), *marker, *previous = processes_get(ps, tgid);

    if (!p)
        return NULL;
    p->tgid = tgid;
    p->born_ns = time_ns;
    if (!mappings && mappings_new(&mappings) < 0) {
        free(p);
        return NULL;
    }
    begin_image(p, mappings, time_ns, complete);

    /* table_put() frees the value it replaces: hang the earlier life out of its reach first. */
    if (previous) {
        marker = malloc(sizeof(*marker));
        if (!marker) {
            process_free(p);
            return NULL;
        }
        *marker = *previous;
        memset(previous, 0, sizeof(*previous));
        p->previous = marker;
        if (!marker->died_ns)
            marker->died_ns = time_ns;
    }
    /* Cannot fail when there was an earlier life: its slot is used again. */
    if (table_put(ps->by_tgid, &tgid, sizeof(tgid), p) < 0) {
        process_free(p);
        return NULL;
    }
    return p;
}

struct process *processes_obtain(struct processes *ps, uint32_t tgid)
{
    struct process *p = processes_get(ps, tgid);

    return p ? p : begin_life(ps, tgid, 0, NULL, false);
}

int processes_fork(struct processes *ps, uint32_t tgid, uint32_t parent, uint64_t time_ns)
{
    struct process *from = processes_get(ps, parent), *p;
    struct image *image = from ? &from->images[from->image_count - 1] : NULL;
    struct mappings *mappings = image ? mappings_ref(image->mappings) : NULL;

    p = begin_life(ps, tgid, time_ns, mappings, image && image->complete);
    if (!p)
        return -ENOMEM;
    p->parent = parent;
    if (!from)
        return 0;
    p->relevant = from->relevant;
    if (from->root)
        p->root = pin_ref(from->root);
    return 0;
}

int processes_exec(struct processes *ps, uint32_t tgid, uint64_t time_ns)
{
    struct process *p = processes_get(ps, tgid);
    struct mappings *mappings;

    /* One that ended and execs is another process, whose fork was not seen. */
    if (!p || p->died_ns)
        return begin_life(ps, tgid, time_ns, NULL, true) ? 0 : -ENOMEM;
    if (mappings_new(&mappings) < 0)
        return -ENOMEM;
    begin_image(p, mappings, time_ns, true);
    return 0;
}

int processes_mmap(struct processes *ps, uint32_t tgid, const struct mapping *mapping)
{
    struct process *p = processes_obtain(ps, tgid);

    if (!p)
        return -ENOMEM;
    p->changed = true;
    return mappings_add(&p->images[p->image_count - 1].mappings, mapping);
}

void processes_exit(struct processes *ps, uint32_t tgid, uint64_t time_ns)
{
    struct process *p = processes_get(ps, tgid);

    if (p && !p->died_ns)
        p->died_ns = time_ns;
}

struct process *processes_succeed(struct processes *ps, uint32_t tgid)
{
    struct process *p = processes_get(ps, tgid);

    return begin_life(ps, tgid, p && p->died_ns ? p->died_ns + 1 : 0, NULL, false);
}

static void distrust(struct process *p, uint64_t time_ns)
{
    const struct image *before = &p->images[p->image_count - 1];
    void *jit = before->jit, *program = before->program;
    struct mappings *mappings;

    if (mappings_new(&mappings) < 0) {
        p->images[p->image_count - 1].complete = false;
        return;
    }
    begin_image(p, mappings, MAX(time_ns, p->born_ns), false);
    p->images[p->image_count - 1].jit = jit;
    p->images[p->image_count - 1].program = program;
    p->adoption = p->died_ns ? ADOPT_FAILED : ADOPT_NONE;
}

void processes_distrust(struct processes *ps, uint64_t time_ns)
{
    struct process *p;
    size_t cursor = 0;

    while ((p = table_next(ps->by_tgid, &cursor, NULL, NULL)))
        for (; p; p = p->previous)
            if (!p->died_ns || p->died_ns >= time_ns)
                distrust(p, time_ns);
}

struct image *process_image(struct process *p, uint64_t time_ns)
{
    unsigned i = p->image_count - 1;

    while (i > 0 && p->images[i].born_ns > time_ns)
        i--;
    return &p->images[i];
}

bool process_inherit(const struct processes *ps, struct process *p)
{
    struct process *parent = p->parent ? processes_at(ps, p->parent, p->born_ns) : NULL;
    struct image *from = parent ? process_image(parent, p->born_ns) : NULL;

    if (!from || !from->complete || p->image_count != 1)
        return false;
    /* The parent's number may be somebody else's by now. */
    if (parent->pin && parent->pin->started_ns > p->born_ns)
        return false;
    if (mappings_fill_from(&p->images[0].mappings, from->mappings, p->born_ns) < 0)
        return false;
    p->images[0].complete = true;
    if (!p->root && parent->root)
        p->root = pin_ref(parent->root);
    return true;
}

/* Sampled, and not known yet: its parent may still tell what it ran. */
static bool is_awaited(const struct process *p, uint64_t before_ns)
{
    if (p->adoption == ADOPT_ASKED)
        return true;
    return p->relevant && !p->images[p->image_count - 1].complete &&
           p->died_ns + AWAITED_NS >= before_ns;
}

void processes_prune(struct processes *ps, uint64_t before_ns)
{
    const void *key;
    size_t key_size, cursor = 0;
    struct process *p;

    while ((p = table_next(ps->by_tgid, &cursor, &key, &key_size))) {
        for (struct process **at = &p->previous; *at;) {
            struct process *old = *at;

            if (old->died_ns >= before_ns) {
                at = &old->previous;
                continue;
            }
            *at = old->previous;
            old->previous = NULL;
            process_free(old);
        }
        if (p->died_ns && p->died_ns < before_ns && !is_awaited(p, before_ns))
            table_remove(ps->by_tgid, key, key_size);
    }
}

struct process *processes_next(const struct processes *ps, size_t *cursor)
{
    return table_next(ps->by_tgid, cursor, NULL, NULL);
}

size_t processes_count(const struct processes *ps)
{
    return table_count(ps->by_tgid);
}
