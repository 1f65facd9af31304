/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/craft_census.h"

#include "agent/target.h"

/* A hybrid host with some containers, as a tree and a list made by hand. */
struct host {
    char dir[64];
    struct cgroups *cg;
    struct containers *cs;
};

#define ID_WEB1 "aaaa11112222333344445555666677778888999900001111222233334444aaaa"
#define ID_WEB2 "aaaa22222222333344445555666677778888999900001111222233334444aaaa"
#define ID_APP0 "bbbb11112222333344445555666677778888999900001111222233334444bbbb"
#define ID_APP1 "bbbb22222222333344445555666677778888999900001111222233334444bbbb"
#define ID_POD0 "cccc11112222333344445555666677778888999900001111222233334444cccc"

static const char mountinfo[] =
    "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 31 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup none rw,name=systemd\n"
    "38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";

static void add_proc(const char *dir, int tgid, int start)
{
    char path[64], text[256];

    snprintf(path, sizeof(path), "proc/%d/stat", tgid);
    snprintf(text, sizeof(text),
             "%d (x) S 1 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 %d 1000 10 0", tgid, start);
    tree_file(dir, path, text);
}

struct one {
    int tgid;
    uint64_t mount_ns;
    const char *cgroup; /* text of /proc/PID/cgroup */
    struct claim claim;
};

static const struct one ones[] = {
    {100,
     10,
     "0::/docker/" ID_WEB1 "\n4:memory:/docker/" ID_WEB1 "\n",
     {RUNTIME_DOCKER, .id = ID_WEB1, .name = "web1"}},
    {200, 20, "0::/docker/" ID_WEB2 "\n", {RUNTIME_DOCKER, .id = ID_WEB2, .name = "db"}},
    {300, 30, "0::/lib/libpod-" ID_APP1 "\n", {RUNTIME_PODMAN, .id = ID_APP1, .name = "db"}},
    {400,
     40,
     "0::/pods/p0/" ID_APP0 "\n",
     {RUNTIME_CRI, .id = ID_APP0, .name = "app", .pod = "web-0", .namespace = "shop"}},
    {401,
     41,
     "0::/pods/p0/" ID_POD0 "\n",
     {RUNTIME_CRI, .id = ID_POD0, .name = "POD", .pod = "web-0", .namespace = "shop",
      .sandbox = true}},
    {500, 50, "0::/\n5:pids:/c1\n4:memory:/c1\n", {RUNTIME_CRUN, .id = "c1", .start_time = 1500}},
    {600, 60, "0::/\n", {RUNTIME_RUNC, .id = "bare", .start_time = 1600}},
    {700, 70, "0::/odd\n", {RUNTIME_RUNC, .id = "all", .start_time = 1700}},
};

static void make_tree(const char *dir)
{
    tree_file(dir, "proc/self/mountinfo", mountinfo);
    for (size_t i = 0; i < ARRAY_SIZE(ones); i++)
        add_proc(dir, ones[i].tgid, 1000 + ones[i].tgid);
    add_proc(dir, 101, 1101);
    add_proc(dir, 1, 1001);
    tree_file(dir, "sys/fs/cgroup/unified/docker/" ID_WEB1 "/cgroup.procs", "100\n");
    tree_file(dir, "sys/fs/cgroup/unified/docker/" ID_WEB1 "/sub/cgroup.procs", "101\n");
    tree_dir(dir, "sys/fs/cgroup/memory/docker/" ID_WEB1);
    tree_dir(dir, "sys/fs/cgroup/unified/docker/" ID_WEB2);
    tree_dir(dir, "sys/fs/cgroup/unified/lib/libpod-" ID_APP1);
    tree_dir(dir, "sys/fs/cgroup/unified/pods/p0/" ID_APP0);
    tree_dir(dir, "sys/fs/cgroup/unified/pods/p0/" ID_POD0);
    tree_dir(dir, "sys/fs/cgroup/memory/c1");
    tree_dir(dir, "sys/fs/cgroup/pids/c1");
    tree_dir(dir, "sys/fs/cgroup/unified/odd");
    tree_file(dir, "sys/fs/cgroup/unified/system.slice/nginx.service/cgroup.procs", "1\n");
    tree_file(dir, "sys/fs/cgroup/systemd/system.slice/old.service/cgroup.procs", "1\n");
    tree_dir(dir, "sys/fs/cgroup/systemd/system.slice/empty.service");
    tree_dir(dir, "elsewhere");
}

static int setup(void **state)
{
    struct claims sets[ARRAY_SIZE(ones)];
    struct claim claims[ARRAY_SIZE(ones)];
    struct containers_source sources[ARRAY_SIZE(ones)];
    struct host *h = calloc(1, sizeof(*h));
    struct craft c;

    tree_new(h->dir);
    make_tree(h->dir);
    craft_begin(&c);
    craft_host(&c, 1, 0, craft_cgroup(&c, "5:pids:/\n4:memory:/\n0::/\n"), "init");
    for (size_t i = 0; i < ARRAY_SIZE(ones); i++) {
        uint32_t g = craft_cgroup(&c, ones[i].cgroup);

        craft_inside(&c, ones[i].tgid, 1, ones[i].mount_ns, g);
        if (i == 0)
            craft_inside(&c, 101, 7, ones[i].mount_ns, g);
        claims[i] = ones[i].claim;
        claims[i].pid = ones[i].tgid;
        sets[i] = (struct claims){.items = &claims[i], .count = 1};
        sources[i] = (struct containers_source){ones[i].claim.id, &sets[i]};
    }
    craft_end(&c);
    assert_int_equal(cgroups_new(h->dir, &h->cg), 0);
    assert_int_equal(
        containers_new(c.b.data, c.b.size, sources, ARRAY_SIZE(ones), h->cg, 0, &h->cs), 0);
    buf_free(&c.b);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct host *h = *state;

    containers_free(h->cs);
    cgroups_free(h->cg);
    tree_free(h->dir);
    free(h);
    return 0;
}

/* The code, and the message in e; a target that came is freed unless it is wanted. */
static enum err_code resolve(const struct host *h, const char *word, int64_t pid,
                             struct target **ret, struct err *e)
{
    struct target *t = NULL;
    struct err own = {0};
    int r;

    if (!e)
        e = &own;
    *e = (struct err){0};
    r = target_resolve(h->cs, word, pid, &t, e, NULL);
    assert_int_equal(r < 0, e->code != ERR_NONE);
    if (ret)
        *ret = t;
    else
        target_free(t);
    return e->code;
}

static const char *id_of(const struct host *h, const char *word)
{
    static char id[128];
    struct target *t;
    struct err e;

    if (resolve(h, word, 0, &t, &e) != ERR_NONE)
        fail_msg("'%s': %s", word, e.message);
    assert_non_null(t->container);
    snprintf(id, sizeof(id), "%s", t->container->id);
    target_free(t);
    return id;
}

static void a_container_is_found_by_name_id_and_pod(void **state)
{
    static const struct {
        const char *word, *id;
    } cases[] = {
        {"web1", ID_WEB1},
        {ID_WEB1, ID_WEB1},
        {"aaaa1", ID_WEB1},
        {"docker:web1", ID_WEB1},
        {"docker:db", ID_WEB2},
        {"podman:db", ID_APP1},
        {"cri:bbbb", ID_APP0},
        {"app", ID_APP0},
        {"web-0", ID_APP0},
        {"web-0/app", ID_APP0},
        {"shop/web-0/app", ID_APP0},
        {"cri:" ID_POD0, ID_POD0},
        {"c1", "c1"},
        {"crun:c1", "c1"},
        {"bare", "bare"},
        {"runc:all", "all"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(id_of(*state, cases[i].word), cases[i].id);
}

static void a_container_with_a_v2_cgroup_is_filtered_by_it(void **state)
{
    const struct host *h = *state;
    struct target *t;
    uint64_t id;

    assert_int_equal(resolve(h, "shop/web-0/app", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_CGROUP_V2);
    assert_int_equal(t->cgroup_level, 3);
    assert_string_equal(t->cgroup_path, "/pods/p0/" ID_APP0);
    assert_string_equal(t->v1_subsystem, "");
    assert_int_equal(cgroup_id(t->cgroup_dir, &id), 0);
    assert_int_equal(t->cgroup_id, id);
    assert_non_null(strstr(t->cgroup_dir, "/sys/fs/cgroup/unified/pods/p0/"));
    target_free(t);
}

static void a_container_in_the_v2_root_is_filtered_by_v1(void **state)
{
    const struct host *h = *state;
    struct target *t;

    assert_int_equal(resolve(h, "c1", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_CGROUP_V1);
    assert_string_equal(t->v1_subsystem, "memory");
    assert_int_equal(t->cgroup_level, 1);
    target_free(t);
}

static void a_container_without_a_cgroup_is_its_processes(void **state)
{
    const struct host *h = *state;
    struct target *t;

    assert_int_equal(resolve(h, "bare", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_PROCESSES);
    assert_int_equal(t->process_count, 1);
    assert_int_equal(t->processes[0].tgid, 600);
    assert_int_equal(t->processes[0].start_time, 1600);
    target_free(t);
}

static void a_name_that_two_have_is_refused_with_words_for_both(void **state)
{
    const struct host *h = *state;
    _cleanup_(candidates_clear) struct candidates candidates = {0};
    struct target *t = NULL;
    struct err e = {0};

    assert_int_equal(target_resolve(h->cs, "db", 0, &t, &e, &candidates), -ENOTUNIQ);
    assert_null(t);
    assert_int_equal(e.code, ERR_TARGET_AMBIGUOUS);
    assert_int_equal(candidates.count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(id_of(h, candidates.items[i]));
    assert_string_not_equal(candidates.items[0], candidates.items[1]);
    assert_int_equal(resolve(h, "aaaa", 0, NULL, &e), ERR_TARGET_AMBIGUOUS);
    assert_int_equal(resolve(h, "docker:aaaa", 0, NULL, &e), ERR_TARGET_AMBIGUOUS);
}

static void an_unknown_name_is_refused_with_the_nearest(void **state)
{
    const struct host *h = *state;
    _cleanup_(candidates_clear) struct candidates candidates = {0};
    struct target *t = NULL;
    struct err e = {0};

    assert_int_equal(target_resolve(h->cs, "wbe1", 0, &t, &e, &candidates), -ENOENT);
    assert_int_equal(e.code, ERR_TARGET_UNKNOWN);
    assert_non_null(strstr(e.message, "'wbe1'"));
    assert_string_equal(candidates.items[0], "web1");
    for (size_t i = 0; i < candidates.count; i++)
        assert_null(strstr(candidates.items[i], "POD"));
    assert_int_equal(resolve(h, "podman:web1", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "aaa", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "web-0/nope", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "other/web-0/app", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "docker:", 0, NULL, &e), ERR_TARGET_UNKNOWN);
}

static void with_no_containers_the_message_says_so(void **state)
{
    const struct host *h = *state;
    struct host none = {.cg = h->cg};
    struct craft c;
    struct err e;

    craft_begin(&c);
    craft_end(&c);
    assert_int_equal(containers_new(c.b.data, c.b.size, NULL, 0, h->cg, 0, &none.cs), 0);
    assert_int_equal(resolve(&none, "web1", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_non_null(strstr(e.message, "no containers are running"));
    containers_free(none.cs);
    buf_free(&c.b);
}

static void a_cgroup_path_finds_the_hierarchy_that_has_it(void **state)
{
    const struct host *h = *state;
    struct target *t;
    struct err e;

    assert_int_equal(resolve(h, "cgroup:/pods//p0/", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_CGROUP_V2);
    assert_int_equal(t->cgroup_level, 2);
    assert_string_equal(t->cgroup_path, "/pods/p0");
    assert_null(t->container);
    target_free(t);
    assert_int_equal(resolve(h, "cgroup:/c1", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_CGROUP_V1);
    assert_string_equal(t->container->name, "c1");
    target_free(t);
    assert_int_equal(resolve(h, "cgroup:/", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->cgroup_level, 0);
    target_free(t);
    assert_int_equal(resolve(h, "cgroup:/nope", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "cgroup:/docker/../../../elsewhere", 0, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "cgroup:/..", 0, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "cgroup:docker", 0, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "cgroup:", 0, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "cgroup:/system.slice/old.service", 0, NULL, &e),
                     ERR_TARGET_UNKNOWN);
}

static void a_unit_is_its_cgroup_or_else_its_processes(void **state)
{
    const struct host *h = *state;
    struct target *t;
    struct err e;

    assert_int_equal(resolve(h, "unit:nginx", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_CGROUP_V2);
    assert_string_equal(t->cgroup_path, "/system.slice/nginx.service");
    target_free(t);
    assert_int_equal(resolve(h, "unit:old.service", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_PROCESSES);
    assert_int_equal(t->processes[0].tgid, 1);
    target_free(t);
    assert_int_equal(resolve(h, "unit:empty", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "unit:nope", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "unit:../../elsewhere", 0, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "unit:", 0, NULL, &e), ERR_USAGE);
}

static void a_pid_is_the_hosts_and_knows_its_container(void **state)
{
    static const char *const bad[] = {"pid:", "pid:0", "pid:-1", "pid:1x", "pid:99999999999"};
    const struct host *h = *state;
    struct target *t;
    struct err e;

    assert_int_equal(resolve(h, "pid:101", 0, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_PROCESSES);
    assert_int_equal(t->processes[0].tgid, 101);
    assert_string_equal(t->container->name, "web1");
    target_free(t);
    assert_int_equal(resolve(h, "pid:1", 0, &t, NULL), ERR_NONE);
    assert_null(t->container);
    target_free(t);
    assert_int_equal(resolve(h, "pid:4242", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(resolve(h, bad[i], 0, NULL, &e), ERR_USAGE);
}

static void a_pid_of_the_container_narrows_it_to_that_process(void **state)
{
    const struct host *h = *state;
    struct target *t;
    struct err e;

    assert_int_equal(resolve(h, "web1", 7, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_CGROUP_V2);
    assert_int_equal(t->process_count, 1);
    assert_int_equal(t->processes[0].tgid, 101);
    target_free(t);
    assert_int_equal(resolve(h, "all", 100, &t, NULL), ERR_NONE);
    assert_int_equal(t->kind, TARGET_PROCESSES);
    assert_int_equal(t->processes[0].tgid, 100);
    target_free(t);
    /* The host's number is not the container's. */
    assert_int_equal(resolve(h, "web1", 101, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "cgroup:/pods", 1, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "all", 4242, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_int_equal(resolve(h, "pid:101", 7, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "web1", -1, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "web1", 1ll << 40, NULL, &e), ERR_USAGE);
}

static int sum(void *data, pid_t tgid)
{
    *(int *)data += tgid;
    return 0;
}

static void the_processes_of_a_target_are_those_of_now(void **state)
{
    const struct host *h = *state;
    struct target *t;
    int total = 0;

    assert_int_equal(resolve(h, "web1", 0, &t, NULL), ERR_NONE);
    assert_int_equal(target_processes(t, sum, &total), 0);
    assert_int_equal(total, 201);
    target_free(t);
    total = 0;
    assert_int_equal(resolve(h, "all", 0, &t, NULL), ERR_NONE);
    assert_int_equal(target_processes(t, sum, &total), 0);
    assert_int_equal(total, 100 + 200 + 300 + 400 + 401 + 500 + 600 + 700 + 101 + 1);
    target_free(t);
    /* The pid is somebody else's by now. */
    assert_int_equal(resolve(h, "pid:1", 0, &t, NULL), ERR_NONE);
    add_proc(h->dir, 1, 9999);
    total = 0;
    assert_int_equal(target_processes(t, sum, &total), 0);
    assert_int_equal(total, 0);
    target_free(t);
}

static void a_word_is_never_echoed_raw(void **state)
{
    const struct host *h = *state;
    char word[1100];
    struct err e;

    assert_int_equal(resolve(h, "a\x1b[31m\nb\xc2\x9b", 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_null(strpbrk(e.message, "\x1b\n"));
    assert_null(strstr(e.message, "\xc2\x9b"));
    memset(word, 'x', sizeof(word));
    word[1024] = '\0';
    assert_int_equal(resolve(h, word, 0, NULL, &e), ERR_TARGET_UNKNOWN);
    assert_true(strlen(e.message) < 300);
    word[1024] = 'x';
    word[1025] = '\0';
    assert_int_equal(resolve(h, word, 0, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "", 0, NULL, &e), ERR_USAGE);
    assert_int_equal(resolve(h, "../..", 0, NULL, &e), ERR_TARGET_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_found_by_name_id_and_pod),
        cmocka_unit_test(a_container_with_a_v2_cgroup_is_filtered_by_it),
        cmocka_unit_test(a_container_in_the_v2_root_is_filtered_by_v1),
        cmocka_unit_test(a_container_without_a_cgroup_is_its_processes),
        cmocka_unit_test(a_name_that_two_have_is_refused_with_words_for_both),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_nearest),
        cmocka_unit_test(with_no_containers_the_message_says_so),
        cmocka_unit_test(a_cgroup_path_finds_the_hierarchy_that_has_it),
        cmocka_unit_test(a_unit_is_its_cgroup_or_else_its_processes),
        cmocka_unit_test(a_pid_is_the_hosts_and_knows_its_container),
        cmocka_unit_test(a_pid_of_the_container_narrows_it_to_that_process),
        cmocka_unit_test(a_word_is_never_echoed_raw),
        cmocka_unit_test(the_processes_of_a_target_are_those_of_now),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
