/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doctor_check.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BTF_PATH "/sys/kernel/btf/vmlinux"

int doctor_read_line(const char *path, char *line, size_t size)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, line, size - 1);
    if (n < 0)
        return -errno;
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return strlen(line);
}

int doctor_read_number(const char *path, long *ret)
{
    char line[32], *end;
    int r = doctor_read_line(path, line, sizeof(line));

    if (r < 0)
        return r;
    errno = 0;
    *ret = strtol(line, &end, 10);
    return end == line || *end || errno ? -EINVAL : 0;
}

struct btf *doctor_btf(struct doctor *d)
{
    if (d->btf || d->btf_error)
        return d->btf;
    d->btf = btf__parse(BTF_PATH, NULL);
    if (!d->btf)
        d->btf_error = errno ? errno : EINVAL;
    return d->btf;
}

void check_btf(struct doctor *d, const struct check *c _unused_, struct finding *f)
{
    struct btf *btf = doctor_btf(d);

    if (btf) {
        check_works(f, "%s: %u types", BTF_PATH, btf__type_cnt(btf) - 1);
        return;
    }
    check_lost(f, "%s cannot be used: %s", BTF_PATH, strerror(d->btf_error));
    check_remedy(f, "a kernel with CONFIG_DEBUG_INFO_BTF=y, and /sys as the host mounts it");
}

/* Opens a file of securityfs through a mount that is attached nowhere and gone with its fd; for
 * hosts that do not mount it. Returns the fd or -errno. */
static int open_in_own_securityfs(const char *file)
{
    _cleanup_close_ int context = -1, mount_fd = -1;
    int fd;

    context = fsopen("securityfs", FSOPEN_CLOEXEC);
    if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    mount_fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
    if (mount_fd < 0)
        return -errno;
    fd = openat(mount_fd, file, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* "none [integrity] confidentiality" -> integrity. Returns 0 or -errno. */
static int read_lockdown(char *mode, size_t size)
{
    _cleanup_close_ int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
    char text[128];
    const char *from;
    ssize_t n;

    if (fd < 0)
        fd = open_in_own_securityfs("lockdown");
    if (fd < 0)
        return fd;
    n = read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    from = strchr(text, '[');
    if (!from)
        return -EINVAL;
    snprintf(mode, size, "%.*s", (int)strcspn(from + 1, "]"), from + 1);
    return 0;
}

void check_lockdown(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    char mode[64];
    int r = read_lockdown(mode, sizeof(mode));

    if (r == -ENOENT) {
        check_works(f, "this kernel has no lockdown");
    } else if (r < 0) {
        check_info(f, "unknown: securityfs is not mounted, and mounting one: %s", strerror(-r));
    } else if (strcmp(mode, "confidentiality") == 0) {
        check_lost(f, "confidentiality: BPF programs may not read the kernel's memory");
        check_remedy(f, "boot with lockdown=integrity or without lockdown");
    } else {
        check_works(f, "%s: tracepoints and perf events are allowed", mode);
    }
}

/* Whether the text of kallsyms has an address that is not zero. Returns 1, 0 or -errno. */
static int kallsyms_has_addresses(void)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/kallsyms", "re");
    char line[512];

    if (!file)
        return -errno;
    for (int i = 0; i < 1000 && fgets(line, sizeof(line), file); i++)
        if (strtoull(line, NULL, 16) != 0)
            return 1;
    return 0;
}

void check_kallsyms(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    int r = kallsyms_has_addresses();
    long restricted = 0;

    if (r > 0) {
        check_works(f, "/proc/kallsyms shows addresses");
        return;
    }
    if (r < 0) {
        check_lost(f, "/proc/kallsyms cannot be read: %s", strerror(-r));
        check_remedy(f, "a kernel with CONFIG_KALLSYMS=y, and the host's /proc");
        return;
    }
    check_lost(f, "/proc/kallsyms shows zeros");
    doctor_read_number("/proc/sys/kernel/kptr_restrict", &restricted);
    if (restricted > 1)
        check_remedy(f, "sysctl kernel.kptr_restrict=1");
    else
        doctor_grant(f, "CAP_SYSLOG");
}

/* As base/pathat.c walks. Returns an fd or -errno. */
static int walk(int root_fd, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

    return fd < 0 ? -errno : fd;
}

void check_openat2(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    _cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int plain = walk(AT_FDCWD, ".");
    _cleanup_close_ int magic = walk(self, "exe");

    if (plain < 0) {
        check_lost(f, "openat2 is refused: %s", strerror(-plain));
        check_remedy(f, "Linux 5.6 or newer; a container's seccomp profile that allows it");
    } else if (magic != -ELOOP) {
        check_lost(f, "openat2 does not refuse magic links");
    } else {
        check_works(f, "walks stay below a root and refuse magic links");
    }
}

/* In a child of its own: a filter that answers EUCLEAN to getppid, tried at once. */
static int seccomp_in_child(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EUCLEAN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        return errno;
    if (syscall(SYS_getppid) >= 0 || errno != EUCLEAN)
        return ENOSYS;
    return 0;
}

/* The namespaces that the parser makes for itself (base/jail.c). */
static int unshare_in_child(void)
{
    int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

    return unshare(flags) < 0 ? errno : 0;
}

/* Runs fn in a child, whose answer (an errno, 0 for success) comes back as 0 or -errno. */
static int try_in_child(int (*fn)(void))
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        return -errno;
    if (pid == 0)
        _exit(fn());
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

void check_seccomp(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    int r = try_in_child(seccomp_in_child);

    if (r == 0) {
        check_works(f, "a filter was set in a child and took effect");
        return;
    }
    check_lost(f, "a filter cannot be set: %s", strerror(-r));
    check_remedy(f, "a kernel with CONFIG_SECCOMP_FILTER=y");
}

void check_userns_create(struct doctor *d _unused_, const struct check *c _unused_,
                         struct finding *f)
{
    int r = try_in_child(unshare_in_child);

    if (r == 0) {
        check_works(f, "a process made a user namespace of its own, with mounts and network");
        return;
    }
    check_lost(f, "a process may not make a user namespace of its own: %s", strerror(-r));
    check_remedy(f, "sysctl user.max_user_namespaces, or an LSM policy that allows it");
}

/* A sysctl of the kernel that is good to know; arg says what it means. */
void check_setting(struct doctor *d _unused_, const struct check *c, struct finding *f)
{
    char path[128], line[64];
    int r;

    snprintf(path, sizeof(path), "/proc/sys/kernel/%s", c->name);
    r = doctor_read_line(path, line, sizeof(line));
    if (r < 0)
        check_info(f, "unknown: %s", strerror(-r));
    else
        check_info(f, "%s (%s)", line, c->arg);
}
