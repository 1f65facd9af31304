/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Census answers made by hand, and plain trees that stand for /proc and /sys/fs/cgroup.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it. */
#include <cmocka.h>

#include "nsresolve/census.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HOST_MOUNTS 4026531840u
#define HOST_ROOT 2
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX64_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

/* ---- answers ---- */

struct craft {
    struct buf b;
    uint32_t records, cgroups;
};

static inline void craft_begin(struct craft *c)
{
    struct census_header h = {0};

    *c = (struct craft){0};
    buf_add(&c->b, &h, sizeof(h));
}

static inline void craft_record(struct craft *c, enum census_kind kind, const void *fixed,
                                size_t fixed_size, const void *a, size_t a_size, const void *b,
                                size_t b_size)
{
    static const char zeros[8];
    size_t size = fixed_size + a_size + b_size, padded = (size + 7) & ~(size_t)7;
    struct census_record r = {.kind = kind, .size = (uint32_t)padded};

    buf_add(&c->b, &r, sizeof(r));
    buf_add(&c->b, fixed, fixed_size);
    buf_add(&c->b, a, a_size);
    buf_add(&c->b, b, b_size);
    buf_add(&c->b, zeros, padded - size);
    c->records++;
}

static inline uint32_t craft_cgroup(struct craft *c, const char *text)
{
    struct census_cgroup g = {.size = (uint32_t)strlen(text)};

    craft_record(c, CENSUS_CGROUP, &g, sizeof(g), text, g.size, "", 0);
    return c->cgroups++;
}

static inline void craft_file(struct craft *c, enum census_file_kind kind,
                              enum census_file_state state, const char *path, const char *data)
{
    struct census_file f = {
        .kind = kind,
        .state = state,
        .stamp = {.path_hash = 1, .mtime_ns = 2, .inode = 3, .size = 4},
        .path_size = (uint32_t)strlen(path),
        .data_size = (uint32_t)strlen(data),
    };

    craft_record(c, CENSUS_FILE, &f, sizeof(f), path, f.path_size, data, f.data_size);
}

/* args: with its inner NULs; size without the last one that the compiler adds. */
static inline void craft_command(struct craft *c, const char *comm, uint32_t uid, const char *cwd,
                                 const char *args, size_t args_size)
{
    struct census_command m = {
        .tgid = 7,
        .uid = uid,
        .cwd_size = (uint32_t)strlen(cwd),
        .args_size = (uint32_t)args_size,
    };

    snprintf(m.comm, sizeof(m.comm), "%s", comm);
    craft_record(c, CENSUS_COMMAND, &m, sizeof(m), cwd, m.cwd_size, args, args_size);
}

static inline void craft_process(struct craft *c, const struct census_process *p)
{
    craft_record(c, CENSUS_PROCESS, p, sizeof(*p), "", 0, "", 0);
}

/* A process of the host. */
static inline void craft_host(struct craft *c, int tgid, int ppid, uint32_t cgroup,
                              const char *comm)
{
    struct census_process p = {
        .tgid = tgid,
        .ppid = ppid,
        .start_time = 1000u + (uint64_t)tgid,
        .mount_ns = HOST_MOUNTS,
        .root_dev = 1,
        .root_ino = HOST_ROOT,
        .cgroup = cgroup,
    };

    snprintf(p.comm, sizeof(p.comm), "%s", comm);
    craft_process(c, &p);
}

/* A process in a mount namespace and on a root of its own; started at 1000 + tgid. */
static inline void craft_inside(struct craft *c, int tgid, int ns_tgid, uint64_t mount_ns,
                                uint32_t cgroup)
{
    struct census_process p = {
        .tgid = tgid,
        .ppid = 1,
        .start_time = 1000u + (uint64_t)tgid,
        .mount_ns = mount_ns,
        .root_dev = 50,
        .root_ino = mount_ns,
        .cgroup = cgroup,
        .ns_count = 2,
        .ns_tgids = {tgid, ns_tgid},
    };

    snprintf(p.comm, sizeof(p.comm), "inside");
    craft_process(c, &p);
}

/* Completes the header; the buffer stays the craft's. */
static inline void craft_end(struct craft *c)
{
    struct census_header h = {
        .magic = CENSUS_ANSWER_MAGIC,
        .version = CENSUS_VERSION,
        .record_count = c->records,
        .size = c->b.size,
        .host_mount_ns = HOST_MOUNTS,
        .host_root_dev = 1,
        .host_root_ino = HOST_ROOT,
    };

    assert_int_equal(buf_error(&c->b), 0);
    memcpy(c->b.data, &h, sizeof(h));
}

/* ---- trees ---- */

/* A fresh directory below /tmp; the test removes it. */
static inline void tree_new(char dir[64])
{
    snprintf(dir, 64, "/tmp/porthole-unit.XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static inline int tree_remove_one(const char *path, const struct stat *st, int flag,
                                  struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void tree_free(const char *dir)
{
    nftw(dir, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void tree_parents(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        if (mkdir(path, 0755) < 0)
            assert_int_equal(errno, EEXIST);
        *p = '/';
    }
}

static inline void tree_dir(const char *dir, const char *path)
{
    char full[4096];

    snprintf(full, sizeof(full), "%s/%s/", dir, path);
    tree_parents(full);
}

static inline void tree_file(const char *dir, const char *path, const char *text)
{
    char full[4096];
    FILE *f;

    snprintf(full, sizeof(full), "%s/%s", dir, path);
    tree_parents(full);
    f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static inline void tree_link(const char *dir, const char *path, const char *to)
{
    char full[4096];

    snprintf(full, sizeof(full), "%s/%s", dir, path);
    tree_parents(full);
    assert_int_equal(symlink(to, full), 0);
}
