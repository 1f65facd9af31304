/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/interrupt.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const labels[INTERRUPT_KIND_COUNT] = {
    [INTERRUPT_OTHER] = "[interrupt]",
    [INTERRUPT_TIMER] = "[timer interrupt]",
    [INTERRUPT_NETWORK] = "[network interrupt]",
    [INTERRUPT_BLOCK] = "[block interrupt]",
};

static const char *const entries[] = {
    "asm_sysvec_", "asm_common_interrupt", "asm_exc_", "el0t_64_irq", "el1h_64_irq", "el0_irq",
    "el1_irq",     "do_softirq",
};

static const char *const of_tasks[] = {
    "exc_page_fault",    "do_user_addr_fault",
    "exit_to_user_mode", "irqentry_exit_to_user_mode",
    "arch_do_signal",    "do_exit",
    "task_work_run",
};

/* A function's name begins so. The first entry that fits counts. */
static const struct {
    const char *prefix;
    enum interrupt_kind kind;
} functions[] = {
    {"net_rx_action", INTERRUPT_NETWORK},
    {"net_tx_action", INTERRUPT_NETWORK},
    {"__napi_poll", INTERRUPT_NETWORK},
    {"process_backlog", INTERRUPT_NETWORK},
    {"tcp_", INTERRUPT_NETWORK},
    {"blk_done_softirq", INTERRUPT_BLOCK},
    {"blk_complete_reqs", INTERRUPT_BLOCK},
    {"blk_mq_end_request", INTERRUPT_BLOCK},
    {"blk_mq_complete_request", INTERRUPT_BLOCK},
    {"blk_update_request", INTERRUPT_BLOCK},
    {"bio_endio", INTERRUPT_BLOCK},
    {"virtblk_", INTERRUPT_BLOCK},
    {"nvme_", INTERRUPT_BLOCK},
    {"scsi_", INTERRUPT_BLOCK},
    {"hrtimer_", INTERRUPT_TIMER},
    {"__hrtimer_run_queues", INTERRUPT_TIMER},
    {"run_timer_softirq", INTERRUPT_TIMER},
    {"call_timer_fn", INTERRUPT_TIMER},
    {"__sysvec_apic_timer_interrupt", INTERRUPT_TIMER},
    {"sysvec_apic_timer_interrupt", INTERRUPT_TIMER},
    {"tick_", INTERRUPT_TIMER},
};

const char *interrupt_label(enum interrupt_kind kind)
{
    return kind < INTERRUPT_KIND_COUNT ? labels[kind] : labels[INTERRUPT_OTHER];
}

static bool begins_with_any(const char *function, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(function, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

bool interrupt_is_entry(const char *function)
{
    return begins_with_any(function, entries, ARRAY_SIZE(entries));
}

bool interrupt_is_task(const char *function)
{
    return begins_with_any(function, of_tasks, ARRAY_SIZE(of_tasks));
}

bool interrupt_is_own_packet(const char *function)
{
    return strcmp(function, "process_backlog") == 0;
}

enum interrupt_kind interrupt_kind_of(const char *function)
{
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
        if (strncmp(function, functions[i].prefix, strlen(functions[i].prefix)) == 0)
            return functions[i].kind;
    return INTERRUPT_OTHER;
}
