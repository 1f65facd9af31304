/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup.h"
#include "agent/doctor_check.h"
#include "agent/perf_event.h"
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <linux/magic.h>

#define INITIAL_USER_NS 0xeffffffdul /* inode numbers that the kernel fixes (proc_ns.h) */
#define MOUNTINFO_MAX (4u << 20)

/* Inode number of one of our own namespaces, 0 when it cannot be read. */
static unsigned long own_namespace(const char *name)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    return stat(path, &st) < 0 ? 0 : st.st_ino;
}

bool doctor_in_initial_userns(void)
{
    unsigned long inode = own_namespace("user");

    return !inode || inode == INITIAL_USER_NS; /* without /proc, nothing says otherwise */
}

static bool capability_set(cap_value_t cap)
{
    cap_flag_value_t value = CAP_CLEAR;
    cap_t caps = cap_get_proc();

    if (!caps)
        return false;
    cap_get_flag(caps, cap, CAP_EFFECTIVE, &value);
    cap_free(caps);
    return value == CAP_SET;
}

bool doctor_capable(cap_value_t cap)
{
    return capability_set(cap) && doctor_in_initial_userns();
}

/* CAP_SYS_ADMIN stands in for it, so that alone may explain a refusal only when both lack. */
static bool denied(cap_value_t cap)
{
    return !doctor_capable(cap) && !doctor_capable(CAP_SYS_ADMIN);
}

/* Remedy where a capability lacks: root lacks one only when somebody took it away. */
void doctor_grant(struct finding *f, const char *capabilities)
{
    if (geteuid() == 0)
        check_remedy(f, "give this root %s back (--cap-add, CapabilityBoundingSet=)", capabilities);
    else
        check_remedy(f, "run as root, or grant %s", capabilities);
}

static void explain(struct finding *f, const char *what, int error, const char *lacks)
{
    if (error != EPERM && error != EACCES) {
        check_lost(f, "%s: %s", what, strerror(error));
    } else if (!doctor_in_initial_userns()) {
        check_lost(f, "%s: %s (this is not the initial user namespace)", what, strerror(error));
        check_remedy(f, "run outside user namespaces: capabilities inside one do not count");
    } else if (lacks) {
        check_lost(f, "%s: %s (%s is not held)", what, strerror(error), lacks);
        doctor_grant(f, "CAP_BPF and CAP_PERFMON");
    } else {
        check_lost(f, "%s: %s, though CAP_BPF and CAP_PERFMON are held", what, strerror(error));
        check_remedy(f, "look at lockdown, at LSM policies, and at a container's seccomp profile");
    }
}

void doctor_explain_bpf(struct finding *f, const char *what, int error)
{
    explain(f, what, error,
            denied(CAP_BPF)       ? "CAP_BPF"
            : denied(CAP_PERFMON) ? "CAP_PERFMON"
                                  : NULL);
}

void doctor_explain_perf(struct finding *f, const char *what, int error)
{
    if (error == EACCES && !doctor_capable(CAP_SYS_ADMIN) && doctor_capable(CAP_PERFMON) &&
        perf_event_wants_admin()) {
        check_lost(f, "%s: %s (at kernel.perf_event_paranoid 3, CAP_SYS_ADMIN is wanted)", what,
                   strerror(error));
        check_remedy(f, PERF_EVENT_ADMIN_REMEDY);
        return;
    }
    explain(f, what, error, denied(CAP_PERFMON) ? "CAP_PERFMON" : NULL);
}

void check_capability(struct doctor *d _unused_, const struct check *c, struct finding *f)
{
    if (!capability_set(c->number)) {
        check_lost(f, "not held");
        doctor_grant(f, c->name);
    } else if (!doctor_in_initial_userns()) {
        check_lost(f, "held, but only in a user namespace");
        check_remedy(f, "run outside user namespaces");
    } else {
        check_works(f, "held");
    }
}

#define HIERARCHY_ROOT_ID 1

/* Whether what the mounts show makes up for a cgroup namespace of our own. */
static bool cgroups_are_whole(void)
{
    _cleanup_(cgroups_freep) struct cgroups *cg = NULL;
    const struct cgroup_mount *m;
    size_t count = 0;
    uint64_t id;

    if (cgroups_new("", &cg) < 0)
        return false;
    m = cgroups_mounts(cg, &count);
    for (size_t i = 0; i < count; i++)
        if (!m[i].own && (cgroup_id(m[i].path, &id) < 0 || id != HIERARCHY_ROOT_ID))
            return false;
    return count > 0;
}

/* arg is what to do about it. */
void check_namespace(struct doctor *d _unused_, const struct check *c, struct finding *f)
{
    unsigned long inode = own_namespace(c->name);

    if (inode == (unsigned long)c->number) {
        check_works(f, "the host's");
    } else if (!inode) {
        check_info(f, "unknown: /proc/self/ns/%s cannot be read", c->name);
    } else if (strcmp(c->name, "cgroup") == 0 && cgroups_are_whole()) {
        check_works(f, "not the host's, but all of the host's cgroups are mounted");
    } else {
        check_lost(f, "not the host's");
        check_remedy(f, "%s", c->arg);
    }
}

/* One mount of this process's mount namespace, borrowed from a line of mountinfo (proc(5)). */
struct mount_line {
    char *root, *point, *type, *super_options;
};

/* Takes a line apart in place; false when it is not one. */
static bool split_mount(char *line, struct mount_line *m)
{
    char *save = NULL, *dash = strstr(line, " - ");

    if (!dash)
        return false;
    *dash = '\0';
    for (int i = 0; i < 3; i++)
        if (!strtok_r(i ? NULL : line, " ", &save))
            return false;
    m->root = strtok_r(NULL, " ", &save);
    m->point = strtok_r(NULL, " ", &save);
    m->type = strtok_r(dash + 3, " ", &save);
    if (!strtok_r(NULL, " ", &save))
        return false;
    m->super_options = strtok_r(NULL, "\n", &save);
    return m->root && m->point && m->type && m->super_options;
}

/* Calls fn for every mount; what was last mounted comes last. Returns 0 or -errno. */
static int each_mount(void (*fn)(void *data, const struct mount_line *m), void *data)
{
    _cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    _cleanup_buf_ struct buf text = {0};
    char *save = NULL;
    int r;

    if (fd < 0)
        return -errno;
    r = buf_read_all(&text, fd, MOUNTINFO_MAX);
    if (r < 0)
        return r;
    for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        struct mount_line m;

        if (split_mount(line, &m))
            fn(data, &m);
    }
    return 0;
}

/* Appends the controllers of each v1 hierarchy, and where v2 is. */
static void describe_mounts(const struct cgroups *cg, struct buf *b)
{
    const struct cgroup_mount *mounts;
    bool first = true;
    size_t count;

    mounts = cgroups_mounts(cg, &count);
    for (size_t i = 0; i < count; i++) {
        if (mounts[i].v2) {
            buf_addf(b, "v2 at %s", mounts[i].path);
            continue;
        }
        buf_addf(b, "%s%s", !first ? " " : b->size ? ", v1 has " : "", mounts[i].controllers);
        first = false;
    }
}

void check_cgroups(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    _cleanup_(cgroups_freep) struct cgroups *cg = NULL;
    _cleanup_buf_ struct buf text = {0};
    int r = cgroups_new("", &cg);

    if (r < 0) {
        check_lost(f, "/proc/self/mountinfo cannot be read: %s", strerror(-r));
    } else if (cgroups_mode(cg) == CGROUP_MODE_NONE) {
        check_lost(f, "no cgroup file system is mounted");
        check_remedy(f,
                     "mount -t cgroup2 cgroup2 /sys/fs/cgroup; in a container, mount the host's");
    } else {
        describe_mounts(cg, &text);
        check_works(f, "%s: %s", cgroup_mode_name(cgroups_mode(cg)), text.data ? text.data : "");
    }
}

int doctor_own_cgroup(char *path, size_t size)
{
    _cleanup_(cgroups_freep) struct cgroups *cg = NULL;
    _cleanup_free_ char *directory = NULL;
    const struct cgroup_mount *v2;
    _cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
    char line[4096];
    int r = cgroups_new("", &cg);

    if (r < 0)
        return r;
    v2 = cgroups_find(cg, "");
    if (!v2 || !file)
        return -ENOENT;
    while (!directory && fgets(line, sizeof(line), file)) {
        _cleanup_free_ char *absolute = NULL;

        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            absolute = cgroup_absolute(v2, line + 3, strlen(line + 3));
        if (absolute)
            directory = cgroup_directory(v2, absolute);
    }
    if (!directory)
        return -ENOENT;
    return snprintf(path, size, "%s", directory) < (int)size ? 0 : -ENAMETOOLONG;
}

static void collect_hidepid(void *data, const struct mount_line *m)
{
    const char *option;

    if (strcmp(m->type, "proc") != 0 || strcmp(m->point, "/proc") != 0)
        return;
    option = strstr(m->super_options, "hidepid=");
    if (!option)
        option = strstr(m->super_options, "subset=pid");
    snprintf(data, 64, "%.*s", option ? (int)strcspn(option, ",") : 0, option ? option : "");
}

/* Whether a process of somebody else can be seen: init, which everybody has. */
static bool init_is_visible(void)
{
    char line[64];

    return doctor_read_line("/proc/1/stat", line, sizeof(line)) > 0;
}

void check_hidepid(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    char option[64] = "";
    int r = each_mount(collect_hidepid, option);

    if (r < 0) {
        check_lost(f, "/proc/self/mountinfo cannot be read: %s", strerror(-r));
    } else if (!init_is_visible()) {
        check_lost(f, "processes of others are hidden (/proc is mounted with %s)",
                   option[0] ? option : "some restriction");
        check_remedy(f, "mount -o remount,hidepid=0 /proc, or grant CAP_SYS_PTRACE");
    } else if (option[0]) {
        check_works(f, "/proc is mounted with %s, which this process's rights overcome", option);
    } else {
        check_works(f, "/proc shows the processes of all users");
    }
}

void check_tracefs(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    struct statfs st;
    char line[64];
    int r;

    if (statfs("/sys/kernel/tracing", &st) < 0 || st.f_type != TRACEFS_MAGIC) {
        check_lost(f, "not mounted at /sys/kernel/tracing");
        check_remedy(f, "mount -t tracefs tracefs /sys/kernel/tracing");
        return;
    }
    r = doctor_read_line("/sys/kernel/tracing/events/sched/sched_switch/id", line, sizeof(line));
    if (r > 0) {
        check_works(f, "mounted, ids of tracepoints can be read");
        return;
    }
    check_lost(f, "mounted, but ids of tracepoints cannot be read: %s", strerror(-r));
    check_remedy(f, "run as root");
}
