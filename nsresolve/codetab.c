/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/codetab.h"

#include "nsresolve/sealed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct codetab {
    const struct codetab_header *header; /* the mapping itself */
    const struct codetab_row *rows;
    const char *strings;
    size_t bytes;
};

static bool header_is_sound(const struct codetab_header *h, size_t bytes)
{
    return h->magic == CODETAB_MAGIC && h->strings_size <= CODETAB_MAX_BYTES &&
           sizeof(*h) + h->row_count * (uint64_t)sizeof(struct codetab_row) + h->strings_size ==
               bytes;
}

/* Cells in order and apart, times in order, every name inside the strings. */
static bool rows_are_sound(const struct codetab *t)
{
    uint64_t strings_size = t->header->strings_size, end = 0;

    if (strings_size == 0 || t->strings[0] != '\0' || t->strings[strings_size - 1] != '\0')
        return false;
    for (uint32_t i = 0; i < t->header->row_count; i++) {
        const struct codetab_row *r = &t->rows[i], *before = i ? r - 1 : NULL;
        bool same = before && before->start == r->start;

        if (r->size == 0 || r->size > UINT64_MAX - r->start || r->born_ns > CODETAB_TIME_MAX ||
            r->name >= strings_size)
            return false;
        if (same ? r->size != before->size || r->born_ns <= before->born_ns : r->start < end)
            return false;
        end = r->start + r->size;
    }
    return true;
}

int codetab_open(int memfd, struct codetab **ret)
{
    _cleanup_(codetab_freep) struct codetab *t = calloc(1, sizeof(*t));
    const void *map;
    int r;

    if (!t)
        return -ENOMEM;
    r = sealed_map(memfd, sizeof(struct codetab_header), CODETAB_MAX_BYTES, &map, &t->bytes);
    if (r < 0)
        return r;
    t->header = map;
    if (!header_is_sound(t->header, t->bytes))
        return -EBADMSG;
    t->rows = (const void *)(t->header + 1);
    t->strings = (const void *)(t->rows + t->header->row_count);
    if (!rows_are_sound(t))
        return -EBADMSG;
    *ret = TAKE_PTR(t);
    return 0;
}

void codetab_free(struct codetab *t)
{
    if (!t)
        return;
    if (t->header)
        munmap((void *)t->header, t->bytes);
    free(t);
}

const struct codetab_header *codetab_header(const struct codetab *t)
{
    return t->header;
}

size_t codetab_bytes(const struct codetab *t)
{
    return t->bytes;
}

/* How many rows start before limit. */
static uint32_t rows_before(const struct codetab *t, uint64_t limit)
{
    uint32_t low = 0, high = t->header->row_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (t->rows[middle].start < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct codetab_row *codetab_cell(const struct codetab *t, uint64_t address, size_t *count)
{
    uint32_t end = address == UINT64_MAX ? t->header->row_count : rows_before(t, address + 1);
    const struct codetab_row *last = end ? &t->rows[end - 1] : NULL;
    uint32_t first;

    if (!last || address - last->start >= last->size)
        return NULL;
    first = rows_before(t, last->start);
    *count = end - first;
    return &t->rows[first];
}

const char *codetab_name(const struct codetab *t, const struct codetab_row *row)
{
    return t->strings + row->name;
}
