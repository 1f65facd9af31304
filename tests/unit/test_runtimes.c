/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/craft_census.h"

#include "agent/roots.h"
#include "agent/runtimes.h"

#define PARSE(kind, path, text, ret) runtimes_parse(kind, path, text, strlen(text), ret)

static void docker_gives_name_image_and_pid_of_what_runs(void **state)
{
    static const char path[] = "/var/lib/docker/containers/" HEX64 "/config.v2.json";
    static const char *const text =
        "{\"State\":{\"Running\":true,\"Pid\":4711,\"StartedAt\":\"2026\"},\"ID\":\"" HEX64 "\","
        "\"Name\":\"/web1\",\"Config\":{\"Image\":\"nginx:1\",\"Labels\":{}}}\n";
    static const char *const stopped = "{\"State\":{\"Running\":false,\"Pid\":4711},\"ID\":\"" HEX64
                                       "\",\"Name\":\"/web1\",\"Config\":{\"Image\":\"nginx:1\"}}";
    struct claims cs;

    (void)state;
    assert_int_equal(PARSE(CENSUS_FILE_DOCKER_CONFIG, path, text, &cs), 0);
    assert_int_equal(cs.count, 1);
    assert_string_equal(cs.items[0].name, "web1");
    assert_string_equal(cs.items[0].image, "nginx:1");
    assert_string_equal(cs.items[0].id, HEX64);
    assert_int_equal(cs.items[0].pid, 4711);
    assert_int_equal(cs.items[0].runtime, RUNTIME_DOCKER);
    claims_clear(&cs);
    assert_int_equal(PARSE(CENSUS_FILE_DOCKER_CONFIG, path, stopped, &cs), 0);
    assert_int_equal(cs.items[0].pid, 0);
    claims_clear(&cs);
    /* A file that was copied to another container's directory. */
    assert_int_equal(
        PARSE(CENSUS_FILE_DOCKER_CONFIG, "/x/containers/" HEX64_B "/config.v2.json", text, &cs),
        -EBADMSG);
}

static void docker_containers_of_a_pod_take_its_labels(void **state)
{
    static const char *const text =
        "{\"State\":{\"Running\":true,\"Pid\":5},\"ID\":\"" HEX64 "\",\"Name\":\"/k8s_app_web-0\","
        "\"Config\":{\"Labels\":{\"io.kubernetes.docker.type\":\"container\","
        "\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.name\":\"web-0\","
        "\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.pod.uid\":\"u\"}}}";
    struct claims cs;

    (void)state;
    assert_int_equal(
        PARSE(CENSUS_FILE_DOCKER_CONFIG, "/d/containers/" HEX64 "/config.v2.json", text, &cs), 0);
    assert_string_equal(cs.items[0].name, "app");
    assert_string_equal(cs.items[0].pod, "web-0");
    assert_string_equal(cs.items[0].namespace, "shop");
    assert_false(cs.items[0].sandbox);
    claims_clear(&cs);
}

static void containerd_tells_docker_cri_and_plain_apart_by_namespace(void **state)
{
    static const struct {
        const char *namespace;
        enum runtime runtime;
    } cases[] = {
        {"moby", RUNTIME_DOCKER}, {"k8s.io", RUNTIME_CRI}, {"default", RUNTIME_CONTAINERD}};
    char path[128];
    struct claims cs;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(path, sizeof(path),
                 "/run/containerd/io.containerd.runtime.v2.task/%s/ct1/init.pid",
                 cases[i].namespace);
        assert_int_equal(PARSE(CENSUS_FILE_CONTAINERD_PID, path, "4711", &cs), 0);
        assert_string_equal(cs.items[0].id, "ct1");
        assert_int_equal(cs.items[0].pid, 4711);
        assert_int_equal(cs.items[0].runtime, cases[i].runtime);
        claims_clear(&cs);
    }
}

static void cri_annotations_name_pod_namespace_and_container(void **state)
{
    static const char path[] =
        "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" HEX64 "/config.json";
    static const char *const text =
        "{\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\","
        "\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.image-name\":\"r/app:1\","
        "\"io.kubernetes.cri.sandbox-id\":\"s\",\"io.kubernetes.cri.sandbox-name\":\"web-0\","
        "\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
        "\"io.kubernetes.cri.sandbox-uid\":\"u-1\"},"
        "\"linux\":{\"cgroupsPath\":\"/kubepods/pod1/" HEX64 "\"}}";
    static const char *const sandbox =
        "{\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","
        "\"io.kubernetes.cri.sandbox-name\":\"web-0\"}}";
    struct claims cs;

    (void)state;
    assert_int_equal(PARSE(CENSUS_FILE_OCI_CONFIG, path, text, &cs), 0);
    assert_string_equal(cs.items[0].name, "app");
    assert_string_equal(cs.items[0].pod, "web-0");
    assert_string_equal(cs.items[0].namespace, "shop");
    assert_string_equal(cs.items[0].pod_uid, "u-1");
    assert_string_equal(cs.items[0].image, "r/app:1");
    assert_string_equal(cs.items[0].cgroup, "/kubepods/pod1/" HEX64);
    assert_int_equal(cs.items[0].runtime, RUNTIME_CRI);
    claims_clear(&cs);
    assert_int_equal(PARSE(CENSUS_FILE_OCI_CONFIG, path, sandbox, &cs), 0);
    assert_true(cs.items[0].sandbox);
    claims_clear(&cs);
}

static void a_docker_bundle_gives_the_data_root_away(void **state)
{
    static const char path[] =
        "/e/containerd/daemon/io.containerd.runtime.v2.task/moby/" HEX64 "/config.json";
    static const char *const text =
        "{\"mounts\":[{\"source\":\"proc\"},{\"source\":\"/srv/containers/x/hosts\"},"
        "{\"source\":\"/srv/d/containers/" HEX64 "/resolv.conf\"}]}";
    struct claims cs;

    (void)state;
    assert_int_equal(PARSE(CENSUS_FILE_OCI_CONFIG, path, text, &cs), 0);
    assert_string_equal(cs.items[0].docker_root, "/srv/d");
    claims_clear(&cs);
    /* Only docker's own bundles may say so. */
    assert_int_equal(PARSE(CENSUS_FILE_OCI_CONFIG, "/run/crun/" HEX64 "/config.json", text, &cs),
                     0);
    assert_null(cs.items[0].docker_root);
    claims_clear(&cs);
}

static void storage_lists_podmans_and_cri_os_containers(void **state)
{
    static const char *const text =
        "[{\"id\":\"" HEX64 "\",\"names\":[\"pod1\"],\"metadata\":\"{\\\"image-name\\\":"
        "\\\"localhost/x:1\\\",\\\"name\\\":\\\"first\\\"}\"},"
        "{\"id\":\"" HEX64_B "\",\"names\":[\"k8s_app_web-0_shop_u_0\"],\"metadata\":\"{"
        "\\\"pod-name\\\":\\\"k8s_web-0_shop_u-1_0\\\",\\\"image-name\\\":\\\"r/app\\\","
        "\\\"name\\\":\\\"k8s_app_web-0_shop_u_0\\\",\\\"metadata-name\\\":\\\"app\\\"}\"},"
        "{\"no\":\"id\"},7,{\"id\":\"x\",\"metadata\":\"not json\"}]";
    struct claims cs;

    (void)state;
    assert_int_equal(
        PARSE(CENSUS_FILE_PODMAN_CONTAINERS, "/g/overlay-containers/containers.json", text, &cs),
        0);
    assert_int_equal(cs.count, 3);
    assert_string_equal(cs.items[0].name, "pod1");
    assert_string_equal(cs.items[0].image, "localhost/x:1");
    assert_int_equal(cs.items[0].runtime, RUNTIME_PODMAN);
    assert_string_equal(cs.items[1].name, "app");
    assert_string_equal(cs.items[1].pod, "web-0");
    assert_string_equal(cs.items[1].namespace, "shop");
    assert_string_equal(cs.items[1].pod_uid, "u-1");
    assert_int_equal(cs.items[1].runtime, RUNTIME_CRI);
    assert_string_equal(cs.items[2].id, "x");
    claims_clear(&cs);
    assert_int_equal(PARSE(CENSUS_FILE_PODMAN_PID,
                           "/r/overlay-containers/" HEX64 "/userdata/pidfile", "12\n", &cs),
                     0);
    assert_string_equal(cs.items[0].id, HEX64);
    assert_int_equal(cs.items[0].pid, 12);
    claims_clear(&cs);
}

static void podmans_cri_o_annotations_do_not_make_a_pod(void **state)
{
    static const char path[] = "/r/overlay-containers/" HEX64 "/userdata/config.json";
    static const char *const podman =
        "{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\","
        "\"io.kubernetes.cri-o.SandboxID\":\"s\"}}";
    static const char *const crio =
        "{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"container\","
        "\"io.kubernetes.cri-o.KubeName\":\"web-0\",\"io.kubernetes.cri-o.Namespace\":\"shop\","
        "\"io.kubernetes.cri-o.ImageName\":\"r/app\",\"io.kubernetes.cri-o.Labels\":"
        "\"{\\\"io.kubernetes.container.name\\\":\\\"app\\\"}\"}}";
    struct claims cs;

    (void)state;
    assert_int_equal(PARSE(CENSUS_FILE_OCI_CONFIG, path, podman, &cs), 0);
    assert_int_equal(cs.items[0].runtime, RUNTIME_PODMAN);
    assert_true(cs.items[0].sandbox);
    claims_clear(&cs);
    assert_int_equal(PARSE(CENSUS_FILE_OCI_CONFIG, path, crio, &cs), 0);
    assert_int_equal(cs.items[0].runtime, RUNTIME_CRI);
    assert_string_equal(cs.items[0].name, "app");
    assert_string_equal(cs.items[0].pod, "web-0");
    assert_string_equal(cs.items[0].image, "r/app");
    claims_clear(&cs);
}

static void runc_and_crun_say_when_their_process_started(void **state)
{
    struct claims cs;

    (void)state;
    assert_int_equal(PARSE(CENSUS_FILE_RUNC_STATE, "/run/runc/r1/state.json",
                           "{\"id\":\"r1\",\"init_process_pid\":9,\"init_process_start\":181521,"
                           "\"config\":{\"labels\":[\"bundle=/b\",\"nerdctl/name=nice\"]}}",
                           &cs),
                     0);
    assert_int_equal(cs.items[0].pid, 9);
    assert_int_equal(cs.items[0].start_time, 181521);
    assert_string_equal(cs.items[0].name, "nice");
    claims_clear(&cs);
    assert_int_equal(PARSE(CENSUS_FILE_CRUN_STATUS, "/run/crun/c1/status",
                           "{\"pid\":9453,\"process-start-time\":181551,\"cgroup-path\":\"/c1\"}",
                           &cs),
                     0);
    assert_string_equal(cs.items[0].id, "c1");
    assert_int_equal(cs.items[0].pid, 9453);
    assert_int_equal(cs.items[0].start_time, 181551);
    assert_string_equal(cs.items[0].cgroup, "/c1");
    claims_clear(&cs);
}

static void what_is_not_whole_strict_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"pid\":1}garbage",
        "{\"pid\":NaN}garbage",
        "{\"pid\":1}{\"pid\":2}",
        "\xff\xfe",
    };
    struct claims cs = {0};

    (void)state;
    for (enum census_file_kind kind = 0; kind < CENSUS_FILE_KINDS; kind++)
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            int r = PARSE(kind, "/a/b/c/d/e", bad[i], &cs);

            /* These two may say nothing at all, and a list may be empty. */
            if (r == 0 && (kind == CENSUS_FILE_OCI_CONFIG || kind == CENSUS_FILE_CRUN_STATUS))
                assert_string_equal(bad[i], "{}");
            else if (r == 0 && kind == CENSUS_FILE_PODMAN_CONTAINERS)
                assert_string_equal(bad[i], "[]");
            else
                assert_int_equal(r, -EBADMSG);
            claims_clear(&cs);
        }
}

static void numbers_and_texts_beyond_their_bounds_are_not_said(void **state)
{
    static char text[8192], name[RUNTIMES_TEXT_MAX + 2];
    struct claims cs;

    (void)state;
    assert_int_equal(PARSE(CENSUS_FILE_CRUN_STATUS, "/run/crun/c/status",
                           "{\"pid\":99999999999999999999,\"process-start-time\":-1}", &cs),
                     0);
    assert_int_equal(cs.items[0].pid, 0);
    assert_int_equal(cs.items[0].start_time, 0);
    claims_clear(&cs);
    assert_int_equal(PARSE(CENSUS_FILE_CRUN_STATUS, "/run/crun/c/status",
                           "{\"pid\":\"7\",\"cgroup-path\":\"a\\u0000b\"}", &cs),
                     0);
    assert_int_equal(cs.items[0].pid, 0);
    assert_null(cs.items[0].cgroup);
    claims_clear(&cs);
    memset(name, 'n', sizeof(name) - 1);
    snprintf(text, sizeof(text), "[{\"id\":\"i\",\"names\":[\"%s\"]}]", name);
    assert_int_equal(PARSE(CENSUS_FILE_PODMAN_CONTAINERS, "/g/c/containers.json", text, &cs), 0);
    assert_null(cs.items[0].name);
    claims_clear(&cs);
    for (size_t i = 0; i < 4; i++) {
        static const char *const pids[] = {"0", "-5", "12x", "99999999999"};

        assert_int_equal(PARSE(CENSUS_FILE_CONTAINERD_PID, "/a/b/c/init.pid", pids[i], &cs),
                         -EBADMSG);
    }
}

static void json_that_nests_or_repeats_without_end_is_bounded(void **state)
{
    size_t size = 1 << 20;
    char *bomb = malloc(size + 1);
    struct claims cs = {0};
    struct buf many = {0};

    (void)state;
    memset(bomb, '[', size);
    bomb[size] = '\0';
    assert_int_equal(runtimes_parse(CENSUS_FILE_PODMAN_CONTAINERS, "/x", bomb, size, &cs),
                     -EBADMSG);
    free(bomb);
    buf_adds(&many, "[");
    for (unsigned i = 0; i < RUNTIMES_CLAIMS_MAX + 1; i++)
        buf_addf(&many, "%s{\"id\":\"%u\"}", i ? "," : "", i);
    buf_adds(&many, "]");
    assert_true(runtimes_parse(CENSUS_FILE_PODMAN_CONTAINERS, "/x", many.data, many.size, &cs) < 0);
    assert_int_equal(cs.count, 0);
    buf_free(&many);
}

/* ---- roots ---- */

static void roots_of(struct roots *r, const char *comm, uint32_t uid, const char *cwd,
                     const char *args, size_t size)
{
    struct craft c;
    struct census_reader reader;
    struct census_item item;

    craft_begin(&c);
    craft_command(&c, comm, uid, cwd, args, size);
    craft_end(&c);
    assert_int_equal(census_reader_init(&reader, c.b.data, c.b.size), 0);
    assert_int_equal(census_reader_next(&reader, &item), 1);
    assert_true(roots_add_command(r, &item) >= 0);
    buf_free(&c.b);
}
#define ROOTS_OF(r, comm, uid, cwd, args) roots_of(r, comm, uid, cwd, args, sizeof(args))

static bool has(const struct roots *r, enum census_root_kind kind, const char *path)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].kind == kind && strcmp(r->items[i].path, path) == 0)
            return true;
    return false;
}

static void command_lines_give_roots_away(void **state)
{
    struct roots r = {0};

    (void)state;
    ROOTS_OF(&r, "dockerd", 0, "/", "dockerd\0--data-root\0/d//data/\0--exec-root=/d/exec");
    assert_true(has(&r, CENSUS_ROOT_DOCKER, "/d/data"));
    assert_true(has(&r, CENSUS_ROOT_DOCKER_EXEC, "/d/exec"));
    assert_true(has(&r, CENSUS_ROOT_CONTAINERD, "/d/exec/containerd/daemon"));
    ROOTS_OF(&r, "containerd", 0, "/", "containerd\0-c\0/etc/c/config.toml\0--state\0/s");
    assert_true(has(&r, CENSUS_ROOT_CONTAINERD, "/s"));
    ROOTS_OF(&r, "containerd-shim", 0, "/st/io.containerd.runtime.v2.task/moby/" HEX64,
             "containerd-shim-runc-v2\0-namespace\0moby\0-id\0x\0-address\0/e/containerd/c.sock");
    assert_true(has(&r, CENSUS_ROOT_CONTAINERD, "/st"));
    assert_true(has(&r, CENSUS_ROOT_CONTAINERD, "/e/containerd/daemon"));
    assert_true(has(&r, CENSUS_ROOT_DOCKER_EXEC, "/e"));
    ROOTS_OF(&r, "conmon", 0, "/",
             "conmon\0-b\0/g/overlay-containers/x/userdata\0-p\0"
             "/r/overlay-containers/x/userdata/pidfile");
    assert_true(has(&r, CENSUS_ROOT_PODMAN_GRAPH, "/g"));
    assert_true(has(&r, CENSUS_ROOT_PODMAN_RUN, "/r"));
    ROOTS_OF(&r, "runc", 0, "/", "runc\0--root\0/rr\0run\0x");
    assert_true(has(&r, CENSUS_ROOT_RUNC, "/rr"));
    roots_clear(&r);
}

static void roots_of_other_users_and_odd_shapes_are_not_believed(void **state)
{
    struct roots r = {0};

    (void)state;
    ROOTS_OF(&r, "dockerd", 1000, "/", "dockerd\0--data-root\0/evil");
    ROOTS_OF(&r, "dockerd", 0, "/", "dockerd\0--data-root\0relative");
    ROOTS_OF(&r, "dockerd", 0, "/", "dockerd\0--data-root\0/a/../../etc");
    ROOTS_OF(&r, "dockerd", 0, "/", "dockerd\0--data-root");
    ROOTS_OF(&r, "dockerd", 0, "/", "dockerd\0--data-root=");
    ROOTS_OF(&r, "conmon", 0, "/", "conmon\0-b\0/g/elsewhere/x/userdata\0-p\0/pidfile");
    ROOTS_OF(&r, "containerd-shim", 0, "/x/y/z", "shim");
    ROOTS_OF(&r, "containerd-shim", 0, "", "shim");
    assert_int_equal(r.count, 0);
    roots_clear(&r);
}

static void the_number_of_roots_is_bounded(void **state)
{
    struct roots r = {0};
    char path[32];

    (void)state;
    for (unsigned i = 0; i < CENSUS_ROOTS_MAX + 5; i++) {
        snprintf(path, sizeof(path), "/r%u", i);
        assert_int_equal(roots_add(&r, CENSUS_ROOT_RUNC, path, strlen(path)), i < CENSUS_ROOTS_MAX);
    }
    assert_int_equal(roots_add(&r, CENSUS_ROOT_RUNC, "/r0/", 4), 0);
    roots_clear(&r);
}

static void a_monitors_command_line_names_its_container(void **state)
{
    static const char args[] = "conmon\0-c\0" HEX64 "\0-n\0pod1\0-p\0/x";
    struct claims cs = {0};
    struct craft c;
    struct census_reader reader;
    struct census_item item;

    (void)state;
    craft_begin(&c);
    craft_command(&c, "conmon", 0, "/", args, sizeof(args));
    craft_command(&c, "conmon", 1000, "/", args, sizeof(args));
    craft_command(&c, "conmon", 0, "/", args, 12);
    craft_end(&c);
    assert_int_equal(census_reader_init(&reader, c.b.data, c.b.size), 0);
    while (census_reader_next(&reader, &item) > 0)
        assert_int_equal(runtimes_parse_command(&item, &cs), 0);
    assert_int_equal(cs.count, 1);
    assert_string_equal(cs.items[0].id, HEX64);
    assert_string_equal(cs.items[0].name, "pod1");
    claims_clear(&cs);
    buf_free(&c.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docker_gives_name_image_and_pid_of_what_runs),
        cmocka_unit_test(docker_containers_of_a_pod_take_its_labels),
        cmocka_unit_test(containerd_tells_docker_cri_and_plain_apart_by_namespace),
        cmocka_unit_test(cri_annotations_name_pod_namespace_and_container),
        cmocka_unit_test(a_docker_bundle_gives_the_data_root_away),
        cmocka_unit_test(storage_lists_podmans_and_cri_os_containers),
        cmocka_unit_test(podmans_cri_o_annotations_do_not_make_a_pod),
        cmocka_unit_test(runc_and_crun_say_when_their_process_started),
        cmocka_unit_test(what_is_not_whole_strict_json_is_refused),
        cmocka_unit_test(numbers_and_texts_beyond_their_bounds_are_not_said),
        cmocka_unit_test(json_that_nests_or_repeats_without_end_is_bounded),
        cmocka_unit_test(command_lines_give_roots_away),
        cmocka_unit_test(roots_of_other_users_and_odd_shapes_are_not_believed),
        cmocka_unit_test(the_number_of_roots_is_bounded),
        cmocka_unit_test(a_monitors_command_line_names_its_container),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
