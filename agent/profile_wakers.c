/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who ended the waits of a profile: read with the row, located with it, and put on top of its stack
 * (upside down, behind a separator) or, where only wakers are asked for, in its place.
 */
#include "agent/interrupt.h"
#include "agent/profile_inside.h"

#include <errno.h>
#include <string.h>

#define SEPARATOR "--"

/* The wakers of a row, nearest first. */
struct waker_list {
    unsigned count;
    struct event_waker wakers[];
};

/* One waker, located: a word each, followed by the locations of both parts, innermost first. */
struct waker_part {
    uint32_t words; /* all of it */
    uint32_t separator, name;
    uint32_t flags; /* enum event_waker_flags */
    uint32_t kernel_depth, user_depth;
    uint32_t interrupts[INTERRUPT_KIND_COUNT]; /* locations of their labels */
};

#define PART_WORDS (sizeof(struct waker_part) / sizeof(uint32_t))

void wakers_keep(struct profile *p, struct probe *probe, uint64_t key)
{
    struct event_waker wakers[EVENT_CHAIN_MAX];
    struct waker_list *list;
    unsigned count;
    size_t size;

    if (!key || table_get(p->wakers, &key, sizeof(key)))
        return;
    count = probe_wakers(probe, key, wakers);
    size = sizeof(*list) + count * sizeof(wakers[0]);
    list = profile_over_budget(p, size) ? NULL : malloc(size);
    if (!list)
        return;
    list->count = count;
    memcpy(list->wakers, wakers, count * sizeof(wakers[0]));
    for (unsigned i = 0; i < count; i++) {
        profile_keep_addresses(p, probe, wakers[i].kernel_stack);
        profile_keep_addresses(p, probe, wakers[i].user_stack);
    }
    if (table_put(p->wakers, &key, sizeof(key), list) < 0)
        free(list);
    else
        p->bytes += size;
}

/* ---- locating ---- */

static int locate_name(struct profile *p, const struct event_waker *w, bool may_wait, uint32_t *ret)
{
    _cleanup_buf_ struct buf name = {0};
    int r = 0;

    if ((w->flags & EVENT_WAKER_TARGET) || !p->setup.waker_name)
        buf_add(&name, w->comm, strnlen(w->comm, sizeof(w->comm)));
    else
        r = p->setup.waker_name(p->setup.data, w, may_wait, &name);
    if (r < 0)
        return r;
    buf_addc(&name, '\0');
    return buf_error(&name) < 0 ? -ENOMEM : scene_locate_label(p->setup.scene, name.data, ret);
}

static int locate_labels(struct profile *p, const struct event_waker *w, bool may_wait,
                         struct waker_part *part)
{
    int r = scene_locate_label(p->setup.scene, SEPARATOR, &part->separator);

    part->name = NO_LABEL;
    if (r == 0 && (!(w->flags & EVENT_WAKER_INTERRUPT) || (w->flags & EVENT_WAKER_UNSURE)))
        r = locate_name(p, w, may_wait, &part->name);
    for (int i = 0; r == 0 && i < INTERRUPT_KIND_COUNT; i++) {
        part->interrupts[i] = NO_LABEL;
        if (w->flags & EVENT_WAKER_INTERRUPT)
            r = scene_locate_label(p->setup.scene, interrupt_label(i), &part->interrupts[i]);
    }
    return r;
}

static int locate_one(struct profile *p, const struct event_waker *w, const struct portion *portion,
                      bool may_wait)
{
    const struct scene_where where = {.in_kernel = true,
                                      .tgid = w->tgid,
                                      .ns_tgid = w->ns_tgid,
                                      .first_ns = portion->first_ns,
                                      .last_ns = portion->last_ns};
    struct waker_part part = {.flags = w->flags};
    size_t at = p->scratch.size;
    int r = locate_labels(p, w, may_wait, &part);

    buf_add(&p->scratch, &part, sizeof(part));
    if (r == 0)
        r = profile_add_locations(p, &where, w->kernel_stack, false, &part.kernel_depth);
    if (r == 0 && w->user_stack)
        r = profile_add_locations(p, &where, w->user_stack, true, &part.user_depth);
    if (r == 0)
        r = buf_error(&p->scratch);
    if (r < 0)
        return r;
    part.words = (uint32_t)((p->scratch.size - at) / sizeof(uint32_t));
    memcpy(p->scratch.data + at, &part, sizeof(part));
    return 0;
}

int wakers_locate(struct profile *p, const struct row *row, const struct portion *portion,
                  bool may_wait, uint32_t *words)
{
    const struct waker_list *list =
        row->key.waker ? table_get(p->wakers, &row->key.waker, sizeof(row->key.waker)) : NULL;
    size_t at = p->scratch.size;

    *words = 0;
    for (unsigned i = 0; list && i < list->count; i++) {
        int r = locate_one(p, &list->wakers[i], portion, may_wait);

        if (r < 0)
            return r;
    }
    *words = (uint32_t)((p->scratch.size - at) / sizeof(uint32_t));
    return 0;
}

/* ---- frames ---- */

/* The kernel's part without our own tracing, and without whoever was interrupted. */
struct kernel_part {
    uint32_t first, end; /* of its locations, innermost first */
    bool interrupt;
    enum interrupt_kind kind;
};

/* Looks at one function more, further out. Returns whether what follows belongs to somebody else.
 */
static bool extend(struct kernel_part *k, const char *function, bool unsure, bool *own_packet)
{
    if (k->kind == INTERRUPT_OTHER)
        k->kind = interrupt_kind_of(function);
    if (unsure && interrupt_is_task(function))
        k->interrupt = false;
    if (interrupt_is_own_packet(function))
        *own_packet = true;
    return interrupt_is_entry(function) && !*own_packet;
}

static struct kernel_part kernel_part_of(const struct profile *p, const struct waker_part *part,
                                         const uint32_t *locations)
{
    struct kernel_part k = {.end = part->kernel_depth,
                            .interrupt = part->flags & EVENT_WAKER_INTERRUPT,
                            .kind = INTERRUPT_OTHER};
    bool own_packet = false, unsure = part->flags & EVENT_WAKER_UNSURE;

    for (uint32_t i = 0; i < part->kernel_depth; i++) {
        const struct frame *f = scene_frame(p->setup.scene, locations[i]);

        if (!f)
            continue;
        if (f->plumbing)
            k.first = i + 1;
        if (k.interrupt && extend(&k, f->name, unsure, &own_packet)) {
            k.end = i + 1;
            break;
        }
    }
    k.first = k.first < k.end ? k.first : k.end;
    return k;
}

static uint32_t name_of(const struct waker_part *part, const struct kernel_part *k)
{
    return k->interrupt ? part->interrupts[k->kind] : part->name;
}

static int add_upright(struct profile *p, const struct waker_part *part, const uint32_t *locations,
                       uint32_t *count)
{
    const struct kernel_part k = kernel_part_of(p, part, locations);
    int r = profile_add_frames(p, name_of(part, &k), count);

    for (uint32_t i = part->user_depth; r == 0 && i > 0; i--)
        r = profile_add_frames(p, locations[part->kernel_depth + i - 1], count);
    for (uint32_t i = k.end; r == 0 && i > k.first; i--)
        r = profile_add_frames(p, locations[i - 1], count);
    return r;
}

static int add_upside_down(struct profile *p, const struct waker_part *part,
                           const uint32_t *locations, uint32_t *count)
{
    const struct kernel_part k = kernel_part_of(p, part, locations);
    int r = profile_add_frames(p, part->separator, count);

    for (uint32_t i = k.first; r == 0 && i < k.end; i++)
        r = profile_add_frames(p, locations[i], count);
    for (uint32_t i = 0; r == 0 && i < part->user_depth; i++)
        r = profile_add_frames(p, locations[part->kernel_depth + i], count);
    return r == 0 ? profile_add_frames(p, name_of(part, &k), count) : r;
}

int wakers_add_frames(struct profile *p, const uint32_t *words, uint32_t word_count, bool upright,
                      uint32_t *count)
{
    for (uint32_t at = 0; at + PART_WORDS <= word_count;) {
        struct waker_part part;
        int r;

        memcpy(&part, words + at, sizeof(part));
        if (upright)
            r = add_upright(p, &part, words + at + PART_WORDS, count);
        else
            r = add_upside_down(p, &part, words + at + PART_WORDS, count);
        if (r < 0)
            return r;
        at += part.words;
    }
    return 0;
}
