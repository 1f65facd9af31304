/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/interrupt.h"
#include "agent/waitclass.h"
#include "base/cleanup.h"

/* Outermost first, as Linux 6.18 shows them. */
static enum wait_class class_of(const char *const *stack)
{
    size_t n = 0;

    while (stack[n])
        n++;
    return wait_class_of_stack(stack, n);
}

static void known_waits_have_their_class(void **state _unused_)
{
    static const struct {
        const char *stack[8];
        enum wait_class class;
    } cases[] = {
        {{"do_syscall_64", "__x64_sys_fdatasync", "submit_bio_wait", "io_schedule_timeout"},
         WAIT_DISK},
        {{"do_syscall_64", "__x64_sys_futex", "do_futex", "futex_wait", "schedule"}, WAIT_LOCK},
        {{"__x64_sys_clock_nanosleep", "hrtimer_nanosleep", "do_nanosleep", "schedule"},
         WAIT_SLEEP},
        {{"ksys_read", "vfs_read", "anon_pipe_read", "schedule"}, WAIT_PIPE},
        {{"__x64_sys_epoll_wait", "do_epoll_wait", "ep_poll", "schedule"}, WAIT_POLL},
        {{"__sys_recvfrom", "tcp_recvmsg", "sk_wait_data", "schedule_timeout"}, WAIT_NETWORK},
        {{"__do_sys_wait4", "kernel_wait4", "do_wait", "schedule"}, WAIT_CHILD},
        {{"asm_exc_page_fault", "exc_page_fault", "filemap_fault", "io_schedule"}, WAIT_FAULT},
        {{"ksys_read", "eventfd_read", "do_wait_intr_irq", "schedule"}, WAIT_PIPE},
        {{"ksys_read", "timerfd_read_iter", "do_wait_intr_irq", "schedule"}, WAIT_SLEEP},
        {{"__x64_sys_fcntl", "do_fcntl", "fcntl_setlk", "schedule"}, WAIT_LOCK},
        {{"__x64_sys_rt_sigtimedwait", "do_sigtimedwait.isra.0", "schedule"}, WAIT_SLEEP},
        {{"tcp_recvmsg", "lock_sock_nested", "__lock_sock", "schedule"}, WAIT_LOCK},
        {{"arch_do_signal_or_restart", "get_signal", "schedule"}, WAIT_SLEEP},
        {{"__do_sys_clone", "kernel_clone", "schedule"}, WAIT_CHILD},
        {{"something", "nobody", "knows"}, WAIT_OTHER},
        {{NULL}, WAIT_OTHER},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(wait_class_name(class_of(cases[i].stack)),
                            wait_class_name(cases[i].class));
}

static void what_a_function_calls_for_other_reasons_is_not_its_wait(void **state _unused_)
{
    static const char *const exits[] = {"get_signal", "do_group_exit", "do_exit", "schedule", NULL};
    static const char *const forks[] = {"kernel_clone", "copy_process", "schedule", NULL};
    static const char *const stopped[] = {"asm_exc_page_fault", "irqentry_exit_to_user_mode",
                                          "get_signal",         "do_signal_stop",
                                          "schedule",           NULL};
    static const char *const waits[] = {"do_wait_for_common", "schedule", NULL};

    assert_int_equal(class_of(exits), WAIT_OTHER);
    assert_int_equal(class_of(forks), WAIT_OTHER);
    assert_int_equal(class_of(waits), WAIT_OTHER);
    assert_int_equal(class_of(stopped), WAIT_SLEEP);
}

static void interrupts_are_told_apart(void **state _unused_)
{
    assert_int_equal(interrupt_kind_of("hrtimer_wakeup"), INTERRUPT_TIMER);
    assert_int_equal(interrupt_kind_of("net_rx_action"), INTERRUPT_NETWORK);
    assert_int_equal(interrupt_kind_of("blk_done_softirq"), INTERRUPT_BLOCK);
    assert_int_equal(interrupt_kind_of("try_to_wake_up"), INTERRUPT_OTHER);
}

static void what_was_interrupted_begins_behind_the_entry(void **state _unused_)
{
    assert_true(interrupt_is_entry("asm_sysvec_apic_timer_interrupt"));
    assert_true(interrupt_is_entry("asm_common_interrupt"));
    assert_true(interrupt_is_entry("el1h_64_irq"));
    assert_false(interrupt_is_entry("sysvec_apic_timer_interrupt"));
    assert_true(interrupt_is_entry("do_softirq.part.0"));
    assert_false(interrupt_is_entry("handle_softirqs"));
    assert_false(interrupt_is_entry("do_syscall_64"));
}

static void faults_and_ends_are_the_tasks_own(void **state _unused_)
{
    assert_true(interrupt_is_task("exc_page_fault"));
    assert_true(interrupt_is_task("exit_to_user_mode_loop"));
    assert_true(interrupt_is_task("do_exit"));
    assert_false(interrupt_is_task("sysvec_apic_timer_interrupt"));
    assert_false(interrupt_is_task("asm_sysvec_apic_timer_interrupt"));
    assert_false(interrupt_is_task("irq_exit_rcu"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_waits_have_their_class),
        cmocka_unit_test(what_a_function_calls_for_other_reasons_is_not_its_wait),
        cmocka_unit_test(interrupts_are_told_apart),
        cmocka_unit_test(what_was_interrupted_begins_behind_the_entry),
        cmocka_unit_test(faults_and_ends_are_the_tasks_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
