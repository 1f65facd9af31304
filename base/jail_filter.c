/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jail.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

void jail_filter_free(struct jail_filter *f)
{
    free(f->code);
    *f = (struct jail_filter){0};
}

static int add_call(scmp_filter_ctx ctx, const struct jail_rule *rule, const char *name)
{
    uint32_t action = rule->error ? SCMP_ACT_ERRNO((uint32_t)rule->error) : SCMP_ACT_ALLOW;
    int nr = seccomp_syscall_resolve_name(name);
    struct scmp_arg_cmp compare[ARRAY_SIZE(rule->when)];
    unsigned count = 0;

    if (nr == __NR_SCMP_ERROR)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(rule->when); i++) {
        const struct jail_when *w = &rule->when[i];

        if (w->own_pid)
            compare[count++] = SCMP_CMP64(w->argument, SCMP_CMP_EQ, (uint64_t)getpid());
        else if (w->mask)
            compare[count++] = SCMP_CMP64(w->argument, SCMP_CMP_MASKED_EQ, w->mask, w->value);
    }
    return seccomp_rule_add_array(ctx, action, nr, count, compare);
}

static int add_rule(scmp_filter_ctx ctx, const struct jail_rule *rule, struct err *e)
{
    char name[32];
    int used, r;

    for (const char *at = rule->names; sscanf(at, "%31s%n", name, &used) == 1; at += used) {
        r = add_call(ctx, rule, name);
        if (r < 0) {
            err_set(e, ERR_UNSUPPORTED, "libseccomp refuses the rule for '%s': %s", name,
                    strerror(-r));
            return r;
        }
    }
    return 0;
}

/* libseccomp 2.5 writes the program to an fd only. */
static int export_program(scmp_filter_ctx ctx, struct jail_filter *ret)
{
    _cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
    _cleanup_free_ struct sock_filter *code = NULL;
    struct stat st;
    int r;

    if (fd < 0)
        return -errno;
    r = seccomp_export_bpf(ctx, fd);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((size_t)st.st_size / sizeof(*code) > BPF_MAXINSNS)
        return -E2BIG;
    code = malloc((size_t)st.st_size);
    if (!code)
        return -ENOMEM;
    if (pread(fd, code, (size_t)st.st_size, 0) != st.st_size)
        return -EIO;
    ret->length = (uint16_t)((size_t)st.st_size / sizeof(*code));
    ret->code = TAKE_PTR(code);
    return 0;
}

int jail_filter_compile(const struct jail_rule *rules, struct jail_filter *ret, struct err *e)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int r = 0;

    if (!ctx) {
        err_set(e, ERR_FAILED, "libseccomp makes no filter");
        err_remedy(e, "is the system call seccomp allowed to this container or service?");
        return -EPERM;
    }
    /* A binary tree instead of a list: a quarter of the cost per call. */
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (; r == 0 && rules->names; rules++)
        r = add_rule(ctx, rules, e);
    if (r == 0)
        r = export_program(ctx, ret);
    seccomp_release(ctx);
    return r;
}

int jail_filter_load(const struct jail_filter *f)
{
    struct sock_fprog program = {.len = f->length, .filter = f->code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
