/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/unwindtab.h"

#include "nsresolve/sealed.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>

#define PAGE 4096u
#define MAX_BYTES                                                                     \
    (sizeof(struct unwindtab_header) + SYMTAB_MAX_SEGMENTS * sizeof(struct segment) + \
     (size_t)UNWINDTAB_MAX_ROWS * sizeof(struct unwind_row))

struct unwindtab {
    const struct unwindtab_header *header; /* the mapping itself */
    const struct segment *segments;
    const struct unwind_row *rows;
    size_t bytes;
};

_Static_assert(sizeof(struct unwind_row) == 8, "a row is one word of a BPF map");
_Static_assert(sizeof(struct unwindtab_header) % 8 == 0, "segments and rows stand aligned");

/* The header's own fields, and that counts add up to exactly the file's size. */
static bool header_is_sound(const struct unwindtab_header *h, size_t bytes)
{
    const uint32_t known = UNWINDTAB_TRUNCATED | UNWINDTAB_DEBUG_FRAME;

    if (h->magic != UNWINDTAB_MAGIC || (h->flags & ~known) || h->padding)
        return false;
    if (h->segment_count > SYMTAB_MAX_SEGMENTS || h->row_count > UNWINDTAB_MAX_ROWS)
        return false;
    if (h->base_vaddr % PAGE || (h->row_count && h->machine != EM_X86_64))
        return false;

    return sizeof(*h) + h->segment_count * sizeof(struct segment) +
               h->row_count * sizeof(struct unwind_row) ==
           bytes;
}

/* Rising addresses, known kinds, no address beyond the top. */
static bool rows_are_sound(const struct unwindtab *t)
{
    uint32_t count = t->header->row_count;

    for (uint32_t i = 0; i < count; i++) {
        const struct unwind_row *row = &t->rows[i];

        if (row->kind >= UNWIND_KIND_COUNT || (i && row->pc <= row[-1].pc))
            return false;
    }
    return count == 0 || t->rows[count - 1].pc <= UINT64_MAX - t->header->base_vaddr;
}

int unwindtab_open(int memfd, struct unwindtab **ret)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = calloc(1, sizeof(*t));
    const void *map;
    int r;

    if (!t)
        return -ENOMEM;
    r = sealed_map(memfd, sizeof(struct unwindtab_header), MAX_BYTES, &map, &t->bytes);
    if (r < 0)
        return r;
    t->header = map;
    if (!header_is_sound(t->header, t->bytes))
        return -EBADMSG;

    t->segments = (const void *)(t->header + 1);
    t->rows = (const void *)(t->segments + t->header->segment_count);
    if (!segments_are_sound(t->segments, t->header->segment_count, t->header->base_vaddr) ||
        !rows_are_sound(t))
        return -EBADMSG;

    *ret = TAKE_PTR(t);
    return 0;
}

void unwindtab_free(struct unwindtab *t)
{
    if (!t)
        return;
    if (t->header)
        munmap((void *)t->header, t->bytes);
    free(t);
}

const struct unwindtab_header *unwindtab_header(const struct unwindtab *t)
{
    return t->header;
}

const struct unwind_row *unwindtab_rows(const struct unwindtab *t, uint32_t *count)
{
    *count = t->header->row_count;
    return t->rows;
}

uint64_t unwindtab_base(const struct unwindtab *t)
{
    return t->header->base_vaddr;
}

size_t unwindtab_bytes(const struct unwindtab *t)
{
    return t->bytes;
}

bool unwindtab_vaddr(const struct unwindtab *t, uint64_t offset, uint64_t *ret)
{
    return segments_vaddr(t->segments, t->header->segment_count, offset, ret);
}

const struct unwind_row *unwindtab_find(const struct unwindtab *t, uint64_t vaddr)
{
    uint32_t low = 0, high = t->header->row_count;

    if (vaddr < t->header->base_vaddr)
        return NULL;
    vaddr -= t->header->base_vaddr;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (t->rows[middle].pc <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &t->rows[low - 1] : NULL;
}
