/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/jit.h"

#include "nsresolve/jit_dump.h"
#include "nsresolve/jit_map.h"

#include <errno.h>
#include <stdlib.h>

/* A version: when the dump's record was written, or the number of the perf map's version. */
#define VERSION_MOVED UINT64_MAX
#define VERSION_OF_DUMP (1ull << 63)
#define VERSION_UNSETTLED (1ull << 62) /* more may have been written before the sample */

struct jit {
    struct jit_map *map;
    struct jit_dump *dump; /* NULL: none is mapped */
};

void jit_free(struct jit *j)
{
    if (!j)
        return;
    jit_map_free(j->map);
    jit_dump_free(j->dump);
    free(j);
}

int jit_new(struct asks *asks, struct pin *pin, uint32_t ns_tgid, struct follow_budget *budget,
            const struct wire_open_item *dump, const char *path, struct jit **ret)
{
    struct jit *j = calloc(1, sizeof(*j));
    int r;

    if (!j)
        return -ENOMEM;
    r = jit_map_new(asks, pin, ns_tgid, budget, &j->map);
    if (r == 0 && dump)
        r = jit_dump_new(asks, pin, dump, path, budget, &j->dump);
    if (r < 0) {
        jit_free(j);
        return r;
    }
    jit_look(j, true);
    *ret = j;
    return 0;
}

void jit_end(struct jit *j, uint64_t time_ns)
{
    follow_end(jit_map_follow(j->map), time_ns);
    if (j->dump)
        follow_end(jit_dump_follow(j->dump), time_ns);
}

void jit_look(struct jit *j, bool hurry)
{
    follow_look(jit_map_follow(j->map), hurry);
    if (j->dump)
        follow_look(jit_dump_follow(j->dump), hurry);
}

static bool covers(const struct jit *j, uint64_t time_ns)
{
    return follow_covers(jit_map_follow(j->map), time_ns) &&
           (!j->dump || follow_covers(jit_dump_follow(j->dump), time_ns));
}

bool jit_should_wait(const struct jit *j, uint64_t time_ns)
{
    return !covers(j, time_ns) && !follow_failed(jit_map_follow(j->map)) &&
           !(j->dump && follow_failed(jit_dump_follow(j->dump)));
}

uint64_t jit_version(const struct jit *j, uint64_t address, uint64_t first_ns, uint64_t last_ns)
{
    uint64_t unsettled = covers(j, last_ns) ? 0 : VERSION_UNSETTLED, born = 0;
    uint32_t version;

    if (j->dump)
        born = jit_dump_born(j->dump, address, first_ns, last_ns);
    if (born == JIT_DUMP_MOVED)
        return VERSION_MOVED;
    if (born && !unsettled)
        return VERSION_OF_DUMP | born;
    version = jit_map_version(j->map, address, first_ns, last_ns);
    return version == JIT_MAP_MOVED ? VERSION_MOVED : unsettled | version;
}

static enum frame_reason from_dump(const struct jit *j, uint64_t address, uint64_t version,
                                   struct jit_symbol *ret)
{
    ret->source = SOURCE_JITDUMP;
    if (version & VERSION_UNSETTLED)
        return jit_dump_only(j->dump, address, &ret->name, &ret->start);
    ret->name = jit_dump_name(j->dump, address, version & ~VERSION_OF_DUMP, &ret->start);
    return ret->name ? REASON_NONE : REASON_JIT_NOT_IN_MAP;
}

enum frame_reason jit_symbol(const struct jit *j, uint64_t address, uint64_t version,
                             struct jit_symbol *ret, const char **detail)
{
    enum frame_reason reason;

    *detail = NULL;
    if (version == VERSION_MOVED)
        return REASON_JIT_MOVED;
    if (j->dump && (version & (VERSION_OF_DUMP | VERSION_UNSETTLED))) {
        reason = from_dump(j, address, version, ret);
        if (reason != REASON_JIT_NOT_IN_MAP)
            return reason;
    }
    ret->source = SOURCE_PERF_MAP;
    reason = jit_map_symbol(j->map, address, (uint32_t)version, !(version & VERSION_UNSETTLED),
                            &ret->name, &ret->start, detail);
    /* Without a map, a dump that could not be used says more. */
    if (reason != REASON_JIT_NO_MAP || !j->dump)
        return reason;
    return jit_dump_is_read(j->dump) ? REASON_JIT_NOT_IN_MAP
                                     : follow_trouble(jit_dump_follow(j->dump), detail);
}

size_t jit_symbols(const struct jit *j)
{
    return jit_map_symbols(j->map) + (j->dump ? jit_dump_symbols(j->dump) : 0);
}

uint64_t jit_bad_lines(const struct jit *j)
{
    return jit_map_bad_lines(j->map) + (j->dump ? jit_dump_bad_records(j->dump) : 0);
}
