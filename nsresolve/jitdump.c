/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/jitdump.h"

#include "nsresolve/sort.h"
#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

#define KERNEL_HALF (1ull << 63)
#define HEADER_MAX 4096u /* later versions may have a longer one */

/* The name of a piece of code, for those that move it. */
struct known {
    uint64_t index;
    uint32_t order, name;
};

struct move {
    struct jitdump_move record;
    uint64_t born_ns;
    uint32_t order;
};

struct dump {
    int fd;
    uint64_t size, position;
    bool untimed;
    uint32_t records;
    struct codetab_builder *builder;
    struct known *known;
    size_t known_count, known_allocated;
    struct move *moves;
    size_t move_count, move_allocated;
    uint64_t chunk_start;
    size_t chunk_size;
    char chunk[STREAM_BUFFER];
};

static void bad_record(struct dump *d)
{
    uint32_t *count = &codetab_builder_header(d->builder)->bad_records;

    if (*count < UINT32_MAX)
        (*count)++;
}

/* Up to size bytes (at most a chunk) at offset, borrowed until the next call; *got may be less at
 * the end of the file. NULL: *error is -errno. */
static const char *peek(struct dump *d, uint64_t offset, size_t size, size_t *got, int *error)
{
    if (offset < d->chunk_start || offset + size > d->chunk_start + d->chunk_size) {
        ssize_t n = pread_full(d->fd, d->chunk, sizeof(d->chunk), offset);

        if (n < 0) {
            *error = (int)n;
            return NULL;
        }
        d->chunk_start = offset;
        d->chunk_size = (size_t)n;
    }
    *got = (size_t)MIN((uint64_t)size, d->chunk_start + d->chunk_size - offset);
    return d->chunk + (offset - d->chunk_start);
}

/* The same, all of it or not: 1, 0, -errno. */
static int take(struct dump *d, uint64_t offset, void *to, size_t size)
{
    size_t got;
    int error;
    const char *at = peek(d, offset, size, &got, &error);

    if (!at)
        return error;
    if (got < size)
        return 0;
    memcpy(to, at, size);
    return 1;
}

static int grow(void **array, size_t *allocated, size_t count, size_t element)
{
    size_t want = MAX(*allocated * 2, (size_t)256);
    void *p;

    if (count < *allocated)
        return 0;
    if (count >= CODETAB_MAX_ENTRIES)
        return -EFBIG;
    p = reallocarray(*array, want, element);
    if (!p)
        return -ENOMEM;
    *array = p;
    *allocated = want;
    return 0;
}

static bool is_range(uint64_t start, uint64_t size)
{
    return size && size <= UINT32_MAX && start < KERNEL_HALF && size <= KERNEL_HALF - start;
}

/* Untimed, the records' order must do. */
static uint64_t time_of(const struct dump *d, const struct jitdump_record *r)
{
    return d->untimed ? d->records : r->time_ns;
}

static int read_load(struct dump *d, const struct jitdump_record *r)
{
    struct jitdump_load l;
    const char *name;
    uint32_t kept;
    size_t room;
    int error;

    if (r->total_size <= sizeof(l) || take(d, d->position, &l, sizeof(l)) != 1 ||
        !is_range(l.address, l.size)) {
        bad_record(d);
        return 0;
    }
    room = MIN(r->total_size - sizeof(l), (size_t)CODETAB_NAME_MAX + 1);
    name = peek(d, d->position + sizeof(l), room, &room, &error);
    if (!name)
        return error;
    error = codetab_builder_name(d->builder, name, room, &kept);
    if (error < 0)
        return error;
    if (!kept) {
        bad_record(d);
        return 0;
    }
    error = grow((void **)&d->known, &d->known_allocated, d->known_count, sizeof(*d->known));
    if (error < 0)
        return error;
    d->known[d->known_count++] = (struct known){l.index, d->records, kept};
    return codetab_builder_add(d->builder, l.address, (uint32_t)l.size, time_of(d, r), kept);
}

/* Kept until all names are known. */
static int read_move(struct dump *d, const struct jitdump_record *r)
{
    struct move m = {.order = d->records, .born_ns = time_of(d, r)};
    int error;

    if (r->total_size < sizeof(m.record) ||
        take(d, d->position, &m.record, sizeof(m.record)) != 1 ||
        !is_range(m.record.old_address, m.record.size) ||
        !is_range(m.record.new_address, m.record.size)) {
        bad_record(d);
        return 0;
    }
    error = grow((void **)&d->moves, &d->move_allocated, d->move_count, sizeof(*d->moves));
    if (error == 0)
        d->moves[d->move_count++] = m;
    return error;
}

static int by_index(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The name of that code as it was loaded last before; 0: never. */
static uint32_t name_of(const struct dump *d, uint64_t index, uint32_t order)
{
    size_t low = 0, high = d->known_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct known *k = &d->known[middle];

        if (k->index < index || (k->index == index && k->order < order))
            low = middle + 1;
        else
            high = middle;
    }
    return low && d->known[low - 1].index == index ? d->known[low - 1].name : 0;
}

/* Moved code is gone from where it was, and may overlap that place. */
static int add_moves(struct dump *d)
{
    int r = sort_stable(d->known, d->known_count, sizeof(*d->known), by_index);

    for (size_t i = 0; r == 0 && i < d->move_count; i++) {
        const struct move *m = &d->moves[i];
        uint32_t size = (uint32_t)m->record.size, name = name_of(d, m->record.index, m->order);

        if (!name) {
            bad_record(d);
            continue;
        }
        r = codetab_builder_add(d->builder, m->record.old_address, size, m->born_ns, 0);
        if (r == 0)
            r = codetab_builder_add(d->builder, m->record.new_address, size, m->born_ns, name);
    }
    return r;
}

/* Reads the record at the position and steps over it. Returns 1, 0 at the end, -errno. */
static int read_record(struct dump *d)
{
    struct jitdump_record r;
    int error = take(d, d->position, &r, sizeof(r));

    if (error <= 0)
        return error;
    if (r.total_size < sizeof(r)) {
        bad_record(d); /* where the next one begins is anybody's guess */
        return 0;
    }
    if (r.total_size > d->size - d->position || r.id == JITDUMP_CLOSE)
        return 0;
    if (++d->records > JITDUMP_MAX_RECORDS)
        return -EFBIG;
    error = r.id == JITDUMP_LOAD ? read_load(d, &r) : r.id == JITDUMP_MOVE ? read_move(d, &r) : 0;
    d->position += r.total_size;
    return error < 0 ? error : 1;
}

static int read_header(struct dump *d)
{
    struct jitdump_header h;
    int r = take(d, 0, &h, sizeof(h));

    if (r < 0)
        return r;
    if (r == 0 || h.magic != JITDUMP_MAGIC || h.version != JITDUMP_VERSION ||
        h.total_size < sizeof(h) || h.total_size > HEADER_MAX)
        return -EBADMSG;
    d->position = h.total_size;
    d->untimed = h.flags & JITDUMP_ARCH_TIMES;
    if (d->untimed)
        codetab_builder_header(d->builder)->flags |= CODETAB_UNTIMED;
    return 0;
}

static int read_dump(struct dump *d)
{
    int r = file_size(d->fd, &d->size);

    if (r == 0)
        r = read_header(d);
    if (r < 0)
        return r;
    while (d->position < d->size && (r = read_record(d)) > 0)
        ;
    if (r == -EFBIG)
        codetab_builder_header(d->builder)->flags |= CODETAB_TRUNCATED;
    else if (r < 0)
        return r;
    r = add_moves(d);
    if (r == -EFBIG)
        codetab_builder_header(d->builder)->flags |= CODETAB_TRUNCATED;
    return r == -EFBIG ? 0 : r;
}

int jitdump_parse(int fd, struct codetab_builder *b)
{
    struct dump *d = malloc(sizeof(*d));
    int r;

    if (!d)
        return -ENOMEM;
    memset(d, 0, offsetof(struct dump, chunk));
    d->fd = fd;
    d->builder = b;
    r = read_dump(d);
    free(d->known);
    free(d->moves);
    free(d);
    return r;
}
