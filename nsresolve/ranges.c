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
    size_t count, n = 0;
    const struct mapping *m = mappings_live(image->mappings, &count);

    if (!image->complete || p->died_ns || (s->choosy && !p->relevant))
        return 0;
    for (size_t i = 0; i < count && n < RANGES_MAX; i++) {
        const struct unwind_entry *entry;
        struct scene_range *r = &ranges[n];
        uint64_t offset = m[i].offset;

        if (!m[i].file)
            continue;
        *r = (struct scene_range){.start = m[i].start, .end = m[i].end};
        switch (file_rules(m[i].file, &entry)) {
        case FILE_RULES_NONE:
            break;
        case FILE_RULES_AWAITED:
            n++;
            break;
        case FILE_RULES_READY:
            if (file_kind(m[i].file) == FILE_KIND_VDSO)
                offset = 0;
            n += unwind_entry_rows(entry, m[i].start, offset, &r->first, &r->count, &r->bias);
        }
    }
    return n;
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
