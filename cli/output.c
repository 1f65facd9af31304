/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

static const struct format formats[] = {
    {.name = "tree", .suffix = ".txt", .stacks = true, .render = render_tree},
    {.name = "table",
     .suffix = ".txt",
     .records = true,
     .live = LIVE_TABLE,
     .render = render_table},
    {.name = "rows", .suffix = ".tsv", .records = true, .live = LIVE_ROWS, .render = render_rows},
    {.name = "svg", .suffix = ".svg", .records = true, .render = render_heatmap},
    {.name = "folded", .suffix = ".folded", .stacks = true, .render = render_folded},
    {.name = "svg", .suffix = ".svg", .stacks = true, .render = render_svg},
    {.name = "json", .suffix = ".json", .stacks = true, .records = true, .render = render_json},
    {.name = "pprof",
     .suffix = ".pb.gz",
     .keep_files = true,
     .binary = true,
     .stacks = true,
     .render = render_pprof},
};

const struct format output_records = {
    .name = "records", .records = true, .live = LIVE_RECORDS, .render = render_records};

static bool draws(const struct format *f, bool records)
{
    return records ? f->records : f->stacks;
}

/* One that draws that, else one that is called so. */
static const struct format *by_name(const char *name, bool records)
{
    const struct format *found = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(formats[i].name, name) == 0 && (!found || !draws(found, records)))
            found = &formats[i];
    return found;
}

static const struct format *by_suffix(const char *path, bool records, struct err *e)
{
    char known[128] = "";

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        size_t n = strlen(path), size = strlen(formats[i].suffix), used = strlen(known);

        if (!draws(&formats[i], records))
            continue;
        if (n > size && strcmp(path + n - size, formats[i].suffix) == 0)
            return &formats[i];
        snprintf(known + used, sizeof(known) - used, "%s%s", used ? " " : "", formats[i].suffix);
    }
    err_set(e, ERR_USAGE, "the name of '%.200s' says no format", path);
    err_remedy(e, "end it in one of %s, or give --format=" OUTPUT_FORMATS, known);
    return NULL;
}

const struct format *output_format(const char *word, const char *path, bool records, struct err *e)
{
    static const char *const usual[2][2] = {{"folded", "tree"}, {"rows", "table"}};
    const struct format *f;

    if (!word && path)
        return by_suffix(path, records, e);
    f = by_name(word ? word : usual[records][isatty(STDOUT_FILENO) == 1], records);
    if (f && !draws(f, records)) {
        err_set(e, ERR_USAGE, "the format %s cannot show %s", f->name,
                records ? "the rows of this view" : "stacks");
        err_remedy(e, "give --format=%s",
                   records ? "table, rows, svg or json" : "tree, folded, svg or json");
        return NULL;
    }
    if (f && f->binary && !path && isatty(STDOUT_FILENO)) {
        err_set(e, ERR_USAGE, "%s is binary and stdout is a terminal", f->name);
        err_remedy(e, "give --output=FILE%s", f->suffix);
        return NULL;
    }
    return f;
}

struct output {
    FILE *stream;
    char *path;      /* the name to be; NULL for stdout and for what is no regular file */
    char *temporary; /* the name until then; NULL while the file has none */
    const char *shown;
};

static int refuse(const char *path, int error, struct err *e)
{
    int r = err_set(e, error == EACCES || error == EPERM ? ERR_DENIED : ERR_FAILED,
                    "cannot write '%.200s': %s", path, strerror(error));

    err_remedy(e, "choose another place with --output");
    return r;
}

/* The directory of path; the caller frees it. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *temporary_name(const char *path)
{
    unsigned long long r = 0;
    char *name = NULL;

    if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
        r = (unsigned long long)getpid();
    return asprintf(&name, "%s.%llx.tmp", path, r) < 0 ? NULL : name;
}

/* A file without a name vanishes however this process ends; not every file system has that. */
static int open_unnamed(struct output *o)
{
    _cleanup_free_ char *directory = directory_of(o->path);
    int fd;

    if (!directory)
        return -ENOMEM;
    fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd >= 0 ? fd : -errno;

    o->temporary = temporary_name(o->path);
    if (!o->temporary)
        return -ENOMEM;
    fd = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        fd = -errno;
        free(TAKE_PTR(o->temporary));
    }
    return fd;
}

/* A device or a FIFO is written as it is; a link is followed; everything else is made anew. */
static int open_path(struct output *o, const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        int fd = S_ISDIR(st.st_mode) ? -1 : open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
            return S_ISDIR(st.st_mode) ? -EISDIR : -errno;
        return fd;
    }
    o->path = realpath(path, NULL);
    if (!o->path)
        o->path = strdup(path);
    return o->path ? open_unnamed(o) : -ENOMEM;
}

int output_open(struct output **ret, const char *path, struct err *e)
{
    _cleanup_(output_freep) struct output *o = calloc(1, sizeof(*o));
    _cleanup_close_ int fd = -1;

    if (!o)
        return -ENOMEM;
    o->shown = path ? path : "standard output";
    if (!path) {
        o->stream = stdout;
        *ret = TAKE_PTR(o);
        return 0;
    }
    fd = open_path(o, path);
    if (fd < 0)
        return refuse(path, -fd, e);
    o->stream = fdopen(fd, "w");
    if (!o->stream)
        return -errno;
    TAKE_FD(fd);
    *ret = TAKE_PTR(o);
    return 0;
}

FILE *output_stream(const struct output *o)
{
    return o->stream;
}

/* Names the file that has none yet: a link cannot replace, so it takes a name to rename from. */
static int name_it(struct output *o)
{
    char self[64];

    if (!o->temporary) {
        _cleanup_free_ char *name = temporary_name(o->path);

        if (!name)
            return -ENOMEM;
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fileno(o->stream));
        if (linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) < 0)
            return -errno;
        o->temporary = TAKE_PTR(name);
    }
    return 0;
}

int output_flush(const struct output *o, struct err *e)
{
    if (fflush(o->stream) != 0 || ferror(o->stream))
        return refuse(o->shown, errno ? errno : EIO, e);
    return 0;
}

int output_commit(struct output *o, struct err *e)
{
    int r = output_flush(o, e);

    if (r < 0)
        return r;
    if (o->path) {
        r = name_it(o);
        if (r < 0)
            return refuse(o->shown, -r, e);
    }
    if (o->stream != stdout) {
        /* Some file systems tell only now that there was no room. */
        r = fclose(TAKE_PTR(o->stream)) == 0 ? 0 : -errno;
        if (r < 0)
            return refuse(o->shown, -r, e);
    }
    if (o->temporary) {
        if (rename(o->temporary, o->path) < 0)
            return refuse(o->shown, errno, e);
        free(TAKE_PTR(o->temporary));
    }
    return 0;
}

void output_free(struct output *o)
{
    if (!o)
        return;
    if (o->stream && o->stream != stdout)
        fclose(o->stream);
    if (o->temporary)
        unlink(o->temporary);
    free(o->temporary);
    free(o->path);
    free(o);
}
