/* SPDX-License-Identifier: Apache-2.0 */
/* The side-band of this very process, fed into a scene over a made-up world. */
#include "agent/sideband.h"
#include "base/loop.h"
#include "tests/unit/fake_client.h"

#include <sys/wait.h>

static void on_full(void *data _unused_)
{
}

static int run_true(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return pid;
}

static void processes_that_come_and_go_are_followed_to_their_mappings(void **state)
{
    _cleanup_(loop_freep) struct loop *loop = NULL;
    _cleanup_(sideband_freep) struct sideband *sb = NULL;
    struct resolver *resolver;
    struct scene *scene;
    struct scene_stats stats;
    struct err e = {0};
    uint64_t before, until;

    (void)state;
    assert_int_equal(loop_new(&loop), 0);
    if (sideband_new(loop, NULL, false, on_full, NULL, &sb, &e) < 0) {
        print_message("SKIP: %s\n", e.message);
        skip();
    }
    assert_int_equal(resolver_new(NULL, -1, -1, 1 << 20, &resolver), 0);
    assert_int_equal(scene_new(resolver, 0, false, &scene), 0);
    before = now_ns();
    for (int i = 0; i < 20; i++)
        run_true();
    until = sideband_read(sb, scene);
    assert_true(until > before);
    assert_int_equal(sideband_lost(sb), 0);
    scene_get_stats(scene, &stats);
    assert_true(stats.processes >= 20);
    scene_advance(scene, until, until + 1);
    answer_all();
    scene_free(scene);
    resolver_free(resolver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_that_come_and_go_are_followed_to_their_mappings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
