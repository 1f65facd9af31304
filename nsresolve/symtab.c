/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/symtab.h"

#include "nsresolve/sealed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct symtab {
    const struct symtab_header *header; /* the mapping itself */
    const struct segment *segments;
    const struct symtab_symbol *symbols;
    const char *strings;
    size_t bytes;
};

/* The header's own fields, and that counts and sizes add up to exactly the file's size. */
static bool header_is_sound(const struct symtab_header *h, size_t bytes)
{
    const char *end = memchr(h->debuglink, '\0', sizeof(h->debuglink));
    uint64_t need;

    if (h->magic != SYMTAB_MAGIC || h->build_id_size > SYMTAB_BUILD_ID_MAX || !end)
        return false;
    if (h->altlink_id_size > SYMTAB_BUILD_ID_MAX || !memchr(h->altlink, '\0', sizeof(h->altlink)))
        return false;
    if (memchr(h->debuglink, '/', (size_t)(end - h->debuglink)))
        return false;
    if (h->segment_count > SYMTAB_MAX_SEGMENTS || h->strings_size > SYMTAB_MAX_BYTES)
        return false;

    need = sizeof(*h) + h->segment_count * (uint64_t)sizeof(struct segment) +
           h->symbol_count * (uint64_t)sizeof(struct symtab_symbol) + h->strings_size;
    return need == bytes;
}

/* Sorted, not empty, without overlaps, every name inside the strings. */
static bool symbols_are_sound(const struct symtab *t)
{
    uint64_t strings_size = t->header->strings_size, end = 0;

    if (strings_size == 0 || t->strings[0] != '\0' || t->strings[strings_size - 1] != '\0')
        return false;

    for (uint32_t i = 0; i < t->header->symbol_count; i++) {
        const struct symtab_symbol *s = &t->symbols[i];

        if (s->size == 0 || s->start < end || s->size > UINT64_MAX - s->start)
            return false;
        if (s->name >= strings_size || s->source >= SYMTAB_SOURCE_COUNT)
            return false;
        end = s->start + s->size;
    }
    return true;
}

int symtab_open(int memfd, struct symtab **ret)
{
    _cleanup_(symtab_freep) struct symtab *t = calloc(1, sizeof(*t));
    const void *map;
    int r;

    if (!t)
        return -ENOMEM;
    r = sealed_map(memfd, sizeof(struct symtab_header), SYMTAB_MAX_BYTES, &map, &t->bytes);
    if (r < 0)
        return r;
    t->header = map;
    if (!header_is_sound(t->header, t->bytes))
        return -EBADMSG;

    t->segments = (const void *)(t->header + 1);
    t->symbols = (const void *)(t->segments + t->header->segment_count);
    t->strings = (const void *)(t->symbols + t->header->symbol_count);
    if (!segments_are_sound(t->segments, t->header->segment_count, 0) || !symbols_are_sound(t))
        return -EBADMSG;

    *ret = TAKE_PTR(t);
    return 0;
}

void symtab_free(struct symtab *t)
{
    if (!t)
        return;
    if (t->header)
        munmap((void *)t->header, t->bytes);
    free(t);
}

const struct symtab_header *symtab_header(const struct symtab *t)
{
    return t->header;
}

size_t symtab_bytes(const struct symtab *t)
{
    return t->bytes;
}

bool symtab_vaddr(const struct symtab *t, uint64_t offset, uint64_t *ret)
{
    return segments_vaddr(t->segments, t->header->segment_count, offset, ret);
}

const struct symtab_symbol *symtab_find(const struct symtab *t, uint64_t address, const char **name)
{
    uint32_t low = 0, high = t->header->symbol_count;
    const struct symtab_symbol *s;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (t->symbols[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;

    s = &t->symbols[low - 1];
    if (address - s->start >= s->size)
        return NULL;
    if (name)
        *name = t->strings + s->name;
    return s;
}
