/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was inlined where: gathers a capture's locations by file and has each file's DWARF asked
 * about them, once.
 */
#include "nsresolve/scene.h"

#include <errno.h>

/* A location of a file. */
struct place {
    struct file *file;
    uint64_t address; /* ELF virtual address */
};

static void free_expansion(void *data)
{
    expansion_free(data);
}

int scene_want_inlines(struct scene *s)
{
    files_want_dwarf(s->files);
    return table_new(&s->expansions, free_expansion);
}

static int by_file_and_address(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->file != y->file)
        return (uintptr_t)x->file < (uintptr_t)y->file ? -1 : 1;
    return (x->address > y->address) - (x->address < y->address);
}

static bool is_wanted(const struct location *l)
{
    return l->kind == LOCATION_FILE && file_kind(l->file) == FILE_KIND_ELF;
}

/* The places whose address is known, sorted. Returns how many. */
static size_t gather(const struct scene *s, struct place *places)
{
    size_t count = 0;

    for (uint32_t i = 0; i < s->location_count; i++) {
        const struct location *l = &s->locations[i];

        places[count].file = l->file;
        if (is_wanted(l) && file_vaddr(l->file, l->address, &places[count].address))
            count++;
    }
    qsort(places, count, sizeof(*places), by_file_and_address);
    return count;
}

/* Asks about count places of one file. addresses is room for as many. */
static void ask(struct scene *s, const struct place *places, size_t count, uint64_t *addresses)
{
    struct expansion_setup setup = {.asks = s->asks, .addresses = addresses};
    struct expansion *e = NULL;

    setup.header = file_dwarf(places->file, &setup.fd, &setup.pin);
    if (!setup.header)
        return;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || places[i].address != places[i - 1].address)
            addresses[setup.count++] = places[i].address;
    if (expansion_new(&setup, &e) < 0)
        return;
    if (table_put(s->expansions, &places->file, sizeof(places->file), e) == 0)
        expansion_start(e);
    else
        expansion_free(e);
}

void scene_expand(struct scene *s)
{
    _cleanup_free_ struct place *places = NULL;
    _cleanup_free_ uint64_t *addresses = NULL;
    size_t count;

    if (!s->expansions || s->location_count == 0)
        return;
    places = calloc(s->location_count, sizeof(*places));
    addresses = calloc(s->location_count, sizeof(*addresses));
    if (!places || !addresses)
        return;
    count = gather(s, places);
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && places[i + n].file == places[i].file;)
            n++;
        ask(s, &places[i], n, addresses);
    }
}

enum frame_inlines inlining_find(const struct scene *s, const struct location *l,
                                 const struct inlinetab **table,
                                 const struct inline_address **functions, const char **detail)
{
    const struct expansion *e;
    struct pin *pin;
    uint64_t address;
    int fd;

    *detail = NULL;
    if (!s->expansions || !is_wanted(l))
        return INLINES_NOT_ASKED;
    /* A file that could not be read at all says so in its frame's reason. */
    if (!file_vaddr(l->file, l->address, &address) || !file_dwarf(l->file, &fd, &pin))
        return INLINES_NO_DWARF;
    e = table_get(s->expansions, &l->file, sizeof(l->file));
    return e ? expansion_find(e, address, table, functions, detail) : INLINES_TIMEOUT;
}
