/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/craft_census.h"

#include "agent/quota.h"

#include <stdio.h>

/* Whether a/b/c is throttled, in a tree where that file says that. */
static bool set_in(const char *file, const char *text)
{
    char dir[64], group[128];
    bool set;

    tree_new(dir);
    tree_file(dir, "a/b/c/d/cgroup.procs", "");
    tree_file(dir, "a/b/c/cpu.cfs_quota_us", "-1\n");
    tree_file(dir, "a/b/other/cpu.cfs_quota_us", "20000\n");
    tree_file(dir, file, text);
    snprintf(group, sizeof(group), "%s/a/b/c", dir);
    set = quota_is_set(dir, group);
    tree_free(dir);
    return set;
}

static void quotas_of_both_versions_count_where_they_are_set(void **state)
{
    (void)state;
    assert_false(set_in("a/b/c/cpu.cfs_quota_us", "-1\n"));
    assert_true(set_in("a/b/c/cpu.cfs_quota_us", "20000\n"));
    assert_false(set_in("a/cpu.max", "max 100000\n"));
    assert_true(set_in("a/cpu.max", "20000 100000\n"));
}

static void quotas_above_and_below_count_but_not_those_beside(void **state)
{
    (void)state;
    assert_false(set_in("a/b/other/cpu.max", "20000 100000\n"));
    assert_true(set_in("a/cpu.cfs_quota_us", "20000\n"));
    assert_true(set_in("a/b/c/d/cpu.cfs_quota_us", "20000\n"));
    assert_true(set_in("cpu.cfs_quota_us", "20000\n"));
}

static void a_cgroup_that_cannot_be_read_may_have_one(void **state)
{
    (void)state;
    assert_true(quota_is_set("/sys/fs/cgroup", "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_of_both_versions_count_where_they_are_set),
        cmocka_unit_test(quotas_above_and_below_count_but_not_those_beside),
        cmocka_unit_test(a_cgroup_that_cannot_be_read_may_have_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
