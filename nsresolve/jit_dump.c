/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/jit_dump.h"

#include "nsresolve/codetab.h"
#include "nsresolve/jit_map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* So many things at one place during one look are not told apart. */
#define AGREE_MAX 4096u

struct jit_dump {
    struct follow *follow;
    struct follow_budget *budget;
    struct codetab *table; /* of the last reading; NULL: none yet */
};

bool jit_dump_is_one(const char *path, uint32_t ns_tgid)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char want[32];
    int n = snprintf(want, sizeof(want), "jit-%u.dump", ns_tgid);

    return strncmp(base, want, (size_t)n) == 0 && (!base[n] || strcmp(base + n, " (deleted)") == 0);
}

void jit_dump_free(struct jit_dump *d)
{
    if (!d)
        return;
    follow_free(d->follow);
    codetab_free(d->table);
    free(d);
}

static bool on_parsed(void *data, const struct follow_change *change _unused_, int *memfd)
{
    struct jit_dump *d = data;
    struct codetab *t;
    uint64_t before = d->table ? codetab_bytes(d->table) : 0;

    if (codetab_open(*memfd, &t) < 0)
        return false;
    if (d->budget->bytes - before + codetab_bytes(t) > JIT_BYTES_MAX) {
        codetab_free(t);
        return false;
    }
    d->budget->bytes += codetab_bytes(t) - before;
    codetab_free(d->table);
    d->table = t;
    return true;
}

int jit_dump_new(struct asks *asks, struct pin *pin, const struct wire_open_item *mapped,
                 const char *path, struct follow_budget *budget, struct jit_dump **ret)
{
    struct jit_dump *d = calloc(1, sizeof(*d));
    struct follow_setup setup = {
        .asks = asks,
        .pin = pin,
        .item = *mapped,
        .path = path,
        .parse = WIRE_PARSE_JITDUMP,
        .budget = budget,
        .parsed = on_parsed,
        .data = d,
    };
    int r;

    if (!d)
        return -ENOMEM;
    d->budget = budget;
    setup.item.uid_a = pin->info.uid;
    setup.item.uid_b = pin->info.root_uid;
    r = follow_new(&setup, &d->follow);
    if (r < 0) {
        free(d);
        return r;
    }
    *ret = d;
    return 0;
}

struct follow *jit_dump_follow(const struct jit_dump *d)
{
    return d->follow;
}

bool jit_dump_is_read(const struct jit_dump *d)
{
    return d->table;
}

/* The first of count rows that was born after time_ns; they are sorted. */
static size_t born_after(const struct codetab_row *rows, size_t count, uint64_t time_ns)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (rows[middle].born_ns <= time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The newest of rows[from..end) with a name, all names alike; NULL: none, or *moved. */
static const struct codetab_row *agree(const struct jit_dump *d, const struct codetab_row *rows,
                                       size_t from, size_t end, bool *moved)
{
    const struct codetab_row *one = NULL;

    *moved = end > from && end - from > AGREE_MAX;
    for (size_t i = from; i < end && !*moved; i++) {
        if (!rows[i].name)
            continue;
        *moved = one && strcmp(codetab_name(d->table, one), codetab_name(d->table, &rows[i])) != 0;
        one = &rows[i];
    }
    return *moved ? NULL : one;
}

uint64_t jit_dump_born(const struct jit_dump *d, uint64_t address, uint64_t first_ns,
                       uint64_t last_ns)
{
    const struct codetab_row *rows, *one;
    size_t count, from = 0, end;
    bool moved;

    rows = d->table ? codetab_cell(d->table, address, &count) : NULL;
    if (!rows)
        return 0;
    end = count;
    if (!(codetab_header(d->table)->flags & CODETAB_UNTIMED)) {
        from = born_after(rows, count, first_ns);
        from -= from > 0; /* stood there already */
        end = born_after(rows, count, last_ns);
    }
    one = agree(d, rows, from, end, &moved);
    return moved ? JIT_DUMP_MOVED : one ? MAX(one->born_ns, 1ull) : 0;
}

const char *jit_dump_name(const struct jit_dump *d, uint64_t address, uint64_t born_ns,
                          uint64_t *start)
{
    const struct codetab_row *rows;
    size_t count, i;

    rows = d->table ? codetab_cell(d->table, address, &count) : NULL;
    i = rows ? born_after(rows, count, born_ns) : 0;
    if (i == 0 || !rows[i - 1].name)
        return NULL;
    *start = rows[i - 1].start;
    return codetab_name(d->table, &rows[i - 1]);
}

enum frame_reason jit_dump_only(const struct jit_dump *d, uint64_t address, const char **name,
                                uint64_t *start)
{
    const struct codetab_row *rows, *one;
    size_t count;
    bool moved = false;

    rows = d->table ? codetab_cell(d->table, address, &count) : NULL;
    one = rows ? agree(d, rows, 0, count, &moved) : NULL;
    if (!one)
        return moved ? REASON_JIT_MOVED : REASON_JIT_NOT_IN_MAP;
    *name = codetab_name(d->table, one);
    *start = one->start;
    return REASON_NONE;
}

size_t jit_dump_symbols(const struct jit_dump *d)
{
    return d->table ? codetab_header(d->table)->row_count : 0;
}

uint64_t jit_dump_bad_records(const struct jit_dump *d)
{
    return d->table ? codetab_header(d->table)->bad_records : 0;
}
