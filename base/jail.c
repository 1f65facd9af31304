/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int fail(struct err *e, const struct jail *j, const char *what)
{
    int error = errno;

    err_set(e, error == EPERM ? ERR_DENIED : ERR_FAILED, "%s cannot %s: %s", j->who, what,
            strerror(error));
    return error ? -error : -EPERM;
}

/* Makes the list the effective set (and the permitted one too, if asked). */
static int set_caps(const int *permitted, const int *effective)
{
    cap_t caps = cap_init();
    int r = 0;

    if (!caps)
        return -ENOMEM;
    for (; permitted && *permitted != JAIL_CAPS_END; permitted++) {
        cap_value_t one = *permitted;

        r |= cap_set_flag(caps, CAP_PERMITTED, 1, &one, CAP_SET);
    }
    for (; effective && *effective != JAIL_CAPS_END; effective++) {
        cap_value_t one = *effective;

        r |= cap_set_flag(caps, CAP_EFFECTIVE, 1, &one, CAP_SET);
    }
    if (r < 0 || cap_set_proc(caps) < 0)
        r = -errno;
    cap_free(caps);
    return r;
}

/* Switches everything on that is permitted. */
static int all_effective(void)
{
    cap_t caps = cap_get_proc();
    int r = 0;

    if (!caps)
        return -errno;
    for (cap_value_t c = 0; c < cap_max_bits(); c++) {
        cap_flag_value_t has = CAP_CLEAR;

        if (cap_get_flag(caps, c, CAP_PERMITTED, &has) == 0 && has == CAP_SET)
            cap_set_flag(caps, CAP_EFFECTIVE, 1, &c, CAP_SET);
    }
    if (cap_set_proc(caps) < 0)
        r = -errno;
    cap_free(caps);
    return r;
}

static bool holds(int capability, cap_flag_t flag)
{
    cap_flag_value_t has = CAP_CLEAR;
    cap_t caps = cap_get_proc();

    if (caps) {
        cap_get_flag(caps, capability, flag, &has);
        cap_free(caps);
    }
    return has == CAP_SET;
}

size_t jail_missing_caps(const int *caps, char *names, size_t size)
{
    size_t missing = 0, used = 0;

    names[0] = '\0';
    for (; caps && *caps != JAIL_CAPS_END; caps++) {
        char *name;

        if (holds(*caps, CAP_PERMITTED))
            continue;
        name = cap_to_name(*caps);
        for (char *p = name; p && *p; p++)
            if (*p >= 'a' && *p <= 'z')
                *p -= 'a' - 'A';
        if (used < size)
            used += (size_t)snprintf(names + used, size - used, "%s%s", missing ? ", " : "",
                                     name ? name : "?");
        cap_free(name);
        missing++;
    }
    return missing;
}

const int *jail_held_caps(const int *caps, int *ret)
{
    int *to = ret;

    for (; *caps != JAIL_CAPS_END; caps++)
        if (holds(*caps, CAP_PERMITTED))
            *to++ = *caps;
    *to = JAIL_CAPS_END;
    return ret;
}

static bool listed(const int *caps, int capability)
{
    for (; caps && *caps != JAIL_CAPS_END; caps++)
        if (*caps == capability)
            return true;
    return false;
}

/* Nothing that is ever exec'ed gets back what is not in the list. */
static int shrink_bounding_set(const struct jail *j)
{
    for (int c = 0; prctl(PR_CAPBSET_READ, c) >= 0; c++) {
        if (j->children_exec && listed(j->permitted, c))
            continue;
        if (prctl(PR_CAPBSET_READ, c) == 1 && prctl(PR_CAPBSET_DROP, c) < 0)
            return -errno;
    }
    return 0;
}

/* Becomes the other user with every capability still in hand, for the steps that follow. */
static int change_ids(const struct jail *j)
{
    gid_t gid = j->gid == JAIL_SAME_ID ? j->uid : j->gid;

    if (j->uid == JAIL_SAME_ID)
        return 0;
    if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(j->uid, j->uid, j->uid) < 0)
        return -errno;
    return all_effective();
}

/* Network, IPC, host name and mounts of our own; the root becomes an empty read-only tmpfs. The
 * user namespace makes it possible without any capability on the host. */
static int isolate(void)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return -errno;
    /* Any directory that surely exists does as the place of the new root. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=2") < 0 || chdir("/proc") < 0)
        return -errno;
    /* An initramfs cannot be pivoted away; a chroot without CAP_SYS_CHROOT is as empty. */
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        if (umount2(".", MNT_DETACH) < 0)
            return -errno;
    } else if (chroot(".") < 0) {
        return -errno;
    }
    if (chdir("/") < 0 ||
        mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
        return -errno;
    return 0;
}

static int lock_securebits(void)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                     SECBIT_NO_CAP_AMBIENT_RAISE |
                                     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) < 0)
        return -errno;
    return 0;
}

static int drop_caps(const struct jail *j, struct err *e)
{
    int r;

    if (!j->children_exec && lock_securebits() < 0)
        return fail(e, j, "lock its securebits (CAP_SETPCAP missing?)");
    if (shrink_bounding_set(j) < 0)
        return fail(e, j, "empty its bounding set (CAP_SETPCAP missing?)");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fail(e, j, "clear its ambient capabilities");
    r = set_caps(j->permitted, j->effective);
    if (r < 0) {
        errno = -r;
        return fail(e, j, "keep just the capabilities it needs");
    }
    return 0;
}

/* Everything that must come after the last change of credentials, which resets it. */
static int seal(const struct jail *j, struct err *e)
{
    _cleanup_filter_ struct jail_filter filter = {0};
    int r;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(e, j, "give up new privileges");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail(e, j, "become undumpable");
    if (j->parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
            return fail(e, j, "tie itself to its parent");
        /* It may have died before that call. */
        if (getppid() != j->parent)
            return err_set(e, ERR_FAILED, "%s lost its parent while it started", j->who);
    }
    if (!j->rules)
        return 0;
    r = jail_filter_compile(j->rules, &filter, e);
    if (r < 0)
        return r;
    if (jail_filter_load(&filter) < 0)
        return fail(e, j, "install its seccomp filter");
    return 0;
}

int jail_enter(const struct jail *j, struct err *e)
{
    static const int to_change_ids[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP, JAIL_CAPS_END};
    const int *needed[] = {j->permitted, j->uid == JAIL_SAME_ID ? NULL : to_change_ids};
    char names[256];
    bool isolated = true;
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (jail_missing_caps(needed[i], names, sizeof(names))) {
            err_set(e, ERR_DENIED, "%s lacks %s", j->who, names);
            err_remedy(e, "start portholed as root, in a container with these capabilities added");
            return -EPERM;
        }
    for (size_t i = 0; i < j->limit_count; i++) {
        struct rlimit limit = {j->limits[i].value, j->limits[i].value}, now;

        /* A lower hard limit than ours is fine; raising it would need CAP_SYS_RESOURCE. */
        if (getrlimit(j->limits[i].resource, &now) == 0)
            limit.rlim_cur = limit.rlim_max = MIN(limit.rlim_max, now.rlim_max);
        if (setrlimit(j->limits[i].resource, &limit) < 0)
            return fail(e, j, "set its resource limits");
    }
    if (change_ids(j) < 0)
        return fail(e, j, "change its user");
    if (j->isolate)
        isolated = isolate() == 0;
    r = drop_caps(j, e);
    if (r == 0)
        r = seal(j, e);
    return r < 0 ? r : isolated ? 0 : 1;
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void jail_close_fds(int *keep, size_t count)
{
    unsigned next = 3;

    qsort(keep, count, sizeof(*keep), compare_ints);
    for (size_t i = 0; i < count; i++) {
        if (keep[i] < (int)next)
            continue;
        if ((unsigned)keep[i] > next)
            syscall(SYS_close_range, next, (unsigned)keep[i] - 1, 0);
        next = (unsigned)keep[i] + 1;
    }
    syscall(SYS_close_range, next, ~0u, 0);
}

int jail_null_stdio(void)
{
    _cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    /* dup2 to itself would keep CLOEXEC; fd is above 2 as long as 0 to 2 are open. */
    if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        return -errno;
    if (fd <= STDERR_FILENO)
        TAKE_FD(fd);
    return 0;
}
