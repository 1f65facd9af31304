/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/craft_census.h"

#include "agent/cgroup.h"

#define MOUNT(id, point, type, super) \
    id " 20 0:" id " / " point " rw,relatime shared:9 - " type " none rw," super "\n"
#define V2(point) "38 31 0:38 / " point " rw,relatime - cgroup2 cgroup2 rw\n"
#define MEMORY MOUNT("35", "/sys/fs/cgroup/memory", "cgroup", "memory")
#define CPU MOUNT("36", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct")
#define SYSTEMD MOUNT("37", "/sys/fs/cgroup/systemd", "cgroup", "xattr,name=systemd")

static struct cgroups *open_cgroups(char dir[64], const char *mountinfo)
{
    struct cgroups *cg;

    tree_new(dir);
    tree_file(dir, "proc/self/mountinfo", mountinfo);
    assert_int_equal(cgroups_new(dir, &cg), 0);
    return cg;
}

static enum cgroup_mode mode_of(const char *mountinfo)
{
    char dir[64];
    struct cgroups *cg = open_cgroups(dir, mountinfo);
    enum cgroup_mode mode = cgroups_mode(cg);

    cgroups_free(cg);
    tree_free(dir);
    return mode;
}

static void the_mode_follows_from_what_is_mounted(void **state)
{
    (void)state;
    assert_int_equal(mode_of("22 27 0:21 / /proc rw - proc proc rw\n"), CGROUP_MODE_NONE);
    assert_int_equal(mode_of(V2("/sys/fs/cgroup")), CGROUP_MODE_V2);
    assert_int_equal(mode_of(MEMORY CPU), CGROUP_MODE_V1);
    assert_int_equal(mode_of(MEMORY V2("/sys/fs/cgroup/unified")), CGROUP_MODE_HYBRID);
    assert_int_equal(mode_of(SYSTEMD V2("/sys/fs/cgroup")), CGROUP_MODE_V2);
    assert_int_equal(mode_of("garbage\n- - -\n1 2 3 - cgroup\n"), CGROUP_MODE_NONE);
}

static void v2_comes_first_and_then_v1_as_filters_prefer_it(void **state)
{
    char dir[64], name[16];
    struct cgroups *cg = open_cgroups(dir, SYSTEMD CPU MEMORY V2("/sys/fs/cgroup/unified"));
    size_t count;
    const struct cgroup_mount *m = cgroups_mounts(cg, &count);

    (void)state;
    assert_int_equal(count, 4);
    assert_true(m[0].v2);
    assert_string_equal(m[1].controllers, "memory");
    assert_string_equal(m[2].controllers, "cpu,cpuacct");
    assert_string_equal(m[3].controllers, "name=systemd");
    assert_ptr_equal(cgroups_find(cg, "cpuacct,cpu"), &m[2]);
    assert_ptr_equal(cgroups_find(cg, ""), &m[0]);
    assert_null(cgroups_find(cg, "pids"));
    assert_true(cgroup_subsystem("cpu,cpuacct", name));
    assert_string_equal(name, "cpu");
    assert_false(cgroup_subsystem("name=systemd", name));
    cgroups_free(cg);
    tree_free(dir);
}

static void of_two_mounts_of_a_hierarchy_the_whole_one_is_taken(void **state)
{
    char dir[64];
    struct cgroups *cg =
        open_cgroups(dir, "40 1 0:38 /a /part rw - cgroup2 none rw\n" V2(
                              "/all\\040of\\040it") "41 1 0:38 /b /other rw - cgroup2 none rw\n");
    size_t count;
    const struct cgroup_mount *m = cgroups_mounts(cg, &count);
    char expected[128];

    (void)state;
    assert_int_equal(count, 1);
    assert_string_equal(m[0].root, "/");
    snprintf(expected, sizeof(expected), "%s/all of it", dir);
    assert_string_equal(m[0].path, expected);
    cgroups_free(cg);
    tree_free(dir);
}

static void a_directory_stays_inside_its_mount(void **state)
{
    struct cgroup_mount whole = {.path = "/m", .root = "/"}, part = {.path = "/m", .root = "/a"};
    static const struct {
        bool part;
        const char *path, *expected;
    } cases[] = {
        {false, "/x/y", "/m/x/y"}, {false, "/", "/m"}, {false, "/../etc", NULL},
        {false, "/a/..", NULL},    {false, "x", NULL}, {false, "/..x", "/m/..x"},
        {true, "/a/b", "/m/b"},    {true, "/a", "/m"}, {true, "/ab", NULL},
        {true, "/", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *dir = cgroup_directory(cases[i].part ? &part : &whole, cases[i].path);

        if (cases[i].expected)
            assert_string_equal(dir, cases[i].expected);
        else
            assert_null(dir);
        free(dir);
    }
}

/* A cgroup namespace that begins at /pods/p1/c1, with us in its cgroup "path". */
static struct cgroups *open_inside(char dir[64], const char *root, const char *path)
{
    char text[256], self[32], line[64];
    struct cgroups *cg;

    tree_new(dir);
    snprintf(text, sizeof(text), "40 1 0:38 %s /cg rw - cgroup2 none rw\n", root);
    tree_file(dir, "proc/self/mountinfo", text);
    snprintf(line, sizeof(line), "0::%s\n", path);
    tree_file(dir, "proc/self/cgroup", line);
    snprintf(self, sizeof(self), "7\n%d\n", getpid());
    snprintf(text, sizeof(text), "cg/pods/p1/c1%s/cgroup.procs", strcmp(path, "/") ? path : "");
    tree_file(dir, text, self);
    tree_file(dir, "cg/pods/p1/c2/cgroup.procs", "8\n");
    tree_file(dir, "cg/system/x.service/deep/cgroup.procs", "9\n");
    assert_int_equal(cgroups_new(dir, &cg), 0);
    return cg;
}

static void in_a_cgroup_namespace_paths_are_made_the_hosts(void **state)
{
    static const struct {
        const char *path, *expected;
    } cases[] = {
        {"/", "/pods/p1/c1"},        {"/sub", "/pods/p1/c1/sub"},
        {"/../c2", "/pods/p1/c2"},   {"/../../../system/x.service", "/system/x.service"},
        {"/../../..", "/"},          {"/..", "/pods/p1"},
        {"/..x", "/pods/p1/c1/..x"}, {"/../../../..", NULL},
    };
    static const char *const own[] = {"/", "/sub"};

    (void)state;
    for (size_t k = 0; k < ARRAY_SIZE(own); k++) {
        char dir[64];
        struct cgroups *cg = open_inside(dir, "/../../..", own[k]);
        const struct cgroup_mount *m = cgroups_find(cg, "");

        assert_string_equal(m->root, "/");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            char *got = cgroup_absolute(m, cases[i].path, strlen(cases[i].path));

            if (cases[i].expected)
                assert_string_equal(got, cases[i].expected);
            else
                assert_null(got);
            free(got);
        }
        cgroups_free(cg);
        tree_free(dir);
    }
}

static void a_cgroup_text_is_made_the_hosts_line_by_line(void **state)
{
    static const char text[] = "4:memory:/m\n0::/../c2\n0::/../../../../above\n";
    char dir[64];
    struct cgroups *cg = open_inside(dir, "/../../..", "/");
    struct buf b = {0};

    (void)state;
    assert_int_equal(cgroups_absolute(cg, text, strlen(text), &b), 0);
    assert_string_equal(b.data, "0:memory:/m\n0::/pods/p1/c2\n0::/../../../../above\n");
    buf_free(&b);
    cgroups_free(cg);
    tree_free(dir);
}

static void without_a_mount_above_the_namespace_paths_stay(void **state)
{
    /* The namespace's own mount; a mount of a part above; a depth at which we are not. */
    static const char *const roots[] = {"/", "/../other", "/../.."};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        char dir[64];
        struct cgroups *cg = open_inside(dir, roots[i], "/");
        struct buf b = {0};

        assert_string_equal(cgroups_find(cg, "")->root, roots[i]);
        assert_int_equal(cgroups_absolute(cg, "0::/../x\n", 9, &b), 0);
        assert_int_equal(b.size, 0);
        cgroups_free(cg);
        tree_free(dir);
    }
}

static void a_mount_from_above_the_namespace_is_taken_before_its_own(void **state)
{
    char dir[64];
    struct cgroups *cg =
        open_cgroups(dir, V2("/own") "40 1 0:38 /../.. /hosts rw - cgroup2 none rw\n");
    size_t count;

    (void)state;
    assert_string_equal(cgroups_mounts(cg, &count)->root, "/../..");
    assert_int_equal(count, 1);
    cgroups_free(cg);
    tree_free(dir);
}

static void a_level_counts_the_steps_below_the_root(void **state)
{
    (void)state;
    assert_int_equal(cgroup_level("/"), 0);
    assert_int_equal(cgroup_level("/a"), 1);
    assert_int_equal(cgroup_level("/a/b/"), 2);
    assert_int_equal(cgroup_level("//a//b/c"), 3);
}

static void an_id_is_the_inode_of_the_directory(void **state)
{
    char dir[64];
    struct stat st;
    uint64_t id;

    (void)state;
    tree_new(dir);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(cgroup_id(dir, &id), 0);
    assert_int_equal(id, st.st_ino);
    tree_file(dir, "file", "");
    strcat(dir, "/file");
    assert_int_equal(cgroup_id(dir, &id), -ENOTDIR);
    *strrchr(dir, '/') = '\0';
    tree_free(dir);
    assert_int_equal(cgroup_id(dir, &id), -ENOENT);
}

struct seen {
    int tgids[16];
    size_t count;
};

static int see(void *data, pid_t tgid)
{
    struct seen *s = data;

    assert_true(s->count < ARRAY_SIZE(s->tgids));
    s->tgids[s->count++] = tgid;
    return tgid == 99 ? 5 : 0;
}

static void processes_of_a_cgroup_are_those_of_its_descendants_too(void **state)
{
    struct seen s = {0};
    char dir[64];

    (void)state;
    tree_new(dir);
    tree_file(dir, "cgroup.procs", "1\n2\n0\n");
    tree_file(dir, "a/b/cgroup.procs", "3\n");
    tree_dir(dir, "empty");
    tree_link(dir, "loop", ".");
    assert_int_equal(cgroup_processes(dir, see, &s), 0);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.tgids[0] + s.tgids[1] + s.tgids[2], 6);
    tree_file(dir, "cgroup.procs", "99\n100\n");
    s.count = 0;
    assert_int_equal(cgroup_processes(dir, see, &s), 5);
    assert_int_equal(s.count, 1);
    tree_free(dir);
    assert_int_equal(cgroup_processes(dir, see, &s), -ENOENT);
}

static void a_search_finds_the_highest_directory_of_that_name(void **state)
{
    char dir[64];
    struct cgroup_mount m = {.path = dir, .root = "/"};
    char *found;

    (void)state;
    tree_new(dir);
    tree_dir(dir, "user.slice/deep/deeper/x.service");
    tree_dir(dir, "system.slice/x.service");
    found = cgroup_search(&m, "x.service");
    assert_string_equal(found, "/system.slice/x.service");
    free(found);
    assert_null(cgroup_search(&m, "y.service"));
    tree_free(dir);
}

static void a_containers_id_is_the_last_long_run_of_hex_digits(void **state)
{
    static const struct {
        const char *path;
        int at;
    } cases[] = {
        {"/docker/" HEX64, 8},
        {"/system.slice/docker-" HEX64 ".scope", 21},
        {"/docker/" HEX64 "/sub/dir", 8},
        {"/docker/" HEX64 "/docker/" HEX64_B, 80},
        {"/machine.slice/libpod-conmon-" HEX64 ".scope", -1},
        {"/x/crio-conmon-" HEX64 ".scope", -1},
        {"/docker/" HEX64 "0", -1},
        {"/docker/0123456789abcdef", -1},
        {"/docker/" HEX64 "ABCDEF", 8},
        {"/", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *id = cgroup_container_id(cases[i].path, strlen(cases[i].path));

        if (cases[i].at < 0)
            assert_null(id);
        else
            assert_ptr_equal(id, cases[i].path + cases[i].at);
    }
}

static void lines_of_a_cgroup_text_come_one_by_one_and_nonsense_is_left_out(void **state)
{
    static const char text[] =
        "9:name=systemd:/s\n4:memory:/a:b\nno colons\n0::/\n3::\n:/x\n0::/end";
    struct cgroup_line l;
    size_t at = 0;

    (void)state;
    assert_true(cgroup_line_next(text, strlen(text), &at, &l));
    assert_false(l.v2);
    assert_int_equal(l.controllers_size, 12);
    assert_true(cgroup_line_next(text, strlen(text), &at, &l));
    assert_int_equal(l.path_size, 4);
    assert_memory_equal(l.path, "/a:b", 4);
    assert_true(cgroup_line_next(text, strlen(text), &at, &l));
    assert_true(l.v2);
    assert_int_equal(l.path_size, 1);
    assert_true(cgroup_line_next(text, strlen(text), &at, &l));
    assert_int_equal(l.path_size, 4);
    assert_false(cgroup_line_next(text, strlen(text), &at, &l));
    at = 0;
    assert_false(cgroup_line_next(text, 0, &at, &l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mode_follows_from_what_is_mounted),
        cmocka_unit_test(v2_comes_first_and_then_v1_as_filters_prefer_it),
        cmocka_unit_test(of_two_mounts_of_a_hierarchy_the_whole_one_is_taken),
        cmocka_unit_test(a_directory_stays_inside_its_mount),
        cmocka_unit_test(in_a_cgroup_namespace_paths_are_made_the_hosts),
        cmocka_unit_test(a_cgroup_text_is_made_the_hosts_line_by_line),
        cmocka_unit_test(without_a_mount_above_the_namespace_paths_stay),
        cmocka_unit_test(a_mount_from_above_the_namespace_is_taken_before_its_own),
        cmocka_unit_test(a_level_counts_the_steps_below_the_root),
        cmocka_unit_test(an_id_is_the_inode_of_the_directory),
        cmocka_unit_test(processes_of_a_cgroup_are_those_of_its_descendants_too),
        cmocka_unit_test(a_search_finds_the_highest_directory_of_that_name),
        cmocka_unit_test(a_containers_id_is_the_last_long_run_of_hex_digits),
        cmocka_unit_test(lines_of_a_cgroup_text_come_one_by_one_and_nonsense_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
