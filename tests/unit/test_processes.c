/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/processes.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char letters[8];
#define FILE_A ((struct file *)&letters[0])
#define FILE_B ((struct file *)&letters[1])

static struct processes *fresh(void)
{
    struct processes *ps;

    assert_int_equal(processes_new(&ps), 0);
    return ps;
}

static void map(struct processes *ps, uint32_t tgid, struct file *file, uint64_t time)
{
    struct mapping m = {.start = 0x1000, .end = 0x2000, .born_ns = time, .file = file};

    assert_int_equal(processes_mmap(ps, tgid, &m), 0);
}

/* What is mapped at 0x1000 in that process at that time, as the resolver asks. */
static struct file *file_at(struct processes *ps, uint32_t tgid, uint64_t time)
{
    struct process *p = processes_at(ps, tgid, time);
    const struct mapping *m =
        p ? mappings_find(process_image(p, time)->mappings, 0x1000, time) : NULL;

    return m ? m->file : NULL;
}

static struct pin *some_pin(uint64_t started)
{
    struct pin *pin = calloc(1, sizeof(*pin));

    assert_non_null(pin);
    *pin = (struct pin){.refs = 1, .proc_fd = -1, .root_fd = -1, .started_ns = started};
    return pin;
}

static void a_child_begins_with_what_its_parent_had_and_goes_its_own_way(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_exec(ps, 10, 1), 0);
    map(ps, 10, FILE_A, 2);
    assert_int_equal(processes_fork(ps, 11, 10, 5), 0);
    assert_true(processes_get(ps, 11)->images[0].complete);
    map(ps, 11, FILE_B, 6);
    assert_ptr_equal(file_at(ps, 10, 9), FILE_A);
    assert_ptr_equal(file_at(ps, 11, 9), FILE_B);
    assert_ptr_equal(file_at(ps, 11, 5), FILE_A);
}

static void a_child_of_an_unknown_parent_is_not_known_itself(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_fork(ps, 11, 10, 5), 0);
    assert_false(processes_get(ps, 11)->images[0].complete);
    assert_false(processes_get(ps, 11)->relevant);
}

static void a_child_inherits_root_and_relevance_but_not_the_directory(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();
    struct process *p = processes_obtain(ps, 10);
    struct pin *pin = some_pin(0);

    (void)state;
    p->pin = pin_ref(pin);
    p->root = pin_ref(pin);
    p->relevant = true;
    p->images[0].jit = letters;
    assert_int_equal(processes_fork(ps, 11, 10, 5), 0);
    p = processes_get(ps, 11);
    assert_ptr_equal(p->root, pin);
    assert_null(p->pin);
    assert_true(p->relevant);
    assert_null(p->images[0].jit);
    assert_int_equal(pin->refs, 4);
    pin_unref(pin);
}

static void an_exec_begins_a_new_image_and_leaves_the_old_to_its_time(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_exec(ps, 10, 1), 0);
    map(ps, 10, FILE_A, 2);
    processes_get(ps, 10)->images[0].jit = letters;
    assert_int_equal(processes_exec(ps, 10, 10), 0);
    assert_null(file_at(ps, 10, 10));
    map(ps, 10, FILE_B, 11);
    assert_ptr_equal(file_at(ps, 10, 9), FILE_A);
    assert_ptr_equal(file_at(ps, 10, 11), FILE_B);
    assert_null(processes_get(ps, 10)->images[1].jit);
    assert_ptr_equal(process_image(processes_get(ps, 10), 9)->jit, letters);
}

static void of_many_execs_the_last_images_are_kept(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(processes_exec(ps, 10, i * 10), 0);
        map(ps, 10, i % 2 ? FILE_A : FILE_B, i * 10 + 1);
    }
    assert_int_equal(processes_get(ps, 10)->image_count, PROCESS_IMAGES_MAX);
    for (uint64_t i = 20; i > 20 - PROCESS_IMAGES_MAX; i--)
        assert_ptr_equal(file_at(ps, 10, i * 10 + 5), i % 2 ? FILE_A : FILE_B);
    /* Earlier ones are unnamed, never named by another image. */
    assert_null(file_at(ps, 10, 115));
}

static void a_number_that_is_used_again_is_another_life(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_exec(ps, 10, 1), 0);
    map(ps, 10, FILE_A, 2);
    processes_exit(ps, 10, 20);
    assert_int_equal(processes_fork(ps, 10, 99, 30), 0);
    map(ps, 10, FILE_B, 31);
    assert_ptr_equal(file_at(ps, 10, 15), FILE_A);
    assert_ptr_equal(file_at(ps, 10, 31), FILE_B);
    assert_int_equal(processes_at(ps, 10, 15)->died_ns, 20);
    assert_int_equal(processes_count(ps), 1);
}

static void a_fork_ends_a_life_whose_exit_was_not_seen(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_exec(ps, 10, 1), 0);
    assert_int_equal(processes_fork(ps, 10, 99, 30), 0);
    assert_int_equal(processes_at(ps, 10, 29)->died_ns, 30);
}

static void an_exec_after_the_exit_is_a_life_whose_fork_was_not_seen(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_exec(ps, 10, 1), 0);
    map(ps, 10, FILE_A, 2);
    processes_exit(ps, 10, 20);
    assert_int_equal(processes_exec(ps, 10, 30), 0);
    assert_int_equal(processes_get(ps, 10)->died_ns, 0);
    assert_int_equal(processes_get(ps, 10)->born_ns, 30);
    processes_prune(ps, 25);
    assert_null(processes_get(ps, 10)->previous);
}

static void a_successor_that_nobody_saw_begin_knows_nothing_of_the_dead(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();
    struct process *p;

    (void)state;
    assert_int_equal(processes_exec(ps, 10, 1), 0);
    map(ps, 10, FILE_A, 2);
    processes_exit(ps, 10, 20);
    p = processes_succeed(ps, 10);
    assert_non_null(p);
    assert_null(file_at(ps, 10, 30));
    assert_false(p->images[0].complete);
    assert_ptr_equal(file_at(ps, 10, 20), FILE_A);
}

static void the_dead_are_forgotten_only_after_their_time(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_exec(ps, 10, 1), 0);
    assert_int_equal(processes_exec(ps, 11, 1), 0);
    processes_exit(ps, 10, 20);
    processes_prune(ps, 20);
    assert_non_null(processes_get(ps, 10));
    processes_prune(ps, 21);
    assert_null(processes_get(ps, 10));
    assert_non_null(processes_get(ps, 11));
}

static void one_that_is_being_looked_at_is_not_forgotten(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    processes_obtain(ps, 10)->adoption = ADOPT_ASKED;
    processes_exit(ps, 10, 20);
    processes_prune(ps, 1000);
    assert_non_null(processes_get(ps, 10));
    processes_get(ps, 10)->adoption = ADOPT_DONE;
    processes_get(ps, 10)->images[0].complete = true;
    processes_prune(ps, 1000);
    assert_null(processes_get(ps, 10));
}

static void ten_thousand_short_lives_leave_nothing_behind(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    assert_int_equal(processes_exec(ps, 1, 1), 0);
    map(ps, 1, FILE_A, 2);
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t tgid = 2 + i % 500;

        assert_int_equal(processes_fork(ps, tgid, 1, 10 + i), 0);
        assert_int_equal(processes_exec(ps, tgid, 10 + i), 0);
        map(ps, tgid, FILE_B, 10 + i);
        processes_exit(ps, tgid, 10 + i);
        if (i % 1000 == 999)
            processes_prune(ps, 11 + i);
    }
    assert_int_equal(processes_count(ps), 1);
}

static void after_a_loss_nothing_that_lived_then_is_believed(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();

    (void)state;
    for (uint32_t tgid = 10; tgid <= 12; tgid++) {
        assert_int_equal(processes_exec(ps, tgid, 1), 0);
        map(ps, tgid, FILE_A, 2);
        processes_get(ps, tgid)->adoption = ADOPT_DONE;
        processes_get(ps, tgid)->images[0].jit = letters;
    }
    processes_exit(ps, 11, 60); /* during the loss */
    processes_exit(ps, 12, 40); /* before it */
    processes_distrust(ps, 50);
    assert_null(file_at(ps, 10, 50));
    assert_null(file_at(ps, 11, 55));
    assert_ptr_equal(file_at(ps, 10, 49), FILE_A);
    assert_ptr_equal(file_at(ps, 11, 49), FILE_A);
    assert_ptr_equal(file_at(ps, 12, 40), FILE_A);
    assert_int_equal(processes_get(ps, 10)->adoption, ADOPT_NONE);
    assert_int_equal(processes_get(ps, 11)->adoption, ADOPT_FAILED);
    assert_int_equal(processes_get(ps, 12)->adoption, ADOPT_DONE);
    assert_ptr_equal(process_image(processes_get(ps, 10), 60)->jit, letters);
}

static void a_vanished_child_inherits_only_from_a_parent_older_than_itself(void **state)
{
    _cleanup_(processes_freep) struct processes *ps = fresh();
    struct process *parent, *child;

    (void)state;
    assert_int_equal(processes_fork(ps, 11, 10, 100), 0);
    parent = processes_obtain(ps, 10);
    map(ps, 10, FILE_A, 0);
    parent->images[0].complete = true;
    parent->pin = some_pin(200); /* somebody else has the parent's number by now */
    child = processes_get(ps, 11);
    assert_false(process_inherit(ps, child));
    assert_null(file_at(ps, 11, 110));
    parent->pin->started_ns = 50;
    assert_true(process_inherit(ps, child));
    assert_ptr_equal(file_at(ps, 11, 110), FILE_A);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_begins_with_what_its_parent_had_and_goes_its_own_way),
        cmocka_unit_test(a_child_of_an_unknown_parent_is_not_known_itself),
        cmocka_unit_test(a_child_inherits_root_and_relevance_but_not_the_directory),
        cmocka_unit_test(an_exec_begins_a_new_image_and_leaves_the_old_to_its_time),
        cmocka_unit_test(of_many_execs_the_last_images_are_kept),
        cmocka_unit_test(a_number_that_is_used_again_is_another_life),
        cmocka_unit_test(a_fork_ends_a_life_whose_exit_was_not_seen),
        cmocka_unit_test(an_exec_after_the_exit_is_a_life_whose_fork_was_not_seen),
        cmocka_unit_test(a_successor_that_nobody_saw_begin_knows_nothing_of_the_dead),
        cmocka_unit_test(the_dead_are_forgotten_only_after_their_time),
        cmocka_unit_test(one_that_is_being_looked_at_is_not_forgotten),
        cmocka_unit_test(ten_thousand_short_lives_leave_nothing_behind),
        cmocka_unit_test(after_a_loss_nothing_that_lived_then_is_believed),
        cmocka_unit_test(a_vanished_child_inherits_only_from_a_parent_older_than_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
