/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/segments.h"

bool segments_are_sound(const struct segment *segments, uint32_t count, uint64_t base)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct segment *s = &segments[i];

        if (s->size > UINT64_MAX - s->vaddr || s->size > UINT64_MAX - s->offset)
            return false;
        if (s->vaddr < base)
            return false;
    }
    return true;
}

bool segments_vaddr(const struct segment *segments, uint32_t count, uint64_t offset, uint64_t *ret)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct segment *s = &segments[i];

        if (offset >= s->offset && offset - s->offset < s->size) {
            *ret = s->vaddr + (offset - s->offset);
            return true;
        }
    }
    return false;
}
