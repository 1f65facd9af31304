/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/ksymbols.h"

#include <errno.h>
#include <string.h>

struct ksymbol {
    uint64_t start, size;
    char *name; /* owned */
};

struct ksymbols {
    struct ksymbol *all;
    size_t count, allocated;
    bool distrusted;
};

int ksymbols_new(struct ksymbols **ret)
{
    struct ksymbols *ks = calloc(1, sizeof(*ks));

    if (!ks)
        return -ENOMEM;
    *ret = ks;
    return 0;
}

void ksymbols_free(struct ksymbols *ks)
{
    if (!ks)
        return;
    for (size_t i = 0; i < ks->count; i++)
        free(ks->all[i].name);
    free(ks->all);
    free(ks);
}

void ksymbols_distrust(struct ksymbols *ks)
{
    ks->distrusted = true;
}

static bool is_same(const struct ksymbol *k, uint64_t start, const char *name)
{
    return k->start == start && strcmp(k->name, name) == 0;
}

/* Room for one more. */
static int grow(struct ksymbols *ks)
{
    size_t want = MAX(ks->allocated * 2, (size_t)64);
    struct ksymbol *all;

    if (ks->count < ks->allocated)
        return 0;
    if (ks->count >= KSYMBOLS_MAX)
        return -EFBIG;
    all = reallocarray(ks->all, want, sizeof(*all));
    if (!all)
        return -ENOMEM;
    ks->all = all;
    ks->allocated = want;
    return 0;
}

void ksymbols_add(struct ksymbols *ks, uint64_t start, uint64_t size, const char *name)
{
    struct ksymbol k = {.start = start, .size = MIN(size, UINT64_MAX - start)};

    if (size == 0 || ks->distrusted)
        return;
    for (size_t i = 0; i < ks->count; i++)
        if (is_same(&ks->all[i], start, name)) {
            ks->all[i].size = MAX(ks->all[i].size, k.size);
            return;
        }
    k.name = grow(ks) == 0 ? strdup(name) : NULL;
    if (k.name)
        ks->all[ks->count++] = k;
    else
        ksymbols_distrust(ks);
}

enum ksymbols_answer ksymbols_find(const struct ksymbols *ks, uint64_t address, const char **name,
                                   uint64_t *start)
{
    const struct ksymbol *found = NULL;

    for (size_t i = 0; i < ks->count; i++) {
        const struct ksymbol *k = &ks->all[i];

        if (address < k->start || address - k->start >= k->size)
            continue;
        if (found)
            return KSYMBOLS_SEVERAL;
        found = k;
    }
    if (!found)
        return KSYMBOLS_NONE;
    if (ks->distrusted)
        return KSYMBOLS_SEVERAL;
    *name = found->name;
    *start = found->start;
    return KSYMBOLS_ONE;
}
