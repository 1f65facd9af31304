/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding what names the code that a process of the scene made at run time.
 */
#include "nsresolve/jit_dump.h"
#include "nsresolve/scene.h"

#include <stdlib.h>

#define JITS_MAX 1024

/* The jitdump file that the process has mapped, if it has one. Returns its path or NULL. */
static const char *find_dump(const struct image *image, uint32_t ns_tgid,
                             struct wire_open_item *ret)
{
    struct mapping_place at = {0};
    const struct mapping *m;
    const char *path = NULL;

    while ((m = mappings_next(image->mappings, &at))) {
        if (!m->file || !jit_dump_is_one(file_path(m->file), ns_tgid))
            continue;
        path = file_path(m->file);
        *ret = (struct wire_open_item){.kind = WIRE_OPEN_MAPPED, .start = m->start, .end = m->end};
        file_identity(m->file, &ret->dev, &ret->ino);
    }
    return path;
}

struct jit *scene_obtain_jit(struct scene *s, struct process *p, uint64_t time_ns, uint32_t ns_tgid)
{
    struct pin *pin = p->pin ? p->pin : p->root ? p->root : s->init;
    struct image *image = process_image(p, time_ns);
    struct wire_open_item dump;
    const char *path;
    struct jit **grown;

    if (image->jit || !pin || image != &p->images[p->image_count - 1] || s->jit_count >= JITS_MAX)
        return image->jit;
    if (s->jit_count == s->jit_allocated) {
        size_t want = MAX(s->jit_allocated * 2, (size_t)8);

        grown = realloc(s->jits, want * sizeof(*grown));
        if (!grown)
            return NULL;
        s->jits = grown;
        s->jit_allocated = want;
    }
    path = find_dump(image, ns_tgid, &dump);
    if (jit_new(s->asks, pin, ns_tgid, &s->jit_budget, path ? &dump : NULL, path,
                &s->jits[s->jit_count]) < 0)
        return NULL;
    image->jit = s->jits[s->jit_count++];
    if (p->died_ns)
        jit_end(image->jit, p->died_ns);
    return image->jit;
}
