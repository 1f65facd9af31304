/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* Entries stand in insertion order; slots hold their index + 1, 0 for a free slot. A removed entry
 * keeps its slot (value NULL) until the next growth. */
struct entry {
    uint64_t hash;
    void *key;
    size_t key_size;
    void *value;
};

struct table {
    struct entry *entries;
    size_t used, allocated, live;
    uint32_t *slots;
    size_t slot_count; /* a power of two, or 0 */
    uint64_t seed;
    void (*value_free)(void *);
};

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ^ (size * 0x9e3779b97f4a7c15ull), w;

    for (; size >= 8; size -= 8, p += 8) {
        memcpy(&w, p, 8);
        h = (h ^ w) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    w = 0;
    memcpy(&w, p, size);
    h = (h ^ w) * 0xff51afd7ed558ccdull;
    h ^= h >> 29;
    h *= 0xc4ceb9fe1a85ec53ull;
    return h ^ (h >> 32);
}

int table_new(struct table **ret, void (*value_free)(void *))
{
    struct table *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
        t->seed = (uintptr_t)t;
    t->value_free = value_free;
    *ret = t;
    return 0;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->used; i++) {
        if (t->entries[i].value && t->value_free)
            t->value_free(t->entries[i].value);
        free(t->entries[i].key);
    }
    free(t->entries);
    free(t->slots);
    free(t);
}

static struct entry *find(const struct table *t, uint64_t hash, const void *key, size_t key_size)
{
    if (!t->slot_count)
        return NULL;
    for (size_t i = hash & (t->slot_count - 1); t->slots[i]; i = (i + 1) & (t->slot_count - 1)) {
        struct entry *e = &t->entries[t->slots[i] - 1];

        if (e->value && e->hash == hash && e->key_size == key_size &&
            memcmp(e->key, key, key_size) == 0)
            return e;
    }
    return NULL;
}

void *table_get(const struct table *t, const void *key, size_t key_size)
{
    struct entry *e = find(t, hash_bytes(key, key_size, t->seed), key, key_size);

    return e ? e->value : NULL;
}

static void place(struct table *t, size_t index)
{
    size_t i = t->entries[index].hash & (t->slot_count - 1);

    while (t->slots[i])
        i = (i + 1) & (t->slot_count - 1);
    t->slots[i] = (uint32_t)index + 1;
}

/* Makes room for one more entry: squeezes out removed ones, grows both arrays. */
static int grow(struct table *t)
{
    size_t slot_count = t->slot_count ? t->slot_count : 16, kept = 0, want;
    struct entry *entries;
    uint32_t *slots;

    while (slot_count < (t->live + 1) * 2)
        slot_count *= 2;
    want = slot_count / 2 + slot_count / 4;
    slots = calloc(slot_count, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    entries = realloc(t->entries, MAX(want, t->allocated) * sizeof(*entries));
    if (!entries) {
        free(slots);
        return -ENOMEM;
    }
    t->entries = entries;
    t->allocated = MAX(want, t->allocated);

    for (size_t i = 0; i < t->used; i++)
        if (t->entries[i].value)
            t->entries[kept++] = t->entries[i];
    t->used = kept;
    free(t->slots);
    t->slots = slots;
    t->slot_count = slot_count;
    for (size_t i = 0; i < t->used; i++)
        place(t, i);
    return 0;
}

int table_put(struct table *t, const void *key, size_t key_size, void *value)
{
    uint64_t hash = hash_bytes(key, key_size, t->seed);
    struct entry *e = find(t, hash, key, key_size);
    void *copy;
    int r;

    if (e) {
        if (t->value_free)
            t->value_free(e->value);
        e->value = value;
        return 0;
    }
    if (!t->slot_count || (t->used + 1) * 4 > t->slot_count * 3 || t->used == t->allocated) {
        r = grow(t);
        if (r < 0)
            return r;
    }
    copy = malloc(key_size ? key_size : 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, key, key_size);
    e = &t->entries[t->used];
    e->hash = hash;
    e->key = copy;
    e->key_size = key_size;
    e->value = value;
    place(t, t->used++);
    t->live++;
    return 0;
}

bool table_remove(struct table *t, const void *key, size_t key_size)
{
    struct entry *e = find(t, hash_bytes(key, key_size, t->seed), key, key_size);

    if (!e)
        return false;
    if (t->value_free)
        t->value_free(e->value);
    free(e->key);
    e->key = NULL;
    e->value = NULL;
    t->live--;
    return true;
}

size_t table_count(const struct table *t)
{
    return t->live;
}

void *table_next(const struct table *t, size_t *cursor, const void **key, size_t *key_size)
{
    while (*cursor < t->used) {
        const struct entry *e = &t->entries[(*cursor)++];

        if (!e->value)
            continue;
        if (key)
            *key = e->key;
        if (key_size)
            *key_size = e->key_size;
        return e->value;
    }
    return NULL;
}
