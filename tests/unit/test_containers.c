/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/craft_census.h"

#include "agent/containers.h"
#include "agent/inventory.h"

#include <json-c/json.h>

/* One claim in a source of its own. */
struct said {
    struct claim claims[16];
    struct claims sets[16];
    struct containers_source sources[16];
    size_t count;
};

static void say(struct said *s, const char *directory, struct claim claim)
{
    size_t i = s->count++;

    assert_true(i < ARRAY_SIZE(s->claims));
    s->claims[i] = claim;
    s->sets[i] = (struct claims){.items = &s->claims[i], .count = 1};
    s->sources[i] = (struct containers_source){.directory = directory, .claims = &s->sets[i]};
}

static struct containers *built(struct craft *c, const struct said *s, int32_t self)
{
    struct containers *cs = NULL;

    craft_end(c);
    assert_int_equal(containers_new(c->b.data, c->b.size, s->sources, s->count, NULL, self, &cs),
                     0);
    buf_free(&c->b);
    return cs;
}

/* The only container, or a failure. */
static const struct container *only(const struct containers *cs)
{
    size_t count;
    const struct container *all = containers_all(cs, &count);

    assert_int_equal(count, 1);
    return all;
}

static size_t count_of(const struct containers *cs)
{
    size_t count;

    containers_all(cs, &count);
    return count;
}

#define DOCKER_CGROUP "4:memory:/docker/" HEX64 "\n0::/docker/" HEX64 "\n"

static void all_who_claim_a_container_make_one_row_with_the_best_name(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    craft_host(&c, 1, 0, craft_cgroup(&c, "4:memory:/\n0::/\n"), "init");
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, DOCKER_CGROUP));
    say(&s, "/run/runc/x",
        (struct claim){RUNTIME_RUNC, .id = HEX64, .name = "runcs", .pid = 100, .start_time = 1100});
    say(&s, "/ctd/moby/x", (struct claim){RUNTIME_DOCKER, .id = HEX64, .pid = 100});
    say(&s, "/d/containers/x",
        (struct claim){RUNTIME_DOCKER, .id = HEX64, .name = "web1", .image = "nginx", .pid = 100});
    struct containers *cs = built(&c, &s, 0);
    const struct container *row = only(cs);

    assert_string_equal(row->name, "web1");
    assert_string_equal(row->image, "nginx");
    assert_int_equal(row->runtime, RUNTIME_DOCKER);
    assert_int_equal(row->init_pid, 100);
    assert_int_equal(row->process_count, 1);
    assert_int_equal(row->processes[0].ns_tgid, 1);
    assert_int_equal(row->cgroup_count, 2);
    assert_true(row->cgroups[0].v2);
    assert_string_equal(row->cgroup, "/docker/" HEX64);
    containers_free(cs);
}

static void ids_that_are_equal_by_chance_stay_two_containers(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, "0::/a/web1\n"));
    craft_inside(&c, 200, 1, 8, craft_cgroup(&c, "0::/b/web1\n"));
    say(&s, "/run/runc/web1",
        (struct claim){RUNTIME_RUNC, .id = "web1", .pid = 100, .start_time = 1100});
    say(&s, "/run/crun/web1",
        (struct claim){RUNTIME_CRUN, .id = "web1", .pid = 200, .start_time = 1200});
    struct containers *cs = built(&c, &s, 0);
    struct buf word = {0};
    size_t count;
    const struct container *all = containers_all(cs, &count);

    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        containers_add_word(cs, &all[i], &word);
        buf_adds(&word, " ");
    }
    assert_non_null(strstr(word.data, "runc:web1"));
    assert_non_null(strstr(word.data, "crun:web1"));
    buf_free(&word);
    containers_free(cs);
}

static void a_claim_about_a_pid_that_is_used_again_makes_no_row(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    uint32_t host = craft_cgroup(&c, "4:memory:/\n0::/user.slice\n");

    craft_host(&c, 100, 1, host, "bash");
    craft_host(&c, 101, 1, host, "bash");
    craft_inside(&c, 102, 1, 9, craft_cgroup(&c, "0::/other\n"));
    craft_host(&c, 103, 1, craft_cgroup(&c, "0::/default/d\n"), "shim");
    /* Another start time; the host's namespace, twice; another container's cgroup; nobody. */
    say(&s, "/run/runc/a", (struct claim){RUNTIME_RUNC, .id = "a", .pid = 100, .start_time = 5});
    say(&s, "/c/default/b", (struct claim){RUNTIME_CONTAINERD, .id = "b", .pid = 101});
    say(&s, "/c/default/c", (struct claim){RUNTIME_CONTAINERD, .id = "c", .pid = 102});
    say(&s, "/c/default/d", (struct claim){RUNTIME_CONTAINERD, .id = "d", .pid = 103});
    say(&s, "/d/x", (struct claim){RUNTIME_DOCKER, .id = HEX64, .name = "x", .pid = 999});
    struct containers *cs = built(&c, &s, 0);

    /* Only the cgroup that is there, under its own name. */
    assert_string_equal(only(cs)->name, "other");
    assert_int_equal(only(cs)->runtime, RUNTIME_UNKNOWN);
    containers_free(cs);
}

static void a_stale_pid_does_not_hide_a_container_that_its_cgroup_shows(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    uint32_t g = craft_cgroup(&c, "0::/system.slice/docker-" HEX64 ".scope\n");

    craft_inside(&c, 201, 5, 7, g);
    craft_inside(&c, 200, 1, 7, g);
    say(&s, "/d/x",
        (struct claim){RUNTIME_DOCKER, .id = HEX64, .name = "web1", .image = "i", .pid = 100});
    struct containers *cs = built(&c, &s, 0);

    assert_string_equal(only(cs)->name, "web1");
    assert_string_equal(only(cs)->image, "i");
    assert_int_equal(only(cs)->init_pid, 200);
    assert_int_equal(only(cs)->process_count, 2);
    containers_free(cs);
}

static void a_container_that_nobody_claims_shows_under_its_cgroups_name(void **state)
{
    static const struct {
        const char *text, *name, *cgroup;
        enum runtime runtime;
    } cases[] = {
        {"0::/docker/" HEX64 "\n", "0123456789ab", "/docker/" HEX64, RUNTIME_DOCKER},
        {"0::/m/libpod-" HEX64 ".scope/container\n", "0123456789ab", "/m/libpod-" HEX64 ".scope",
         RUNTIME_PODMAN},
        {"0::/kubepods.slice/cri-containerd-" HEX64 ".scope\n", "0123456789ab",
         "/kubepods.slice/cri-containerd-" HEX64 ".scope", RUNTIME_CRI},
        {"0::/lxc.payload.debian/system.slice/x.service\n", "debian", "/lxc.payload.debian",
         RUNTIME_UNKNOWN},
        {"0::/machine.slice/systemd-nspawn@my\\x2dbox.service/payload\n", "my-box",
         "/machine.slice/systemd-nspawn@my\\x2dbox.service", RUNTIME_UNKNOWN},
        {"0::/machine.slice/machine-box.scope\n", "box", "/machine.slice/machine-box.scope",
         RUNTIME_UNKNOWN},
        {"0::/\n4:memory:/jail\n", "jail", "/jail", RUNTIME_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct said s = {0};
        struct craft c;

        craft_begin(&c);
        craft_host(&c, 1, 0, craft_cgroup(&c, "4:memory:/\n0::/init.scope\n"), "init");
        craft_inside(&c, 100, 1, 7, craft_cgroup(&c, cases[i].text));
        struct containers *cs = built(&c, &s, 0);

        assert_string_equal(only(cs)->name, cases[i].name);
        assert_string_equal(only(cs)->cgroup, cases[i].cgroup);
        assert_int_equal(only(cs)->runtime, cases[i].runtime);
        containers_free(cs);
    }
}

static void cgroups_below_an_unclaimed_container_belong_to_it(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    craft_inside(&c, 103, 9, 8, craft_cgroup(&c, "0::/box/system.slice/db.service\n"));
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, "0::/box\n"));
    craft_inside(&c, 102, 8, 7, craft_cgroup(&c, "0::/box/system.slice\n"));
    craft_inside(&c, 104, 1, 9, craft_cgroup(&c, "0::/box-two\n"));
    struct containers *cs = built(&c, &s, 0);
    size_t count;
    const struct container *all = containers_all(cs, &count);

    assert_int_equal(count, 2);
    assert_string_equal(all[0].name, "box");
    assert_int_equal(all[0].process_count, 3);
    assert_int_equal(all[0].init_pid, 100);
    assert_string_equal(all[1].name, "box-two");
    containers_free(cs);
}

/* mount namespace and root as given; everything else of the host. */
static void add_odd(struct craft *c, int tgid, uint64_t mount_ns, uint64_t root_ino,
                    const char *cgroup)
{
    struct census_process p = {
        .tgid = tgid,
        .ppid = 1,
        .start_time = 1,
        .mount_ns = mount_ns,
        .root_dev = 1,
        .root_ino = root_ino,
        .cgroup = craft_cgroup(c, cgroup),
    };

    craft_process(c, &p);
}

static void services_sandboxes_and_chroots_are_no_containers(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    /* PrivateTmp: own mount namespace, the host's root. */
    add_odd(&c, 100, 77, HOST_ROOT, "0::/system.slice/nginx.service\n");
    /* A browser's sandbox or a chroot: another root, the host's mount namespace. */
    add_odd(&c, 101, HOST_MOUNTS, 99, "0::/user.slice/chroot.scope\n");
    /* Unreadable. */
    add_odd(&c, 102, 0, 0, "0::/user.slice/hidden.scope\n");
    /* A jail started in a shell: host processes share its cgroup. */
    uint32_t session = craft_cgroup(&c, "0::/user.slice/session-1.scope\n");
    craft_host(&c, 103, 1, session, "bash");
    craft_inside(&c, 104, 1, 7, session);
    /* No cgroup of its own. */
    craft_inside(&c, 105, 1, 8, craft_cgroup(&c, "4:memory:/\n0::/\n"));
    struct containers *cs = built(&c, &s, 0);

    assert_int_equal(count_of(cs), 0);
    containers_free(cs);
}

static void our_own_processes_are_no_containers(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    uint32_t own = craft_cgroup(&c, "0::/system.slice/porthole.service/agent\n");
    struct census_process parser = {
        .tgid = 12,
        .ppid = 10,
        .start_time = 1,
        .mount_ns = 500,
        .root_dev = 9,
        .root_ino = 9,
        .cgroup = craft_cgroup(&c, "0::/system.slice/porthole.service/parser\n"),
    };

    craft_host(&c, 10, 1, own, "portholed");
    craft_host(&c, 11, 10, own, "portholed");
    craft_process(&c, &parser);
    struct containers *cs = built(&c, &s, 11);

    assert_int_equal(count_of(cs), 0);
    containers_free(cs);
}

static void a_cgroup_that_host_processes_share_is_not_a_containers_own(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    uint32_t g = craft_cgroup(&c, "4:memory:/c1\n3:cpu:/user\n0::/user.slice\n");

    craft_host(&c, 1, 0, craft_cgroup(&c, "4:memory:/\n3:cpu:/user\n0::/user.slice\n"), "bash");
    craft_inside(&c, 100, 1, 7, g);
    say(&s, "/run/crun/c1",
        (struct claim){RUNTIME_CRUN, .id = "c1", .pid = 100, .start_time = 1100});
    struct containers *cs = built(&c, &s, 0);

    assert_int_equal(only(cs)->cgroup_count, 1);
    assert_string_equal(only(cs)->cgroups[0].controllers, "memory");
    assert_string_equal(only(cs)->cgroup, "/c1");
    containers_free(cs);
}

static void containers_in_one_cgroup_are_told_apart_by_mount_namespace(void **state)
{
    struct said s = {0};
    struct craft c;

    (void)state;
    craft_begin(&c);
    uint32_t g = craft_cgroup(&c, "0::/shared\n");

    craft_inside(&c, 100, 1, 7, g);
    craft_inside(&c, 101, 2, 7, g);
    craft_inside(&c, 200, 1, 8, g);
    say(&s, "/run/runc/a", (struct claim){RUNTIME_RUNC, .id = "a", .pid = 100, .start_time = 1100});
    say(&s, "/run/runc/b", (struct claim){RUNTIME_RUNC, .id = "b", .pid = 200, .start_time = 1200});
    struct containers *cs = built(&c, &s, 0);
    size_t count;
    const struct container *all = containers_all(cs, &count);

    assert_int_equal(count, 2);
    assert_int_equal(all[0].cgroup_count, 0);
    assert_null(all[0].cgroup);
    assert_int_equal(all[0].process_count, 2);
    assert_int_equal(all[1].process_count, 1);
    assert_ptr_equal(containers_of_process(cs, 200), &all[1]);
    assert_null(containers_of_process(cs, 999));
    containers_free(cs);
}

static void names_with_markup_and_control_bytes_stay_inside_their_json(void **state)
{
    struct said s = {0};
    struct craft c;
    struct buf b = {0};

    (void)state;
    craft_begin(&c);
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, DOCKER_CGROUP));
    say(&s, "/d",
        (struct claim){RUNTIME_DOCKER, .id = HEX64, .name = "a\"},\n\x1b[31m\xff",
                       .image = "</script>", .pid = 100});
    struct containers *cs = built(&c, &s, 0);
    struct container *copy = NULL;

    assert_int_equal(container_copy(only(cs), &copy), 0);
    containers_free(cs);
    buf_adds(&b, "{");
    container_add_json(copy, &b);
    buf_adds(&b, "}");
    assert_null(strchr(b.data, '\n'));
    assert_null(strchr(b.data, '\x1b'));
    json_object *o = json_tokener_parse(b.data);
    json_object *v;

    assert_non_null(o);
    assert_true(json_object_object_get_ex(o, "init_pid", &v));
    assert_int_equal(json_object_get_int(v), 100);
    assert_true(json_object_object_get_ex(o, "name", &v));
    assert_memory_equal(json_object_get_string(v), "a\"},\n\x1b[31m", 10);
    assert_false(json_object_object_get_ex(o, "pod", &v));
    json_object_put(o);
    buf_free(&b);
    container_free(copy);
}

static void an_answer_that_lies_makes_no_list(void **state)
{
    struct craft c;
    struct containers *cs = NULL;

    (void)state;
    craft_begin(&c);
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, DOCKER_CGROUP));
    craft_end(&c);
    ((struct census_header *)c.b.data)->record_count++;
    assert_int_equal(containers_new(c.b.data, c.b.size, NULL, 0, NULL, 0, &cs), -EBADMSG);
    assert_null(cs);
    buf_free(&c.b);
}

static void a_host_with_thousands_of_containers_is_listed_quickly(void **state)
{
    struct said s = {0};
    struct craft c;
    char text[256];

    (void)state;
    craft_begin(&c);
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof(text), "4:memory:/docker/%064x\n0::/docker/%064x\n", i, i);
        craft_inside(&c, 100 + i, 1, 10u + (uint64_t)i, craft_cgroup(&c, text));
    }
    struct containers *cs = built(&c, &s, 0);

    assert_int_equal(count_of(cs), 3000);
    containers_free(cs);
}

/* ---- what is kept between two answers ---- */

static struct containers *answered(struct inventory *inv, struct craft *c, int expected)
{
    struct buf question = {0};
    struct containers *cs = NULL;

    craft_end(c);
    assert_int_equal(inventory_question(inv, &question), 0);
    assert_int_equal(inventory_take(inv, c->b.data, c->b.size), expected);
    assert_int_equal(inventory_containers(inv, c->b.data, c->b.size, 0, &cs), 0);
    buf_free(&question);
    buf_free(&c->b);
    return cs;
}

#define RUNC_STATE \
    "{\"id\":\"r1\",\"init_process_pid\":100,\"init_process_start\":1100,\"config\":{}}"

static void an_unchanged_file_keeps_its_claims_and_a_vanished_one_loses_them(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inv = NULL;
    struct inventory_stats stats;
    struct containers *cs;
    struct craft c;

    (void)state;
    assert_int_equal(inventory_new(NULL, false, NULL, &inv), 0);
    craft_begin(&c);
    craft_file(&c, CENSUS_FILE_RUNC_STATE, CENSUS_FILE_READ, "/run/runc/r1/state.json", RUNC_STATE);
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, "0::/x\n"));
    cs = answered(inv, &c, 0);
    assert_string_equal(only(cs)->name, "r1");
    containers_free(cs);

    craft_begin(&c);
    craft_file(&c, CENSUS_FILE_RUNC_STATE, CENSUS_FILE_UNCHANGED, "/run/runc/r1/state.json", "");
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, "0::/x\n"));
    cs = answered(inv, &c, 0);
    assert_string_equal(only(cs)->name, "r1");
    containers_free(cs);
    inventory_get_stats(inv, &stats);
    assert_int_equal(stats.files_parsed, 1);

    craft_begin(&c);
    craft_inside(&c, 100, 1, 7, craft_cgroup(&c, "0::/x\n"));
    cs = answered(inv, &c, 0);
    assert_string_equal(only(cs)->name, "x");
    containers_free(cs);
    inventory_get_stats(inv, &stats);
    assert_int_equal(stats.files, 0);
}

static void a_bad_file_is_counted_and_read_again(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inv = NULL;
    struct inventory_stats stats;
    struct buf question = {0};
    struct craft c;

    (void)state;
    assert_int_equal(inventory_new(NULL, false, NULL, &inv), 0);
    craft_begin(&c);
    craft_file(&c, CENSUS_FILE_RUNC_STATE, CENSUS_FILE_READ, "/run/runc/r1/state.json", "{half");
    containers_free(answered(inv, &c, 0));
    inventory_get_stats(inv, &stats);
    assert_int_equal(stats.files_bad, 1);
    assert_int_equal(inventory_question(inv, &question), 0);
    assert_int_equal(((struct census_question *)question.data)->stamp_count, 0);
    buf_free(&question);
}

static void new_roots_are_asked_for_once_and_kept_while_files_are_there(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inv = NULL;
    static const char args[] = "dockerd\0--data-root\0/srv/d";
    static const char file[] = "/srv/d/containers/" HEX64 "/config.v2.json";
    static const char text[] = "{\"State\":{},\"ID\":\"" HEX64 "\"}";
    struct inventory_stats stats;
    struct buf question = {0};
    struct craft c;

    (void)state;
    assert_int_equal(inventory_new(NULL, false, NULL, &inv), 0);
    craft_begin(&c);
    craft_command(&c, "dockerd", 0, "/", args, sizeof(args));
    containers_free(answered(inv, &c, 1));
    craft_begin(&c);
    craft_command(&c, "dockerd", 0, "/", args, sizeof(args));
    craft_file(&c, CENSUS_FILE_DOCKER_CONFIG, CENSUS_FILE_READ, file, text);
    containers_free(answered(inv, &c, 0));
    /* The daemon died; its files still tell. */
    craft_begin(&c);
    craft_file(&c, CENSUS_FILE_DOCKER_CONFIG, CENSUS_FILE_UNCHANGED, file, "");
    containers_free(answered(inv, &c, 0));
    inventory_get_stats(inv, &stats);
    assert_int_equal(stats.roots, 1);
    craft_begin(&c);
    containers_free(answered(inv, &c, 0));
    assert_int_equal(inventory_question(inv, &question), 0);
    assert_int_equal(((struct census_question *)question.data)->root_count, 0);
    buf_free(&question);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_who_claim_a_container_make_one_row_with_the_best_name),
        cmocka_unit_test(ids_that_are_equal_by_chance_stay_two_containers),
        cmocka_unit_test(a_claim_about_a_pid_that_is_used_again_makes_no_row),
        cmocka_unit_test(a_stale_pid_does_not_hide_a_container_that_its_cgroup_shows),
        cmocka_unit_test(a_container_that_nobody_claims_shows_under_its_cgroups_name),
        cmocka_unit_test(cgroups_below_an_unclaimed_container_belong_to_it),
        cmocka_unit_test(services_sandboxes_and_chroots_are_no_containers),
        cmocka_unit_test(our_own_processes_are_no_containers),
        cmocka_unit_test(a_cgroup_that_host_processes_share_is_not_a_containers_own),
        cmocka_unit_test(containers_in_one_cgroup_are_told_apart_by_mount_namespace),
        cmocka_unit_test(names_with_markup_and_control_bytes_stay_inside_their_json),
        cmocka_unit_test(an_answer_that_lies_makes_no_list),
        cmocka_unit_test(a_host_with_thousands_of_containers_is_listed_quickly),
        cmocka_unit_test(an_unchanged_file_keeps_its_claims_and_a_vanished_one_loses_them),
        cmocka_unit_test(a_bad_file_is_counted_and_read_again),
        cmocka_unit_test(new_roots_are_asked_for_once_and_kept_while_files_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
