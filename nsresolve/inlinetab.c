/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/inlinetab.h"

#include "base/buf.h"
#include "nsresolve/sealed.h"
#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct inlinetab {
    const struct inlinetab_header *header; /* the mapping itself */
    const struct inline_address *addresses;
    const uint32_t *frames; /* offsets of names */
    const char *strings;
    size_t bytes;
};

/* ---- reading ---- */

static bool header_is_sound(const struct inlinetab_header *h, size_t bytes)
{
    return h->magic == INLINETAB_MAGIC &&
           sizeof(*h) + h->address_count * (uint64_t)sizeof(struct inline_address) +
                   h->frame_count * (uint64_t)sizeof(uint32_t) + h->strings_size ==
               bytes;
}

static bool addresses_are_sound(const struct inlinetab *t)
{
    for (uint32_t i = 0; i < t->header->address_count; i++) {
        const struct inline_address *a = &t->addresses[i];

        if (i > 0 && a->address <= a[-1].address)
            return false;
        if (a->state >= INLINE_STATE_COUNT || a->count > INLINETAB_MAX_DEPTH ||
            a->first > t->header->frame_count || a->count > t->header->frame_count - a->first)
            return false;
    }
    return true;
}

static bool names_are_sound(const struct inlinetab *t)
{
    uint32_t size = t->header->strings_size;

    if (size == 0 || t->strings[0] != '\0' || t->strings[size - 1] != '\0')
        return false;
    for (uint32_t i = 0; i < t->header->frame_count; i++)
        if (t->frames[i] >= size)
            return false;
    return true;
}

int inlinetab_open(int memfd, struct inlinetab **ret)
{
    _cleanup_(inlinetab_freep) struct inlinetab *t = calloc(1, sizeof(*t));
    const void *map;
    int r;

    if (!t)
        return -ENOMEM;
    r = sealed_map(memfd, sizeof(struct inlinetab_header), INLINETAB_MAX_BYTES, &map, &t->bytes);
    if (r < 0)
        return r;
    t->header = map;
    if (!header_is_sound(t->header, t->bytes))
        return -EBADMSG;

    t->addresses = (const void *)(t->header + 1);
    t->frames = (const void *)(t->addresses + t->header->address_count);
    t->strings = (const void *)(t->frames + t->header->frame_count);
    if (!addresses_are_sound(t) || !names_are_sound(t))
        return -EBADMSG;

    *ret = TAKE_PTR(t);
    return 0;
}

void inlinetab_free(struct inlinetab *t)
{
    if (!t)
        return;
    if (t->header)
        munmap((void *)t->header, t->bytes);
    free(t);
}

const struct inline_address *inlinetab_find(const struct inlinetab *t, uint64_t address)
{
    uint32_t low = 0, high = t->header->address_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (t->addresses[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == t->header->address_count || t->addresses[low].address != address)
        return NULL;
    return &t->addresses[low];
}

const char *inlinetab_name(const struct inlinetab *t, const struct inline_address *a, unsigned i)
{
    return t->strings + t->frames[a->first + i];
}

/* ---- writing ---- */

struct inlinetab_builder {
    struct inline_address *addresses;
    size_t count;
    struct buf frames, strings;
};

int inlinetab_builder_new(const uint64_t *addresses, size_t count, struct inlinetab_builder **ret)
{
    _cleanup_(inlinetab_builder_freep) struct inlinetab_builder *b = calloc(1, sizeof(*b));

    if (!b || count > INLINETAB_MAX_ADDRESSES)
        return b ? -EFBIG : -ENOMEM;
    b->addresses = calloc(MAX(count, (size_t)1), sizeof(*b->addresses));
    if (!b->addresses)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        b->addresses[i] = (struct inline_address){.address = addresses[i], .state = INLINE_NO_UNIT};
    b->count = count;
    buf_addc(&b->strings, '\0');
    *ret = TAKE_PTR(b);
    return 0;
}

void inlinetab_builder_free(struct inlinetab_builder *b)
{
    if (!b)
        return;
    free(b->addresses);
    buf_free(&b->frames);
    buf_free(&b->strings);
    free(b);
}

int inlinetab_builder_name(struct inlinetab_builder *b, const char *name, uint32_t *ret)
{
    size_t size = strnlen(name, INLINETAB_NAME_MAX);

    if (size + 1 > INLINETAB_MAX_POOL - b->strings.size)
        return -EFBIG;
    *ret = (uint32_t)b->strings.size;
    buf_add(&b->strings, name, size);
    buf_addc(&b->strings, '\0');
    return buf_error(&b->strings) < 0 ? -ENOMEM : 0;
}

int inlinetab_builder_set(struct inlinetab_builder *b, size_t index, enum inline_state state,
                          const uint32_t *names, unsigned count)
{
    struct inline_address *a = &b->addresses[index];

    a->first = (uint32_t)(b->frames.size / sizeof(*names));
    a->count = (uint16_t)count;
    a->state = (uint16_t)state;
    if (count)
        buf_add(&b->frames, names, count * sizeof(*names));
    return buf_error(&b->frames) < 0 ? -ENOMEM : 0;
}

int inlinetab_builder_write(const struct inlinetab_builder *b, int fd)
{
    struct inlinetab_header header = {
        .magic = INLINETAB_MAGIC,
        .address_count = (uint32_t)b->count,
        .frame_count = (uint32_t)(b->frames.size / sizeof(uint32_t)),
        .strings_size = (uint32_t)b->strings.size,
    };
    int r = buf_error(&b->strings) < 0 || buf_error(&b->frames) < 0 ? -ENOMEM : 0;

    if (r == 0)
        r = write_full(fd, &header, sizeof(header));
    if (r == 0)
        r = write_full(fd, b->addresses, b->count * sizeof(*b->addresses));
    if (r == 0)
        r = write_full(fd, b->frames.data, b->frames.size);
    if (r == 0)
        r = write_full(fd, b->strings.data, b->strings.size);
    return r;
}
