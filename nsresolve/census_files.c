/* SPDX-License-Identifier: Apache-2.0 */
/* The state files of census_collect(): which leaf names count below which kind of root. */
#include "nsresolve/census.h"

#include "base/pathat.h"
#include "base/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define LEAVES_MAX 2

/* Directories from the root down ("*" stands for any text, once in a name), then the files. */
struct pattern {
    enum census_root_kind root;
    const char *dirs[4]; /* NULL-terminated */
    struct {
        const char *name;
        enum census_file_kind kind;
    } leaves[LEAVES_MAX];
};

static const struct pattern patterns[] = {
    {CENSUS_ROOT_DOCKER, {"containers", "*"}, {{"config.v2.json", CENSUS_FILE_DOCKER_CONFIG}}},
    {CENSUS_ROOT_DOCKER_EXEC,
     {"runtime-*", "*", "*"},
     {{"state.json", CENSUS_FILE_RUNC_STATE}, {"status", CENSUS_FILE_CRUN_STATUS}}},
    {CENSUS_ROOT_CONTAINERD,
     {"io.containerd.runtime.v2.task", "*", "*"},
     {{"init.pid", CENSUS_FILE_CONTAINERD_PID}, {"config.json", CENSUS_FILE_OCI_CONFIG}}},
    {CENSUS_ROOT_CONTAINERD, {"runc", "*", "*"}, {{"state.json", CENSUS_FILE_RUNC_STATE}}},
    {CENSUS_ROOT_PODMAN_GRAPH,
     {"*-containers"},
     {{"containers.json", CENSUS_FILE_PODMAN_CONTAINERS}}},
    {CENSUS_ROOT_PODMAN_RUN,
     {"*-containers", "*", "userdata"},
     {{"pidfile", CENSUS_FILE_PODMAN_PID}, {"config.json", CENSUS_FILE_OCI_CONFIG}}},
    {CENSUS_ROOT_RUNC, {"*"}, {{"state.json", CENSUS_FILE_RUNC_STATE}}},
    {CENSUS_ROOT_CRUN,
     {"*"},
     {{"status", CENSUS_FILE_CRUN_STATUS}, {"config.json", CENSUS_FILE_OCI_CONFIG}}},
};

struct walk {
    struct census_writer *writer;
    const struct census_stamp *stamps; /* sorted by path_hash */
    size_t stamp_count;
    uint64_t seed;
    size_t files;
    const struct pattern *pattern;
    char path[PATH_MAX];
};

static bool matches(const char *pattern, const char *name)
{
    const char *star = strchr(pattern, '*');
    size_t before, after, size = strlen(name);

    if (!star)
        return strcmp(pattern, name) == 0;
    before = (size_t)(star - pattern);
    after = strlen(star + 1);
    return size >= before + after && strncmp(pattern, name, before) == 0 &&
           strcmp(name + size - after, star + 1) == 0;
}

static uint64_t time_ns(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void fill_stamp(struct census_stamp *stamp, const struct stat *st)
{
    stamp->mtime_ns = time_ns(st->st_mtim);
    stamp->ctime_ns = time_ns(st->st_ctim);
    stamp->inode = st->st_ino;
    stamp->size = (uint64_t)st->st_size;
}

static bool unchanged(const struct walk *w, const struct census_stamp *now)
{
    const struct census_stamp *known = NULL;

    if (w->stamp_count > 0)
        known = bsearch(now, w->stamps, w->stamp_count, sizeof(*now), census_compare_stamps);
    return known && known->mtime_ns == now->mtime_ns && known->ctime_ns == now->ctime_ns &&
           known->inode == now->inode && known->size == now->size;
}

static int write_file(struct walk *w, struct census_file *f, const struct buf *data)
{
    struct census_part parts[3] = {
        {f, sizeof(*f)},
        {w->path, f->path_size},
        {data ? data->data : NULL, data ? data->size : 0},
    };
    int r;

    f->data_size = (uint32_t)parts[2].size;
    r = census_write(w->writer, CENSUS_FILE, parts, ARRAY_SIZE(parts));
    if (r == -EFBIG) {
        census_cut(w->writer, CENSUS_CUT_FILES);
        return 0;
    }
    return r;
}

/* Reads a file that lstat found to be regular; anything else by now is refused. */
static int read_leaf(struct walk *w, int dir_fd, const char *name, struct census_file *f)
{
    _cleanup_buf_ struct buf data = {0};
    _cleanup_close_ int path_fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1;
    size_t limit =
        f->kind == CENSUS_FILE_PODMAN_CONTAINERS ? CENSUS_INDEX_MAX : (size_t)CENSUS_FILE_MAX;
    struct stat st;

    if (path_fd < 0)
        return errno == ENOENT ? 0 : write_file(w, f, NULL);
    if (pathat_reopen(path_fd, 0, 0, &fd, &st) != FILE_OK)
        return write_file(w, f, NULL);
    fill_stamp(&f->stamp, &st);
    if (buf_read_all(&data, fd, limit) < 0)
        return write_file(w, f, NULL);
    f->state = CENSUS_FILE_READ;
    return write_file(w, f, &data);
}

static int collect_leaf(struct walk *w, int dir_fd, size_t path_size, const char *name,
                        enum census_file_kind kind)
{
    struct census_file f = {.kind = kind, .state = CENSUS_FILE_REFUSED};
    size_t name_size = strlen(name);
    struct stat st;

    if (path_size + 1 + name_size >= sizeof(w->path) ||
        fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (w->files >= CENSUS_FILES_MAX) {
        census_cut(w->writer, CENSUS_CUT_FILES);
        return 0;
    }
    w->files++;
    w->path[path_size] = '/';
    memcpy(w->path + path_size + 1, name, name_size + 1);
    f.path_size = (uint32_t)(path_size + 1 + name_size);
    f.stamp.path_hash = hash_bytes(w->path, f.path_size, w->seed);
    fill_stamp(&f.stamp, &st);
    if (S_ISREG(st.st_mode) && unchanged(w, &f.stamp)) {
        f.state = CENSUS_FILE_UNCHANGED;
        return write_file(w, &f, NULL);
    }
    if (!S_ISREG(st.st_mode))
        return write_file(w, &f, NULL);
    return read_leaf(w, dir_fd, name, &f);
}

static int collect_leaves(struct walk *w, int dir_fd, size_t path_size)
{
    int r = 0;

    for (size_t i = 0; i < LEAVES_MAX && w->pattern->leaves[i].name && r == 0; i++)
        r = collect_leaf(w, dir_fd, path_size, w->pattern->leaves[i].name,
                         w->pattern->leaves[i].kind);
    return r;
}

static int walk_dir(struct walk *w, int dir_fd, size_t path_size, size_t depth);

static int walk_into(struct walk *w, int dir_fd, size_t path_size, size_t depth, const char *name)
{
    _cleanup_close_ int fd = -1;
    size_t name_size = strlen(name);

    if (path_size + 1 + name_size >= sizeof(w->path))
        return 0;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
    w->path[path_size] = '/';
    memcpy(w->path + path_size + 1, name, name_size + 1);
    return walk_dir(w, fd, path_size + 1 + name_size, depth + 1);
}

/* dir_fd stays the caller's. */
static int walk_dir(struct walk *w, int dir_fd, size_t path_size, size_t depth)
{
    _cleanup_closedir_ DIR *dir = NULL;
    const char *pattern = w->pattern->dirs[depth];
    struct dirent *entry;
    int copy, r = 0;

    if (!pattern)
        return collect_leaves(w, dir_fd, path_size);
    if (!strchr(pattern, '*'))
        return walk_into(w, dir_fd, path_size, depth, pattern);

    copy = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    dir = fdopendir(copy);
    if (!dir) {
        close(copy);
        return -errno;
    }
    for (size_t n = 0; r == 0 && (entry = readdir(dir)); n++) {
        if (n >= CENSUS_ENTRIES_MAX) {
            census_cut(w->writer, CENSUS_CUT_FILES);
            break;
        }
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) ||
            !matches(pattern, entry->d_name))
            continue;
        r = walk_into(w, dir_fd, path_size, depth, entry->d_name);
    }
    return r;
}

/* A root that is not there, or is no directory, has no files. */
static int collect_root(struct walk *w, int slash_fd, const struct census_root *root)
{
    _cleanup_close_ int path_fd = pathat_open_path(slash_fd, root->path), fd = -1;
    size_t size = strlen(root->path);
    int r = 0;

    if (path_fd < 0 || size >= sizeof(w->path))
        return 0;
    fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(patterns) && r == 0; i++) {
        if (patterns[i].root != root->kind)
            continue;
        w->pattern = &patterns[i];
        memcpy(w->path, root->path, size + 1);
        r = walk_dir(w, fd, size, 0);
    }
    return r;
}

int census_collect_files(struct census_writer *w, const struct census_root *roots,
                         size_t root_count, const struct census_stamp *stamps, size_t stamp_count,
                         uint64_t seed)
{
    struct walk walk = {
        .writer = w,
        .stamps = stamps,
        .stamp_count = stamp_count,
        .seed = seed,
    };
    _cleanup_close_ int slash_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = 0;

    if (slash_fd < 0)
        return -errno;
    for (size_t i = 0; i < root_count && r == 0; i++)
        r = collect_root(&walk, slash_fd, &roots[i]);
    return r;
}
