/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/jit_map.h"

#include "nsresolve/symtab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VERSIONS_MAX 512

/* What one reading brought; it began to hold between the two times. */
struct version {
    struct symtab *table;
    uint64_t after_ns, before_ns;
    bool rewritten; /* a whole map, after which earlier ones hold no more */
};

struct jit_map {
    struct follow *follow;
    struct follow_budget *budget;
    struct version versions[VERSIONS_MAX]; /* oldest first */
    uint32_t count;
    uint64_t read_ns; /* when the newest version was looked for */
};

void jit_map_free(struct jit_map *m)
{
    if (!m)
        return;
    follow_free(m->follow);
    for (uint32_t i = 0; i < m->count; i++)
        symtab_free(m->versions[i].table);
    free(m);
}

static size_t make_payload(void *data, const struct follow_change *change, void *to)
{
    const struct jit_map *m = data;
    struct wire_parse_perfmap from = {.size = change->size};

    if (m->count && !change->other_file) {
        const struct symtab_header *h = symtab_header(m->versions[m->count - 1].table);

        from.read_until = h->read_until;
        from.fingerprint = h->fingerprint;
    }
    memcpy(to, &from, sizeof(from));
    return sizeof(from);
}

static bool on_parsed(void *data, const struct follow_change *change, int *memfd)
{
    struct jit_map *m = data;
    struct version v = {.after_ns = change->after_ns, .before_ns = change->before_ns};

    if (m->count == VERSIONS_MAX || symtab_open(*memfd, &v.table) < 0)
        return false;
    if (m->budget->bytes + symtab_bytes(v.table) > JIT_BYTES_MAX) {
        symtab_free(v.table);
        return false;
    }
    m->budget->bytes += symtab_bytes(v.table);
    v.rewritten =
        m->count && (change->other_file || (symtab_header(v.table)->flags & SYMTAB_REWRITTEN));
    /* A log tells when lines came; a list made anew only what held then. */
    if (v.rewritten)
        v.after_ns = m->read_ns;
    m->read_ns = change->before_ns;
    m->versions[m->count++] = v;
    return true;
}

int jit_map_new(struct asks *asks, struct pin *pin, uint32_t ns_tgid, struct follow_budget *budget,
                struct jit_map **ret)
{
    struct jit_map *m = calloc(1, sizeof(*m));
    char path[64];
    int r;

    if (!m)
        return -ENOMEM;
    m->budget = budget;
    snprintf(path, sizeof(path), "/tmp/perf-%u.map", ns_tgid);
    r = follow_new(
        &(struct follow_setup){
            .asks = asks,
            .pin = pin,
            .item = {.kind = WIRE_OPEN_OWNED, .uid_a = pin->info.uid, .uid_b = pin->info.root_uid},
            .path = path,
            .parse = WIRE_PARSE_PERFMAP,
            .budget = budget,
            .payload = make_payload,
            .parsed = on_parsed,
            .data = m},
        &m->follow);
    if (r < 0) {
        free(m);
        return r;
    }
    *ret = m;
    return 0;
}

struct follow *jit_map_follow(const struct jit_map *m)
{
    return m->follow;
}

static const struct symtab_symbol *find(const struct jit_map *m, uint32_t i, uint64_t address,
                                        const char **name)
{
    return symtab_find(m->versions[i].table, address, name);
}

uint32_t jit_map_version(const struct jit_map *m, uint64_t address, uint64_t first_ns,
                         uint64_t last_ns)
{
    const char *name = NULL, *other;
    uint32_t found = 0;

    for (uint32_t i = m->count; i-- > 0;) {
        const struct version *v = &m->versions[i];
        const struct symtab_symbol *s;

        if (v->after_ns >= last_ns)
            continue;
        s = find(m, i, address, &other);
        if (s && name && strcmp(name, other) != 0)
            return JIT_MAP_MOVED;
        if (s && !name) {
            name = other;
            found = i + 1;
        }
        if ((s || v->rewritten) && v->before_ns <= first_ns)
            break;
    }
    return found;
}

/* Whether versions that came later leave the name of an earlier one standing. */
static bool still_holds(const struct jit_map *m, uint64_t address, uint32_t version, bool settled,
                        const char *name)
{
    const char *other;

    if (!settled && !follow_is_current(m->follow))
        return false;
    for (uint32_t i = version; i < m->count; i++) {
        if (!find(m, i, address, &other))
            continue;
        if ((m->versions[i].rewritten || !settled) && strcmp(name, other) != 0)
            return false;
        if (settled)
            break;
    }
    return true;
}

/* Nothing named the address by the time it was sampled: that it was listed only later is likely,
 * as long as nothing else was ever listed there. */
static enum frame_reason find_only(const struct jit_map *m, uint64_t address, const char **name,
                                   uint64_t *start)
{
    const char *one = NULL, *other;

    for (uint32_t i = 0; i < m->count; i++) {
        const struct symtab_symbol *s = find(m, i, address, &other);

        if (!s)
            continue;
        if (one && strcmp(one, other) != 0)
            return REASON_JIT_MOVED;
        one = other;
        *start = s->start;
    }
    *name = one;
    return one ? REASON_NONE : REASON_JIT_NOT_IN_MAP;
}

enum frame_reason jit_map_symbol(const struct jit_map *m, uint64_t address, uint32_t version,
                                 bool settled, const char **name, uint64_t *start,
                                 const char **detail)
{
    const struct symtab_symbol *s;

    *detail = NULL;
    if (version == JIT_MAP_MOVED)
        return REASON_JIT_MOVED;
    if (!m->count)
        return follow_trouble(m->follow, detail);
    if (!version)
        return find_only(m, address, name, start);
    s = find(m, version - 1, address, name);
    if (!s || !still_holds(m, address, version, settled, *name))
        return REASON_JIT_MOVED;
    *start = s->start;
    return REASON_NONE;
}

size_t jit_map_symbols(const struct jit_map *m)
{
    size_t sum = 0;

    for (uint32_t i = m->count; i-- > 0;) {
        sum += symtab_header(m->versions[i].table)->symbol_count;
        if (m->versions[i].rewritten)
            break;
    }
    return sum;
}

uint64_t jit_map_bad_lines(const struct jit_map *m)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < m->count; i++) {
        const struct symtab_header *h = symtab_header(m->versions[i].table);

        sum += h->bad_lines;
        /* The next reading took it up again. */
        if ((h->flags & SYMTAB_UNFINISHED) && h->bad_lines && i + 1 < m->count)
            sum--;
    }
    return sum;
}
