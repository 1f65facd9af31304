/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNTS_MAX 64
#define MOUNTINFO_MAX ((size_t)16 << 20)

/* v1 controllers that a filter can use, best first: those that runtimes always set come first. */
static const char *const preferred[] = {
    "memory",  "pids",    "cpu",        "cpuacct", "cpuset",   "blkio",
    "devices", "freezer", "perf_event", "net_cls", "net_prio", "hugetlb",
};

struct cgroups {
    char *prefix;
    struct cgroup_mount mounts[MOUNTS_MAX];
    size_t count;
};

void cgroups_free(struct cgroups *cg)
{
    if (!cg)
        return;
    for (size_t i = 0; i < cg->count; i++) {
        free(cg->mounts[i].controllers);
        free(cg->mounts[i].path);
        free(cg->mounts[i].root);
        free(cg->mounts[i].own);
    }
    free(cg->prefix);
    free(cg);
}

/* Word i of a comma-separated list equals name. */
static bool list_has(const char *list, const char *name)
{
    size_t size = strlen(name);

    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");

        if (n == size && strncmp(p, name, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

unsigned cgroup_preference(const char *controllers)
{
    for (unsigned i = 0; i < ARRAY_SIZE(preferred); i++)
        if (list_has(controllers, preferred[i]))
            return i;
    return ARRAY_SIZE(preferred);
}

const struct cgroup_mount *cgroups_of_controller(const struct cgroups *cg, const char *controller)
{
    size_t count;
    const struct cgroup_mount *m = cgroups_mounts(cg, &count);

    for (size_t i = 0; i < count; i++) {
        const char *at = m[i].v2 ? NULL : strstr(m[i].controllers, controller);
        size_t n = strlen(controller);

        if (at && (at == m[i].controllers || at[-1] == ',') && (at[n] == '\0' || at[n] == ','))
            return &m[i];
    }
    return NULL;
}

bool cgroup_subsystem(const char *controllers, char name[16])
{
    unsigned i = cgroup_preference(controllers);

    if (i == ARRAY_SIZE(preferred))
        return false;
    strncpy(name, preferred[i], 15);
    name[15] = '\0';
    return true;
}

/* Turns mountinfo's octal escapes back, in place. */
static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* Super block options of a v1 mount hold its controllers among others. */
static char *controllers_of(char *options)
{
    struct buf b = {0};
    char *word;

    while ((word = strsep(&options, ","))) {
        bool known = strncmp(word, "name=", 5) == 0;

        for (size_t i = 0; i < ARRAY_SIZE(preferred) && !known; i++)
            known = strcmp(word, preferred[i]) == 0;
        if (!known && strcmp(word, "rdma") != 0 && strcmp(word, "misc") != 0)
            continue;
        if (b.size > 0)
            buf_addc(&b, ',');
        buf_adds(&b, word);
    }
    if (b.size == 0)
        buf_adds(&b, "");
    if (!b.data)
        return strdup("");
    return b.data;
}

static bool same_hierarchy(const struct cgroup_mount *a, const struct cgroup_mount *b)
{
    return a->v2 == b->v2 && strcmp(a->controllers, b->controllers) == 0;
}

/* How much of its hierarchy a mount shows: all of it, seen from a namespace's root or from above.
 */
static unsigned reach(const char *root)
{
    unsigned ups = 0;

    for (; strncmp(root, "/..", 3) == 0; root += 3)
        ups++;
    return ups + (*root == '\0' || strcmp(root, "/") == 0);
}

/* Takes over m's strings. Of two mounts of one hierarchy the one that shows more of it stays. */
static void keep_mount(struct cgroups *cg, struct cgroup_mount *m)
{
    struct cgroup_mount gone = *m;

    for (size_t i = 0; i < cg->count; i++) {
        if (!same_hierarchy(&cg->mounts[i], m))
            continue;
        if (reach(m->root) > reach(cg->mounts[i].root)) {
            gone = cg->mounts[i];
            cg->mounts[i] = *m;
        }
        goto drop;
    }
    if (cg->count < MOUNTS_MAX) {
        cg->mounts[cg->count++] = *m;
        return;
    }
drop:
    free(gone.controllers);
    free(gone.path);
    free(gone.root);
}

/* "id parent dev root point options fields… - type source super": see proc(5). */
static int add_mount(struct cgroups *cg, char *line)
{
    struct cgroup_mount m = {0};
    char *dash = strstr(line, " - "), *fields[5] = {0}, *type, *super;

    if (!dash)
        return 0;
    *dash = '\0';
    dash += 3;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        fields[i] = strsep(&line, " ");
    type = strsep(&dash, " ");
    strsep(&dash, " ");
    super = dash;
    if (!fields[4] || !super || (strcmp(type, "cgroup") != 0 && strcmp(type, "cgroup2") != 0))
        return 0;
    unescape(fields[3]);
    unescape(fields[4]);
    m.v2 = type[6] == '2';
    m.controllers = m.v2 ? strdup("") : controllers_of(super);
    m.root = strdup(fields[3]);
    if (asprintf(&m.path, "%s%s", cg->prefix, fields[4]) < 0)
        m.path = NULL;
    if (!m.controllers || !m.root || !m.path) {
        free(m.controllers);
        free(m.root);
        free(m.path);
        return -ENOMEM;
    }
    keep_mount(cg, &m);
    return 0;
}

static int compare_mounts(const void *a, const void *b)
{
    const struct cgroup_mount *x = a, *y = b;
    unsigned px = x->v2 ? 0 : 1 + cgroup_preference(x->controllers);
    unsigned py = y->v2 ? 0 : 1 + cgroup_preference(y->controllers);

    return (px > py) - (px < py);
}

static int read_text(const char *prefix, const char *name, struct buf *ret)
{
    _cleanup_close_ int fd = -1;
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/proc/self/%s", prefix, name) >= sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : buf_read_all(ret, fd, MOUNTINFO_MAX);
}

/* Where we are in a namespace of our own, and mounts show what is above it. */
static int find_own(struct cgroups *cg)
{
    _cleanup_buf_ struct buf text = {0};
    struct cgroup_line l;
    size_t at = 0;
    int r = read_text(cg->prefix, "cgroup", &text);

    while (r >= 0 && cgroup_line_next(text.data, text.size, &at, &l))
        for (size_t i = 0; r >= 0 && i < cg->count; i++)
            if (strlen(cg->mounts[i].controllers) == l.controllers_size &&
                strncmp(cg->mounts[i].controllers, l.controllers, l.controllers_size) == 0)
                r = cgroup_find_own(&cg->mounts[i], l.path, l.path_size, getpid());
    return r == -ENOMEM ? r : 0;
}

int cgroups_new(const char *prefix, struct cgroups **ret)
{
    _cleanup_(cgroups_freep) struct cgroups *cg = calloc(1, sizeof(*cg));
    _cleanup_buf_ struct buf text = {0};
    char *rest, *line;
    int r;

    if (!cg)
        return -ENOMEM;
    cg->prefix = strdup(prefix);
    if (!cg->prefix)
        return -ENOMEM;
    r = read_text(prefix, "mountinfo", &text);
    if (r < 0)
        return r;
    rest = text.data;
    while (rest && (line = strsep(&rest, "\n"))) {
        r = add_mount(cg, line);
        if (r < 0)
            return r;
    }
    qsort(cg->mounts, cg->count, sizeof(*cg->mounts), compare_mounts);
    r = find_own(cg);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(cg);
    return 0;
}

enum cgroup_mode cgroups_mode(const struct cgroups *cg)
{
    bool v1 = false, v2 = false;

    for (size_t i = 0; i < cg->count; i++) {
        v2 |= cg->mounts[i].v2;
        v1 |= !cg->mounts[i].v2 &&
              cgroup_preference(cg->mounts[i].controllers) < ARRAY_SIZE(preferred);
    }
    if (v1)
        return v2 ? CGROUP_MODE_HYBRID : CGROUP_MODE_V1;
    return v2 ? CGROUP_MODE_V2 : CGROUP_MODE_NONE;
}

const char *cgroup_mode_name(enum cgroup_mode mode)
{
    static const char *const names[] = {"none", "v1", "v2", "hybrid"};

    return mode < ARRAY_SIZE(names) ? names[mode] : "none";
}

const char *cgroups_prefix(const struct cgroups *cg)
{
    return cg->prefix;
}

const struct cgroup_mount *cgroups_mounts(const struct cgroups *cg, size_t *count)
{
    *count = cg->count;
    return cg->mounts;
}

/* Mount options and /proc/PID/cgroup may order joined controllers differently. */
static bool same_controllers(const char *a, const char *b)
{
    char name[64];

    if (strcmp(a, b) == 0)
        return true;
    if (strlen(a) != strlen(b))
        return false;
    while (*a) {
        size_t n = strcspn(a, ",");

        if (n >= sizeof(name))
            return false;
        memcpy(name, a, n);
        name[n] = '\0';
        if (!list_has(b, name))
            return false;
        a += n + (a[n] == ',');
    }
    return true;
}

const struct cgroup_mount *cgroups_find(const struct cgroups *cg, const char *controllers)
{
    for (size_t i = 0; i < cg->count; i++)
        if (cg->mounts[i].v2
                ? !*controllers
                : *controllers && same_controllers(cg->mounts[i].controllers, controllers))
            return &cg->mounts[i];
    return NULL;
}

static bool has_dotdot(const char *path)
{
    for (const char *p = path; *p;) {
        size_t n;

        p += strspn(p, "/");
        n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return true;
        p += n;
    }
    return false;
}

char *cgroup_directory(const struct cgroup_mount *m, const char *path)
{
    size_t root = strlen(m->root);
    char *directory;

    if (path[0] != '/' || has_dotdot(path))
        return NULL;
    if (strcmp(m->root, "/") != 0) {
        if (strncmp(path, m->root, root) != 0 || (path[root] && path[root] != '/'))
            return NULL;
        path += root;
    }
    while (path[0] == '/' && (path[1] == '/' || !path[1]))
        path++;
    return asprintf(&directory, "%s%s", m->path, path) < 0 ? NULL : directory;
}

int cgroup_id(const char *directory, uint64_t *ret)
{
    struct stat st;

    if (lstat(directory, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    *ret = st.st_ino;
    return 0;
}

unsigned cgroup_level(const char *path)
{
    unsigned level = 0;

    for (;;) {
        path += strspn(path, "/");
        if (!*path)
            return level;
        path += strcspn(path, "/");
        level++;
    }
}
