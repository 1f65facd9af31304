/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/inventory.h"

#include "base/table.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

struct known_file {
    char *path;
    char *directory; /* makes ids unique that need not be */
    struct census_stamp stamp;
    bool stamped; /* false: read it again next time */
    uint64_t generation;
    struct claims claims;
};

struct inventory {
    const struct cgroups *cg; /* borrowed */
    struct roots fixed;       /* defaults and configuration */
    struct roots found;       /* given away by command lines and files */
    struct roots asked;       /* of the last question */
    struct table *files;      /* path -> struct known_file */
    struct claims commands;   /* what monitors' command lines claim */
    uint64_t seed, generation;
    struct inventory_stats stats;
};

static void known_file_free(void *p)
{
    struct known_file *f = p;

    claims_clear(&f->claims);
    free(f->path);
    free(f->directory);
    free(f);
}

static int copy_roots(struct roots *to, const struct census_root *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = roots_add(to, from[i].kind, from[i].path, strlen(from[i].path));

        if (r < 0)
            return r;
    }
    return 0;
}

void inventory_free(struct inventory *inv)
{
    if (!inv)
        return;
    roots_clear(&inv->fixed);
    roots_clear(&inv->found);
    roots_clear(&inv->asked);
    claims_clear(&inv->commands);
    table_free(inv->files);
    free(inv);
}

int inventory_new(const struct roots *configured, bool with_defaults, const struct cgroups *cg,
                  struct inventory **ret)
{
    _cleanup_(inventory_freep) struct inventory *inv = calloc(1, sizeof(*inv));
    size_t count;
    const struct census_root *defaults = runtimes_default_roots(&count);
    int r = 0;

    if (!inv)
        return -ENOMEM;
    inv->cg = cg;
    if (getrandom(&inv->seed, sizeof(inv->seed), GRND_NONBLOCK) < 0)
        inv->seed = (uint64_t)(uintptr_t)inv;
    if (configured)
        r = copy_roots(&inv->fixed, configured->items, configured->count);
    if (r == 0 && with_defaults)
        r = copy_roots(&inv->fixed, defaults, count);
    if (r == 0)
        r = table_new(&inv->files, known_file_free);
    if (r == 0)
        *ret = TAKE_PTR(inv);
    return r;
}

int inventory_question(struct inventory *inv, struct buf *question)
{
    _cleanup_free_ struct census_stamp *stamps = NULL;
    const struct known_file *f;
    size_t count = 0, cursor = 0;
    int r;

    stamps = calloc(table_count(inv->files) + 1, sizeof(*stamps));
    if (!stamps)
        return -ENOMEM;
    while ((f = table_next(inv->files, &cursor, NULL, NULL)))
        if (f->stamped)
            stamps[count++] = f->stamp;
    if (count > 1)
        qsort(stamps, count, sizeof(*stamps), census_compare_stamps);
    roots_clear(&inv->asked);
    r = copy_roots(&inv->asked, inv->fixed.items, inv->fixed.count);
    if (r == 0)
        r = copy_roots(&inv->asked, inv->found.items, inv->found.count);
    if (r < 0)
        return r;
    inv->stats.roots = inv->asked.count;
    return census_question_write(question, inv->asked.items, inv->asked.count, stamps, count,
                                 inv->seed);
}

/* A file's first sight. Owned by the table. */
static int new_file(struct inventory *inv, const struct census_item *item, struct known_file **ret)
{
    struct known_file *f = calloc(1, sizeof(*f));
    const char *slash = memrchr(item->path, '/', item->path_size);
    int r = -ENOMEM;

    if (!f)
        return -ENOMEM;
    f->path = strndup(item->path, item->path_size);
    f->directory = strndup(item->path, slash ? (size_t)(slash - item->path) : item->path_size);
    if (f->path && f->directory)
        r = table_put(inv->files, item->path, item->path_size, f);
    if (r < 0) {
        known_file_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

static int take_file(struct inventory *inv, const struct census_item *item)
{
    struct known_file *f = table_get(inv->files, item->path, item->path_size);
    int r;

    if (item->file->state == CENSUS_FILE_UNCHANGED) {
        if (f)
            f->generation = inv->generation;
        return 0;
    }
    if (!f) {
        r = new_file(inv, item, &f);
        if (r < 0)
            return r;
    }
    f->generation = inv->generation;
    f->stamp = item->file->stamp;
    claims_clear(&f->claims);
    f->stamped = false;
    if (item->file->state == CENSUS_FILE_REFUSED)
        return 0;
    inv->stats.files_parsed++;
    r = runtimes_parse(item->file->kind, f->path, item->text, item->text_size, &f->claims);
    if (r == -EBADMSG) {
        /* Perhaps caught while it was written: no stamp, so that it is read again. */
        inv->stats.files_bad++;
        return 0;
    }
    f->stamped = r == 0;
    return r;
}

static int take_records(struct inventory *inv, struct census_reader *reader, struct roots *found)
{
    struct census_item item;
    int r;

    while ((r = census_reader_next(reader, &item)) > 0) {
        int error = 0;

        if (item.kind == CENSUS_FILE) {
            error = take_file(inv, &item);
        } else if (item.kind == CENSUS_COMMAND) {
            error = roots_add_command(found, &item);
            if (error >= 0)
                error = runtimes_parse_command(&item, &inv->commands);
        } else if (item.kind == CENSUS_PROCESS) {
            inv->stats.processes++;
        }
        if (error < 0)
            return error;
    }
    return r;
}

static void forget_files(struct inventory *inv)
{
    struct known_file *f;
    const void *key;
    size_t cursor = 0, size;

    while ((f = table_next(inv->files, &cursor, &key, &size)))
        if (f->generation != inv->generation)
            table_remove(inv->files, key, size);
    inv->stats.files = table_count(inv->files);
}

/* Roots that files give away, and known ones that still have files: their daemon may be dead. */
static int find_roots(struct inventory *inv, struct roots *found)
{
    const struct known_file *f;
    size_t cursor = 0;

    while ((f = table_next(inv->files, &cursor, NULL, NULL))) {
        for (size_t i = 0; i < f->claims.count; i++) {
            const char *root = f->claims.items[i].docker_root;

            if (root && roots_add(found, CENSUS_ROOT_DOCKER, root, strlen(root)) < 0)
                return -ENOMEM;
        }
        for (size_t i = 0; i < inv->found.count; i++) {
            const char *root = inv->found.items[i].path;
            size_t n = strlen(root);

            if (strncmp(f->path, root, n) == 0 && f->path[n] == '/' &&
                roots_add(found, inv->found.items[i].kind, root, n) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static bool was_asked(const struct inventory *inv, const struct census_root *root)
{
    for (size_t i = 0; i < inv->asked.count; i++)
        if (inv->asked.items[i].kind == root->kind &&
            strcmp(inv->asked.items[i].path, root->path) == 0)
            return true;
    return false;
}

int inventory_take(struct inventory *inv, const void *answer, size_t size)
{
    _cleanup_(roots_clear) struct roots found = {0};
    struct census_reader reader;
    bool more = false;
    int r = census_reader_init(&reader, answer, size);

    if (r < 0)
        return r;
    inv->generation++;
    inv->stats.processes = 0;
    claims_clear(&inv->commands);
    r = take_records(inv, &reader, &found);
    if (r < 0)
        return r;
    forget_files(inv);
    r = find_roots(inv, &found);
    if (r < 0)
        return r;
    for (size_t i = 0; i < found.count; i++)
        more |= !was_asked(inv, &found.items[i]);
    roots_clear(&inv->found);
    inv->found = found;
    found = (struct roots){0};
    return more && inv->asked.count < CENSUS_ROOTS_MAX;
}

int inventory_containers(struct inventory *inv, const void *answer, size_t size, int32_t self,
                         struct containers **ret)
{
    size_t count = table_count(inv->files), cursor = 0, n = 0;
    _cleanup_free_ struct containers_source *sources = calloc(count + 1, sizeof(*sources));
    const struct known_file *f;

    if (!sources)
        return -ENOMEM;
    while ((f = table_next(inv->files, &cursor, NULL, NULL)))
        sources[n++] = (struct containers_source){.directory = f->directory, .claims = &f->claims};
    sources[n++] = (struct containers_source){.directory = "", .claims = &inv->commands};
    return containers_new(answer, size, sources, n, inv->cg, self, ret);
}

void inventory_get_stats(const struct inventory *inv, struct inventory_stats *ret)
{
    *ret = inv->stats;
}
