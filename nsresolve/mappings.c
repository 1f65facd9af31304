/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/mappings.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Dead ones are asked rarely (a library that was unloaded during the capture): the last few do. */
#define DEAD_MAX 128

struct mappings {
    unsigned refs;
    struct mapping *live; /* sorted by start, without overlaps */
    size_t live_count, live_allocated;
    struct mapping *dead; /* a ring of the last DEAD_MAX */
    size_t dead_count;    /* ever added */
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
    free(m->live);
    free(m->dead);
    free(m);
}

/* Index of the first live mapping whose end lies behind addr. */
static size_t first_behind(const struct mappings *m, uint64_t addr)
{
    size_t lo = 0, hi = m->live_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (m->live[mid].end <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int unshare(struct mappings **m)
{
    struct mappings *old = *m, *copy;

    if (old->refs == 1)
        return 0;
    if (mappings_new(&copy) < 0)
        return -ENOMEM;
    copy->live = malloc(MAX(old->live_count, (size_t)1) * sizeof(*copy->live));
    if (!copy->live) {
        mappings_unref(copy);
        return -ENOMEM;
    }
    if (old->live_count)
        memcpy(copy->live, old->live, old->live_count * sizeof(*copy->live));
    copy->live_count = copy->live_allocated = old->live_count;
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

static int make_room(struct mappings *m)
{
    size_t want = MAX(m->live_allocated * 2, (size_t)16);
    struct mapping *live;

    if (m->live_count >= MAPPINGS_MAX)
        return -E2BIG;
    /* Cutting one mapping in two needs a second slot. */
    if (m->live_count + 2 <= m->live_allocated)
        return 0;
    live = realloc(m->live, want * sizeof(*live));
    if (!live)
        return -ENOMEM;
    m->live = live;
    m->live_allocated = want;
    return 0;
}

static void insert_at(struct mappings *m, size_t at, const struct mapping *mapping)
{
    memmove(&m->live[at + 1], &m->live[at], (m->live_count - at) * sizeof(*m->live));
    m->live[at] = *mapping;
    m->live_count++;
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

/* Cuts [start, end) out of the live mappings; there is room for one more. Returns where it was. */
static size_t cut(struct mappings *m, uint64_t start, uint64_t end, uint64_t at_ns)
{
    size_t first = first_behind(m, start), last = first;

    for (; last < m->live_count && m->live[last].start < end; last++)
        bury(m, &m->live[last], at_ns);
    if (first == last)
        return first;

    if (m->live[first].start < start) {
        struct mapping tail = m->live[first];

        m->live[first].end = start;
        if (tail.end > end) {
            tail.offset += end - tail.start;
            tail.start = end;
            insert_at(m, first + 1, &tail);
            return first + 1;
        }
        first++;
    }
    if (first < last && m->live[last - 1].end > end) {
        m->live[last - 1].offset += end - m->live[last - 1].start;
        m->live[last - 1].start = end;
        last--;
    }
    memmove(&m->live[first], &m->live[last], (m->live_count - last) * sizeof(*m->live));
    m->live_count -= last - first;
    return first;
}

/* The same piece of the same file again (mprotect, a repeated record): nothing changes. */
static bool is_known(const struct mappings *m, const struct mapping *mapping)
{
    size_t i = first_behind(m, mapping->start);

    return i < m->live_count && m->live[i].start <= mapping->start &&
           m->live[i].end >= mapping->end && m->live[i].file == mapping->file &&
           (!mapping->file ||
            mapping->start - m->live[i].start + m->live[i].offset == mapping->offset);
}

int mappings_add(struct mappings **m, const struct mapping *mapping)
{
    size_t at;
    int r;

    if (mapping->start >= mapping->end || is_known(*m, mapping))
        return 0;
    r = unshare(m);
    if (r == 0)
        r = make_room(*m);
    if (r < 0)
        return r;
    at = cut(*m, mapping->start, mapping->end, mapping->born_ns);
    insert_at(*m, at, mapping);
    return 0;
}

int mappings_fill(struct mappings **m, const struct mapping *mapping)
{
    size_t at;
    int r;

    if (mapping->start >= mapping->end)
        return 0;
    at = first_behind(*m, mapping->start);
    if (at < (*m)->live_count && (*m)->live[at].start < mapping->end)
        return 0;
    r = unshare(m);
    if (r == 0)
        r = make_room(*m);
    if (r < 0)
        return r;
    insert_at(*m, at, mapping);
    return 0;
}

int mappings_fill_from(struct mappings **m, const struct mappings *from, uint64_t time_ns)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < from->live_count; i++)
        if (from->live[i].born_ns <= time_ns)
            r = mappings_fill(m, &from->live[i]);
    return r;
}

const struct mapping *mappings_find(const struct mappings *m, uint64_t addr, uint64_t time_ns)
{
    size_t at = first_behind(m, addr);

    if (at < m->live_count && m->live[at].start <= addr && m->live[at].born_ns <= time_ns)
        return &m->live[at];
    for (size_t i = MIN(m->dead_count, (size_t)DEAD_MAX); i > 0; i--) {
        const struct mapping *d = &m->dead[(m->dead_count - i) % DEAD_MAX];

        if (d->start <= addr && addr < d->end && d->born_ns <= time_ns && time_ns < d->died_ns)
            return d;
    }
    return NULL;
}

const struct mapping *mappings_live(const struct mappings *m, size_t *count)
{
    *count = m->live_count;
    return m->live;
}

size_t mappings_count(const struct mappings *m)
{
    return m->live_count;
}
