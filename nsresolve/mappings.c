/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/mapping_list.h"

#include <errno.h>
#include <string.h>

/* Dead ones are asked rarely (a library that was unloaded during the capture): the last few do. */
#define DEAD_MAX 128

struct mappings {
    unsigned refs;
    struct mapping_list live; /* without overlaps */
    struct mapping *dead;     /* a ring of the last DEAD_MAX */
    size_t dead_count;        /* ever added */
};

int mappings_new(struct mappings **ret)
{
    struct mappings *m = calloc(1, sizeof(*m));

    if (!m)
        return -ENOMEM;
    m->refs = 1;
    *ret = m;
    return 0;
}

struct mappings *mappings_ref(struct mappings *m)
{
    m->refs++;
    return m;
}

void mappings_unref(struct mappings *m)
{
    if (!m || --m->refs)
        return;
    mapping_list_clear(&m->live);
    free(m->dead);
    free(m);
}

static int unshare(struct mappings **m)
{
    struct mappings *old = *m, *copy;

    if (old->refs == 1)
        return 0;
    if (mappings_new(&copy) < 0)
        return -ENOMEM;
    if (mapping_list_copy(&copy->live, &old->live) < 0) {
        mappings_unref(copy);
        return -ENOMEM;
    }
    if (old->dead_count) {
        copy->dead = malloc(DEAD_MAX * sizeof(*copy->dead));
        if (copy->dead) {
            memcpy(copy->dead, old->dead, DEAD_MAX * sizeof(*copy->dead));
            copy->dead_count = old->dead_count;
        }
    }
    mappings_unref(old);
    *m = copy;
    return 0;
}

static void bury(struct mappings *m, const struct mapping *mapping, uint64_t died_ns)
{
    struct mapping *slot;

    if (!m->dead)
        m->dead = calloc(DEAD_MAX, sizeof(*m->dead));
    if (!m->dead)
        return;
    slot = &m->dead[m->dead_count++ % DEAD_MAX];
    *slot = *mapping;
    slot->died_ns = died_ns;
}

/* Cuts [start, end) out of the live mapping at *at, which reaches into it; *at moves on to what is
 * behind the hole. Returns 0 or -ENOMEM. */
static int cut_one(struct mappings *m, struct mapping_place *at, uint64_t start, uint64_t end)
{
    const struct mapping whole = *mapping_list_get(&m->live, *at);
    struct mapping tail = whole, *edited;

    if (whole.start >= start && whole.end <= end)
        return mapping_list_remove(&m->live, at);
    edited = mapping_list_edit(&m->live, *at);
    if (!edited)
        return -ENOMEM;
    tail.start = end;
    tail.offset += end - whole.start;
    if (whole.start >= start) {
        *edited = tail;
        return 0;
    }
    edited->end = start;
    *at = mapping_list_next(&m->live, *at);
    return whole.end > end ? mapping_list_insert(&m->live, at, &tail) : 0;
}

/* Cuts [start, end) out of the live mappings; *ret is the place of what lies behind it. */
static int cut(struct mappings *m, uint64_t start, uint64_t end, uint64_t at_ns,
               struct mapping_place *ret)
{
    struct mapping_place at = mapping_list_behind(&m->live, start);
    const struct mapping *live;
    int r = 0;

    while (r == 0 && (live = mapping_list_get(&m->live, at)) && live->start < end) {
        bool last = live->end > end;

        bury(m, live, at_ns);
        r = cut_one(m, &at, start, end);
        if (last)
            break;
    }
    *ret = at;
    return r;
}

/* The same piece of the same file again (mprotect, a repeated record): nothing changes. */
static bool is_known(const struct mappings *m, const struct mapping *mapping)
{
    const struct mapping *live =
        mapping_list_get(&m->live, mapping_list_behind(&m->live, mapping->start));

    return live && live->start <= mapping->start && live->end >= mapping->end &&
           live->file == mapping->file &&
           (!mapping->file || mapping->start - live->start + live->offset == mapping->offset);
}

/* Ready to take one more. */
static int prepare(struct mappings **m)
{
    if ((*m)->live.count >= MAPPINGS_MAX)
        return -E2BIG;
    return unshare(m);
}

int mappings_add(struct mappings **m, const struct mapping *mapping)
{
    struct mapping_place at;
    int r;

    if (mapping->start >= mapping->end || is_known(*m, mapping))
        return 0;
    r = prepare(m);
    if (r == 0)
        r = cut(*m, mapping->start, mapping->end, mapping->born_ns, &at);
    return r < 0 ? r : mapping_list_insert(&(*m)->live, &at, mapping);
}

int mappings_fill(struct mappings **m, const struct mapping *mapping)
{
    struct mapping_place at = mapping_list_behind(&(*m)->live, mapping->start);
    const struct mapping *live = mapping_list_get(&(*m)->live, at);
    int r;

    if (mapping->start >= mapping->end || (live && live->start < mapping->end))
        return 0;
    r = prepare(m);
    return r < 0 ? r : mapping_list_insert(&(*m)->live, &at, mapping);
}

int mappings_fill_from(struct mappings **m, const struct mappings *from, uint64_t time_ns)
{
    struct mapping_place at = {0};
    const struct mapping *mapping;
    int r = 0;

    while (r == 0 && (mapping = mappings_next(from, &at)))
        if (mapping->born_ns <= time_ns)
            r = mappings_fill(m, mapping);
    return r;
}

const struct mapping *mappings_find(const struct mappings *m, uint64_t addr, uint64_t time_ns)
{
    const struct mapping *live = mapping_list_get(&m->live, mapping_list_behind(&m->live, addr));

    if (live && live->start <= addr && live->born_ns <= time_ns)
        return live;
    for (size_t i = MIN(m->dead_count, (size_t)DEAD_MAX); i > 0; i--) {
        const struct mapping *d = &m->dead[(m->dead_count - i) % DEAD_MAX];

        if (d->start <= addr && addr < d->end && d->born_ns <= time_ns && time_ns < d->died_ns)
            return d;
    }
    return NULL;
}

const struct mapping *mappings_next(const struct mappings *m, struct mapping_place *at)
{
    const struct mapping *live = mapping_list_get(&m->live, *at);

    if (live)
        *at = mapping_list_next(&m->live, *at);
    return live;
}

size_t mappings_count(const struct mappings *m)
{
    return m->live.count;
}
