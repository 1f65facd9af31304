/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of whole scenes share: a resolver over a made-up world, and short words for
 * records. */
#pragma once

#include "nsresolve/resolve.h"
#include "base/loop.h"
#include "base/text.h"
#include "tests/unit/fake_client.h"

#include <time.h>

#define LATER (now_ns() + 1000000) /* records are fed up to here */

static struct resolver *resolver;

static _unused_ int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.map_reason = FILE_NOT_FOUND;
    assert_int_equal(resolver_new(NULL, -1, -1, 1 << 20, &resolver), 0);
    return 0;
}

static _unused_ int tear_down(void **state)
{
    (void)state;
    assert_null(world.queue); /* a freed scene leaves no question */
    resolver_free(resolver);
    return 0;
}

static _unused_ struct scene *scene_of(bool addresses)
{
    struct scene *s;

    assert_int_equal(scene_new(resolver, 0, addresses, &s), 0);
    return s;
}

static _unused_ struct world_process *add_process(uint32_t pid, uint64_t ino);

/* Whose processes are seen from their exec on: files are opened below the init's root. */
static _unused_ struct scene *scene_with_init(void)
{
    struct scene *s;

    add_process(1, 0);
    assert_int_equal(scene_new(resolver, 1, false, &s), 0);
    answer_all();
    return s;
}

static _unused_ void add_file(uint64_t ino, const char *name)
{
    struct world_file *f = world_file(0);

    *f = (struct world_file){.ino = ino, .has_symtab = true, .build_id = (uint8_t)ino};
    f->symbols[0] = (struct world_symbol){0x401000, 0x1000, name};
}

static _unused_ struct world_process *add_process(uint32_t pid, uint64_t ino)
{
    struct world_process *p = world_process(0);

    *p = (struct world_process){.pid = pid, .map_count = 1};
    p->maps[0] = (struct wire_mapping){.start = 0x10000, .end = 0x20000, .dev = 1, .ino = ino};
    return p;
}

/* A record: ino is mapped so that file offset 0 stands at start. ino 0: anonymous memory. */
static _unused_ void map_at(struct scene *s, uint32_t tgid, uint64_t start, uint64_t ino,
                            uint64_t time)
{
    char path[16];
    int n = ino ? snprintf(path, sizeof(path), "/f%d", (int)ino)
                : snprintf(path, sizeof(path), "//anon");

    scene_mmap(s,
               &(struct scene_mmap){.tgid = tgid,
                                    .start = start,
                                    .end = start + 0x10000,
                                    .offset = ino ? 0 : start,
                                    .dev = ino ? 1 : 0,
                                    .ino = ino,
                                    .path = path,
                                    .path_size = (size_t)n},
               time);
}

static _unused_ uint32_t locate(struct scene *s, uint32_t tgid, uint64_t address, uint64_t first,
                                uint64_t last)
{
    struct scene_where w = {.tgid = tgid, .ns_tgid = tgid, .first_ns = first, .last_ns = last};
    uint32_t location;

    assert_int_equal(scene_locate_user(s, &w, address, true, &location), 0);
    return location;
}

static _unused_ void name_all(struct scene *s)
{
    answer_all();
    scene_collect(s);
    answer_all();
    assert_true(scene_idle(s));
    assert_int_equal(scene_name(s), 0);
    answer_all();
}

static _unused_ void expect(const struct scene *s, uint32_t location, const char *name,
                            enum frame_reason reason)
{
    const struct frame *f = scene_frame(s, location);

    assert_non_null(f);
    if (strcmp(f->name, name) != 0 || f->reason != reason)
        fail_msg("'%s' (%s) instead of '%s' (%s)", f->name, frame_reason_name(f->reason), name,
                 frame_reason_name(reason));
    assert_int_equal(f->source == SOURCE_NONE, reason != REASON_NONE);
}

/* Has the process looked at, as for a sample at this time. */
static _unused_ void look_at(struct scene *s, uint32_t tgid, uint64_t time)
{
    assert_int_equal(scene_process(s, tgid, 0, time), SCENE_PENDING);
    answer_all();
    scene_advance(s, LATER, 0);
    assert_int_equal(scene_process(s, tgid, 0, time), SCENE_READY);
    answer_all();
}
