/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of threads' states and of their waits for a CPU, fed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/latency.h"
#include "agent/states.h"
#include "base/cleanup.h"

#include <string.h>

/* ---- what the scene would know: the id is the place ---- */

static const struct frame frames[] = {
    {.name = "main", .source = SOURCE_SYMTAB},
    {.name = "futex_wait", .source = SOURCE_KALLSYMS},
    {.name = "schedule", .source = SOURCE_KALLSYMS},
    {.name = "tcp_recvmsg", .source = SOURCE_SYMTAB}, /* of the user's: says nothing */
};

const struct frame *scene_frame_by_id(const struct scene *s _unused_, uint32_t id)
{
    return id < ARRAY_SIZE(frames) ? &frames[id] : NULL;
}

static struct event_key key_of(uint32_t tgid, uint32_t tid, const char *comm)
{
    struct event_key k = {.tgid = tgid, .tid = tid, .ns_tgid = tgid - 90, .ns_tid = tid - 90};

    strcpy(k.comm, comm);
    return k;
}

static const struct event_times some = {
    .wall_ns = 100, .time_ns = {10, 20, 30, 40}, .voluntary = 2, .involuntary = 3, .threads = 1};

static struct states *states_of(const struct profile_setup *setup)
{
    struct event_key a = key_of(100, 100, "one"), b = key_of(100, 101, "two"),
                     c = key_of(200, 200, "one");
    struct states *s = NULL;

    assert_int_equal(states_new(setup, &s), 0);
    assert_int_equal(states_add_times(s, &a, &some), 0);
    assert_int_equal(states_add_times(s, &b, &some), 0);
    assert_int_equal(states_add_times(s, &c, &some), 0);
    return s;
}

static size_t row_count(const struct states *s)
{
    size_t cursor = 0, n = 0;

    while (states_next(s, &cursor))
        n++;
    return n;
}

static void rows_are_names_processes_or_threads(void **state _unused_)
{
    static const struct {
        struct profile_setup setup;
        size_t rows;
    } cases[] = {{{0}, 2}, {{.per_process = true}, 2}, {{.per_thread = true}, 3}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(states_freep) struct states *s = states_of(&cases[i].setup);

        assert_int_equal(row_count(s), cases[i].rows);
    }
}

static void the_total_is_the_sum_of_the_rows(void **state _unused_)
{
    _cleanup_(states_freep) struct states *s =
        states_of(&(struct profile_setup){.per_process = true});
    const struct states_row *row;
    uint64_t wall = 0, blocked = 0;
    size_t cursor = 0;

    while ((row = states_next(s, &cursor))) {
        wall += row->times.wall_ns;
        blocked += row->times.time_ns[EVENT_BLOCKED];
    }
    assert_int_equal(states_total(s)->wall_ns, wall);
    assert_int_equal(wall, 300);
    assert_int_equal(states_total(s)->time_ns[EVENT_BLOCKED], blocked);
    assert_int_equal(states_total(s)->threads, 3);
    assert_int_equal(states_total(s)->involuntary, 9);
}

static void a_process_goes_by_its_number_whatever_its_threads_are_called(void **state _unused_)
{
    _cleanup_(states_freep) struct states *s =
        states_of(&(struct profile_setup){.per_process = true});
    size_t cursor = 0;
    const struct states_row *row = states_next(s, &cursor);

    assert_int_equal(row->tgid, 100);
    assert_int_equal(row->ns_tgid, 10);
    assert_int_equal(row->tid, 0);
    assert_int_equal(row->times.threads, 2);
}

/* A stack of the result, outermost first. */
static struct profile_stack *stack_of(const char *comm, uint64_t value, uint32_t outer,
                                      uint32_t inner)
{
    struct profile_stack *s = calloc(1, sizeof(*s) + 2 * sizeof(s->frames[0]));

    assert_non_null(s);
    s->comm = comm;
    s->value = value;
    s->frame_count = 2;
    s->frames[0] = outer;
    s->frames[1] = inner;
    return s;
}

static void waits_are_classed_by_the_kernels_functions_alone(void **state _unused_)
{
    _cleanup_(states_freep) struct states *s = states_of(&(struct profile_setup){0});
    char comm[EVENT_COMM_SIZE] = "one";
    _cleanup_free_ struct profile_stack *lock = stack_of(comm, 5, 1, 2);
    _cleanup_free_ struct profile_stack *none = stack_of(comm, 7, 3, 2);
    size_t cursor = 0;
    const struct states_row *row;

    states_add_stack(s, NULL, lock);
    states_add_stack(s, NULL, none);
    row = states_next(s, &cursor);
    assert_string_equal(row->comm, "one");
    assert_int_equal(row->blocked_us[WAIT_LOCK], 5);
    assert_int_equal(row->blocked_us[WAIT_NETWORK], 0);
    assert_int_equal(row->blocked_us[WAIT_OTHER], 7);
    assert_int_equal(states_unclassed_us(s), 7);
}

static void a_name_without_an_end_is_cut(void **state _unused_)
{
    _cleanup_(states_freep) struct states *s = NULL;
    struct event_key k = key_of(100, 100, "");
    size_t cursor = 0;

    memset(k.comm, 'x', sizeof(k.comm));
    assert_int_equal(states_new(&(struct profile_setup){0}, &s), 0);
    assert_int_equal(states_add_times(s, &k, &some), 0);
    assert_int_equal(strlen(states_next(s, &cursor)->comm), EVENT_COMM_SIZE - 1);
}

/* ---- waits for a CPU ---- */

static void add_cell(struct latency *l, struct event_cell cell, uint64_t count, uint64_t us)
{
    struct event_value v = {.count = count, .first_ns = count * us, .last_ns = us};

    cell.bucket = histogram_bucket(us);
    cell.part = cell.part ? cell.part : EVENT_PART_RUNNABLE;
    assert_int_equal(latency_add_cell(l, &cell, &v), 0);
}

static void the_total_of_waits_is_that_of_the_slices(void **state _unused_)
{
    _cleanup_(latency_freep) struct latency *l = NULL;

    assert_int_equal(latency_new(&l), 0);
    add_cell(l, (struct event_cell){.tid = 7}, 3, 10);
    add_cell(l, (struct event_cell){.slice = 1}, 2, 10);
    add_cell(l, (struct event_cell){.slice = 3}, 1, 1000);
    add_cell(l, (struct event_cell){.slice = 3, .part = EVENT_PART_THROTTLED}, 1, 50000);
    assert_int_equal(latency_total(l, LATENCY_RUNNABLE)->count, 3);
    assert_int_equal(latency_total(l, LATENCY_RUNNABLE)->max, 1000);
    assert_int_equal(latency_total(l, LATENCY_THROTTLED)->count, 1);
    assert_int_equal(latency_slices(l), 3);
    assert_int_equal(latency_of_slice(l, 0, LATENCY_RUNNABLE)->count, 2);
    assert_null(latency_of_slice(l, 1, LATENCY_RUNNABLE));
    assert_int_equal(latency_of_thread(l, 7, LATENCY_RUNNABLE)->count, 3);
    assert_null(latency_of_thread(l, 8, LATENCY_RUNNABLE));
    assert_null(latency_of_thread(l, 7, LATENCY_THROTTLED));
}

static void a_slice_beyond_all_bounds_is_the_last_one(void **state _unused_)
{
    _cleanup_(latency_freep) struct latency *l = NULL;

    assert_int_equal(latency_new(&l), 0);
    add_cell(l, (struct event_cell){.slice = UINT32_MAX}, 1, 10);
    assert_true(latency_slices(l) < 100000);
    assert_int_equal(latency_of_slice(l, latency_slices(l) - 1, LATENCY_RUNNABLE)->count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_names_processes_or_threads),
        cmocka_unit_test(the_total_is_the_sum_of_the_rows),
        cmocka_unit_test(a_process_goes_by_its_number_whatever_its_threads_are_called),
        cmocka_unit_test(waits_are_classed_by_the_kernels_functions_alone),
        cmocka_unit_test(a_name_without_an_end_is_cut),
        cmocka_unit_test(the_total_of_waits_is_that_of_the_slices),
        cmocka_unit_test(a_slice_beyond_all_bounds_is_the_last_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
