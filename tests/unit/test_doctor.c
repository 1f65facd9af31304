/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doctor.h"
#include "agent/doctor_check.h"
#include "agent/probe.h"
#include "agent/rights.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NO_SOCKET "/nonexistent/porthole.sock"

struct seen {
    size_t count, missing;
    char needs[256][64];
    enum doctor_status statuses[256];
};

static void note(void *data, const struct doctor_result *r)
{
    struct seen *s = data;

    assert_true(s->count < 256);
    assert_true(r->group[0] && r->name[0] && r->title[0] && r->detail[0]);
    if (r->status == DOCTOR_LIMITED || r->status == DOCTOR_MISSING)
        assert_true(r->costs[0]);
    if (r->status == DOCTOR_WORKS)
        assert_true(!r->remedy[0] && !r->costs[0]);
    snprintf(s->needs[s->count], sizeof(s->needs[0]), "%s:%s", r->group, r->name);
    s->statuses[s->count++] = r->status;
    s->missing += r->status == DOCTOR_MISSING;
}

static int run(struct seen *s, struct err *e)
{
    memset(s, 0, sizeof(*s));
    return doctor_run(NO_SOCKET, note, s, e);
}

static size_t find(const struct seen *s, const char *need)
{
    size_t i = 0;

    while (i < s->count && strcmp(s->needs[i], need) != 0)
        i++;
    assert_true(i < s->count);
    return i;
}

static size_t open_fds(void)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    return n;
}

static void every_check_says_something_and_no_two_have_one_name(void **state _unused_)
{
    struct seen s;

    run(&s, NULL);
    assert_true(s.count > 50);
    for (size_t i = 0; i < s.count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(s.needs[i], s.needs[j]);
}

static void the_verdict_comes_with_its_reason(void **state _unused_)
{
    struct err e = {0};
    struct seen s;
    int r = run(&s, &e);

    if (r == 0) {
        assert_int_equal(e.code, ERR_NONE);
    } else {
        assert_int_equal(r, -EOPNOTSUPP);
        assert_int_equal(err_exit_status(e.code), 6);
        assert_true(s.missing > 0 && e.message[0]);
    }
}

static void a_run_leaves_no_fd_no_child_and_the_same_name_behind(void **state _unused_)
{
    char before[16] = "", after[16] = "";
    size_t fds;
    struct seen s;

    prctl(PR_GET_NAME, before);
    fds = open_fds();
    run(&s, NULL);
    assert_int_equal(open_fds(), fds);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    prctl(PR_GET_NAME, after);
    assert_string_equal(before, after);
}

static void explaining_one_need_agrees_with_the_whole_run(void **state _unused_)
{
    struct seen s;

    run(&s, NULL);
    for (size_t i = 0; i < s.count; i++) {
        bool lost = s.statuses[i] == DOCTOR_LIMITED || s.statuses[i] == DOCTOR_MISSING;
        struct err e = {0};
        int r = doctor_explain(s.needs[i], &e);

        assert_int_equal(r, lost ? -EOPNOTSUPP : 0);
        assert_int_equal(e.code, lost ? ERR_UNSUPPORTED : ERR_NONE);
        assert_int_equal(!!e.message[0], lost);
    }
}

static void a_need_may_be_named_without_its_group_unless_two_groups_have_it(void **state _unused_)
{
    struct err e = {0};
    struct seen s;

    run(&s, NULL);
    assert_int_equal(doctor_explain("openat2", NULL) == 0,
                     s.statuses[find(&s, "kernel:openat2")] == DOCTOR_WORKS);
    assert_int_equal(doctor_explain("cgroup", &e), -EINVAL); /* of perf, and the namespace */
    assert_int_equal(e.code, ERR_USAGE);
}

static void an_unknown_need_is_refused(void **state _unused_)
{
    static const char *const needs[] = {"",           "nothing",         "perf:",           "perf",
                                        ":cpu-clock", "perf:cpu-clock ", "kernel:cpu-clock"};

    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        struct err e = {0};

        assert_int_equal(doctor_explain(needs[i], &e), -EINVAL);
        assert_int_equal(e.code, ERR_USAGE);
    }
}

/* In a child, so that this process keeps its rights: what a check says without a capability. */
static void explain_without(cap_value_t *caps, int count, const char *need, const char *says)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        cap_t held = cap_get_proc();
        struct err e = {0};
        int r = cap_set_flag(held, CAP_EFFECTIVE, count, caps, CAP_CLEAR);

        /* What is permitted may be raised for a moment: it has to go as well. */
        if (r == 0)
            r = cap_set_flag(held, CAP_PERMITTED, count, caps, CAP_CLEAR);
        if (r < 0 || cap_set_proc(held) < 0)
            _exit(2);
        r = doctor_explain(need, &e);
        _exit(r == -EOPNOTSUPP && e.code == ERR_UNSUPPORTED && strstr(e.message, says) &&
                      e.remedy[0]
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_lost_capability_is_named_by_what_fails_for_it(void **state _unused_)
{
    cap_value_t bpf[] = {CAP_BPF, CAP_SYS_ADMIN}, perfmon[] = {CAP_PERFMON, CAP_SYS_ADMIN},
                ptrace[] = {CAP_SYS_PTRACE};

    if (!doctor_capable(CAP_BPF) || !doctor_capable(CAP_PERFMON))
        skip();
    explain_without(bpf, 2, "bpf:perf_event", "CAP_BPF is not held");
    explain_without(bpf, 2, "tracepoint:sched_switch", "CAP_BPF is not held");
    explain_without(bpf, 1, "capability:CAP_BPF", "not held");
    explain_without(perfmon, 2, "perf:cpu-clock", "CAP_PERFMON is not held");
    explain_without(perfmon, 2, "bpf:tp_btf", "CAP_PERFMON is not held");
    explain_without(ptrace, 1, "CAP_SYS_PTRACE", "not held");
}

static bool is_listed(const int *caps, int cap)
{
    for (; *caps != JAIL_CAPS_END; caps++)
        if (*caps == cap)
            return true;
    return false;
}

/* What portholed insists on is vital to doctor, what it wants is at least known to doctor, and
 * nothing else is vital. */
static void capabilities_are_judged_as_the_agent_judges_them(void **state _unused_)
{
    char names[512], word[32];
    struct seen s;

    run(&s, NULL);
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
        char *name = cap_to_name(cap);
        bool needed = is_listed(rights_needed, cap), wanted = is_listed(rights_wanted, cap);
        bool shown = false;

        assert_non_null(name);
        snprintf(word, sizeof(word), "CAP_%s", name + strlen("cap_"));
        for (char *p = word; *p; p++)
            *p = (char)toupper((unsigned char)*p);
        snprintf(names, sizeof(names), "capability:%s", word);
        for (size_t i = 0; i < s.count; i++)
            shown |= strcmp(s.needs[i], names) == 0;
        cap_free(name);
        assert_true(shown || (!needed && !wanted));
        assert_true(!needed || doctor_is_vital(names));
        assert_true(!shown || !doctor_is_vital(names) || needed || wanted);
    }
}

static bool may_be_asked_in_jail(const char *need)
{
    static const char *const words[] = {"perf:",       "bpf:",     "feature:",   "tracepoint:",
                                        "capability:", "setting:", "kernel:btf", "kernel:kallsyms"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strncmp(need, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void the_agent_survives_asking_from_its_jail(void **state _unused_)
{
    char missing[256];
    struct seen s;
    int status;
    pid_t pid;

    if (geteuid() != 0 || jail_missing_caps(rights_needed, missing, sizeof(missing)))
        skip();
    run(&s, NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (rights_enter_agent(65520, 65520, getppid(), NULL) < 0)
            _exit(2);
        for (size_t i = 0; i < s.count; i++) {
            struct err e = {0};
            int r = may_be_asked_in_jail(s.needs[i]) ? doctor_explain(s.needs[i], &e) : 0;

            if (r != 0 && (r != -EOPNOTSUPP || !e.message[0]))
                _exit(3);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0); /* SIGSYS is 31 */
}

static void what_the_views_need_is_in_the_table(void **state _unused_)
{
    for (size_t i = 0; probe_table[i]; i++)
        for (const char *const *need = probe_table[i]->needs; *need; need++)
            assert_int_not_equal(doctor_explain(*need, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_says_something_and_no_two_have_one_name),
        cmocka_unit_test(the_verdict_comes_with_its_reason),
        cmocka_unit_test(a_run_leaves_no_fd_no_child_and_the_same_name_behind),
        cmocka_unit_test(explaining_one_need_agrees_with_the_whole_run),
        cmocka_unit_test(a_need_may_be_named_without_its_group_unless_two_groups_have_it),
        cmocka_unit_test(an_unknown_need_is_refused),
        cmocka_unit_test(capabilities_are_judged_as_the_agent_judges_them),
        cmocka_unit_test(the_agent_survives_asking_from_its_jail),
        cmocka_unit_test(what_the_views_need_is_in_the_table),
        cmocka_unit_test(a_lost_capability_is_named_by_what_fails_for_it),
    };

    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
