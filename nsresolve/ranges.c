/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which unwind rows hold for which addresses of which process: what a capture's program is told.
 */
#include "nsresolve/scene.h"

#include <string.h>

#define RANGES_MAX 1024u /* of one process; further ones are walked by frame pointers */

/* Fills ranges from the live mappings of the present program. */
static size_t fill(struct scene *s, struct process *p, struct scene_range *ranges)
{
    const struct image *image = &p->images[p->image_count - 1];
    struct mapping_place at = {0};
    const struct mapping *m;
    size_t n = 0;

    if (!image->complete || p->died_ns || (s->choosy && !p->relevant))
        return 0;
    while (n < RANGES_MAX && (m = mappings_next(image->mappings, &at))) {
        const struct unwind_entry *entry;
        struct scene_range *r = &ranges[n];
        uint64_t offset = m->offset;

        if (!m->file)
            continue;
        *r = (struct scene_range){.start = m->start, .end = m->end};
        switch (file_rules(m->file, &entry)) {
        case FILE_RULES_NONE:
            break;
        case FILE_RULES_AWAITED:
            n++;
            break;
        case FILE_RULES_READY:
            if (file_kind(m->file) == FILE_KIND_VDSO)
                offset = 0;
            n += unwind_entry_rows(entry, m->start, offset, &r->place, &r->bias);
        }
    }
    return n;
}

void scene_make_room(struct scene *s)
{
    struct process *p;
    size_t cursor = 0;

    if (!s->resolver->unwinds || !files_lack_room(s->files))
        return;
    while ((p = processes_next(s->processes, &cursor))) {
        struct mapping_place at = {0};
        const struct mapping *m;

        if (p->died_ns && !p->told)
            continue;
        while ((m = mappings_next(p->images[p->image_count - 1].mappings, &at)))
            if (m->file)
                file_keep_rules(m->file);
    }
    files_release_rules(s->files);
}

void scene_changed_ranges(struct scene *s, scene_ranges_fn fn, void *data)
{
    struct scene_range *ranges;
    struct process *p;
    size_t cursor = 0;

    if (!s->resolver->unwinds)
        return;
    ranges = calloc(RANGES_MAX, sizeof(*ranges));
    while (ranges && (p = processes_next(s->processes, &cursor))) {
        size_t n;

        if (!p->changed && !s->rules_changed && !(p->died_ns && p->told))
            continue;
        n = fill(s, p, ranges);
        p->changed = false;
        if (n == 0 && !p->told)
            continue;
        p->told = n > 0;
        fn(data, p->tgid, ranges, n);
    }
    s->rules_changed = false;
    free(ranges);
}
