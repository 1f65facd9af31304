/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Runs fn in a child; its wait status. */
static int in_child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void load(const struct jail_rule *rules)
{
    _cleanup_filter_ struct jail_filter f = {0};
    struct err e = {0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || jail_filter_compile(rules, &f, &e) < 0 ||
        jail_filter_load(&f) < 0)
        _exit(98);
}

static const struct jail_rule life[] = {JAIL_RULES_LIFE, JAIL_END};
static const struct jail_rule picky[] = {
    JAIL_RULES_LIFE,
    JAIL_FAIL("uname", EXDEV),
    JAIL_ALLOW_IF("prctl", 0, 0xffffffffu, PR_GET_DUMPABLE),
    JAIL_ALLOW("getuid"),
    JAIL_END,
};

static void call_forbidden(void)
{
    load(life);
    syscall(SYS_getuid);
}

static void map_code(void)
{
    load(life);
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void call_another_prctl(void)
{
    load(picky);
    syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static void signal_another(void)
{
    load(picky);
    syscall(SYS_tgkill, 1, 1, 0);
}

static void call_allowed(void)
{
    char names[6 * 65];
    void *at;

    load(picky);
    at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || syscall(SYS_uname, names) != -1 || errno != EXDEV ||
        syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        syscall(SYS_tgkill, getpid(), getpid(), 0) != 0)
        _exit(1);
    _exit(0);
}

static void narrow_again(void)
{
    static const struct jail_rule first[] = {JAIL_RULES_LIFE, JAIL_ALLOW("seccomp getuid prctl"),
                                             JAIL_END};
    struct jail_filter f = {0};

    if (jail_filter_compile(life, &f, NULL) < 0)
        _exit(98);
    load(first);
    syscall(SYS_getuid);
    if (jail_filter_load(&f) < 0)
        _exit(97);
    syscall(SYS_getuid);
}

static void a_call_that_no_rule_allows_ends_the_process(void **state _unused_)
{
    static void (*const bad[])(void) = {call_forbidden, map_code, call_another_prctl,
                                        signal_another, narrow_again};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int status = in_child(bad[i]);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

static void allowed_calls_work_and_others_fail_as_told(void **state _unused_)
{
    int status = in_child(call_allowed);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_rule_for_an_unknown_call_is_an_error(void **state _unused_)
{
    static const struct jail_rule rules[] = {JAIL_ALLOW("read no_such_call"), JAIL_END};
    struct jail_filter f = {0};
    struct err e = {0};

    assert_true(jail_filter_compile(rules, &f, &e) < 0);
    assert_non_null(strstr(e.message, "no_such_call"));
    assert_null(f.code);
}

static void enter_and_look(void)
{
    static const int caps[] = {CAP_KILL, CAP_CHOWN, JAIL_CAPS_END},
                     on[] = {CAP_KILL, JAIL_CAPS_END};
    static const struct jail_limit limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 64}};
    const struct jail jail = {.who = "it",
                              .uid = 65523,
                              .gid = JAIL_SAME_ID,
                              .permitted = caps,
                              .effective = on,
                              .limits = limits,
                              .limit_count = 2,
                              .parent = getppid()};
    struct rlimit limit;
    struct err e = {0};
    gid_t groups[8];

    if (jail_enter(&jail, &e) != 0)
        _exit(1);
    if (getuid() != 65523 || geteuid() != 65523 || getgid() != 65523 || getgroups(8, groups) != 0)
        _exit(2);
    if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        _exit(3);
    for (int c = 0; prctl(PR_CAPBSET_READ, c) >= 0; c++)
        if (prctl(PR_CAPBSET_READ, c) != 0)
            _exit(4);
    if (setuid(0) == 0 || prctl(PR_SET_SECUREBITS, 0) == 0)
        _exit(5);
    if (jail_raise(CAP_CHOWN) != 0 || jail_lower(CAP_CHOWN) != 0 || jail_raise(CAP_SYS_ADMIN) == 0)
        _exit(6);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max != 64)
        _exit(7);
    _exit(0);
}

static void in_the_jail_nothing_can_be_won_back(void **state _unused_)
{
    int status;

    if (geteuid() != 0)
        skip();
    status = in_child(enter_and_look);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void enter_without_a_right(void)
{
    static const int before[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP, JAIL_CAPS_END};
    static const int want[] = {CAP_BPF, CAP_PERFMON, JAIL_CAPS_END};
    const struct jail less = {.who = "it",
                              .uid = JAIL_SAME_ID,
                              .permitted = before,
                              .effective = before,
                              .children_exec = true};
    const struct jail jail = {
        .who = "the agent", .uid = 65523, .gid = JAIL_SAME_ID, .permitted = want};
    struct err e = {0};

    if (jail_enter(&less, &e) != 0)
        _exit(1);
    if (jail_enter(&jail, &e) >= 0 || getuid() != 0)
        _exit(2);
    _exit(strstr(e.message, "the agent lacks CAP_BPF, CAP_PERFMON") && *e.remedy ? 0 : 3);
}

static void a_missing_capability_is_named(void **state _unused_)
{
    int status;

    if (geteuid() != 0)
        skip();
    status = in_child(enter_without_a_right);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void close_and_look(void)
{
    int fds[8], keep[2];

    for (int i = 0; i < 8; i++)
        fds[i] = dup(0);
    keep[0] = fds[5];
    keep[1] = fds[2];
    jail_close_fds(keep, 2);
    for (int i = 0; i < 8; i++)
        if ((fcntl(fds[i], F_GETFD) >= 0) != (i == 2 || i == 5))
            _exit(1);
    _exit(fcntl(2, F_GETFD) >= 0 ? 0 : 2);
}

static void just_the_fds_that_are_kept_stay_open(void **state _unused_)
{
    assert_int_equal(in_child(close_and_look), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_no_rule_allows_ends_the_process),
        cmocka_unit_test(allowed_calls_work_and_others_fail_as_told),
        cmocka_unit_test(a_rule_for_an_unknown_call_is_an_error),
        cmocka_unit_test(in_the_jail_nothing_can_be_won_back),
        cmocka_unit_test(a_missing_capability_is_named),
        cmocka_unit_test(just_the_fds_that_are_kept_stay_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
