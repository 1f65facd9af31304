/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/waitclass.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <string.h>

static const char *const names[WAIT_CLASS_COUNT] = {
    [WAIT_DISK] = "disk",   [WAIT_NETWORK] = "network", [WAIT_LOCK] = "lock",
    [WAIT_SLEEP] = "sleep", [WAIT_FAULT] = "fault",     [WAIT_POLL] = "poll",
    [WAIT_PIPE] = "pipe",   [WAIT_CHILD] = "child",     [WAIT_OTHER] = "other",
};

/* A function's name begins so, or is it where the entry ends in a '$' (compilers add ".isra.0" and
 * the like). The first entry that fits counts. WAIT_OTHER: whatever has called it, that wait is
 * none of the caller's. */
static const struct {
    const char *name;
    enum wait_class class;
} functions[] = {
    {"io_schedule", WAIT_DISK},
    {"submit_bio_wait", WAIT_DISK},
    {"blk_mq_get_tag", WAIT_DISK},
    {"rq_qos_wait", WAIT_DISK},
    {"folio_wait_bit", WAIT_DISK},
    {"folio_wait_writeback", WAIT_DISK},
    {"wait_on_page_", WAIT_DISK},
    {"__wait_on_buffer", WAIT_DISK},
    {"balance_dirty_pages", WAIT_DISK},
    {"jbd2_", WAIT_DISK},
    {"xfs_log_force", WAIT_DISK},
    {"btrfs_wait_", WAIT_DISK},
    {"read_events", WAIT_DISK},         /* io_getevents() */
    {"request_wait_answer", WAIT_DISK}, /* FUSE */
    {"p9_client_rpc", WAIT_DISK},
    {"ep_poll", WAIT_POLL},
    {"do_epoll_wait", WAIT_POLL},
    {"do_poll", WAIT_POLL},
    {"do_sys_poll", WAIT_POLL},
    {"do_select", WAIT_POLL},
    {"io_cqring_wait", WAIT_POLL},
    {"futex_", WAIT_LOCK},
    {"__futex_", WAIT_LOCK},
    {"do_futex", WAIT_LOCK},
    {"__mutex_lock", WAIT_LOCK},
    {"mutex_lock", WAIT_LOCK},
    {"rwsem_down_", WAIT_LOCK},
    {"rt_mutex_", WAIT_LOCK},
    {"down_read", WAIT_LOCK},
    {"down_write", WAIT_LOCK},
    {"__down", WAIT_LOCK},
    {"percpu_rwsem_wait", WAIT_LOCK},
    {"__lock_sock$", WAIT_LOCK},
    {"do_semtimedop", WAIT_LOCK},
    {"__do_semtimedop", WAIT_LOCK},
    {"flock_lock_inode_wait", WAIT_LOCK},
    {"locks_lock_inode_wait", WAIT_LOCK},
    {"posix_lock_inode_wait", WAIT_LOCK},
    {"do_lock_file_wait", WAIT_LOCK},
    {"fcntl_setlk", WAIT_LOCK},
    {"hrtimer_nanosleep", WAIT_SLEEP},
    {"do_nanosleep", WAIT_SLEEP},
    {"__do_sys_pause", WAIT_SLEEP},
    {"sigsuspend", WAIT_SLEEP},
    {"do_sigtimedwait", WAIT_SLEEP},
    {"msleep", WAIT_SLEEP},
    {"do_signal_stop", WAIT_SLEEP},
    {"do_freezer_trap", WAIT_SLEEP},
    {"__refrigerator", WAIT_SLEEP},
    {"ptrace_stop", WAIT_SLEEP},
    {"do_exit$", WAIT_OTHER},
    {"get_signal$", WAIT_SLEEP}, /* where the others are inlined */
    {"timerfd_read", WAIT_SLEEP},
    {"signalfd_", WAIT_SLEEP},
    {"anon_pipe_", WAIT_PIPE},
    {"pipe_", WAIT_PIPE},
    {"wait_for_partner", WAIT_PIPE},
    {"splice_", WAIT_PIPE},
    {"eventfd_read", WAIT_PIPE},
    {"n_tty_", WAIT_PIPE},
    {"do_msgrcv", WAIT_PIPE},
    {"do_msgsnd", WAIT_PIPE},
    {"wq_sleep$", WAIT_PIPE}, /* POSIX message queues */
    {"do_wait$", WAIT_CHILD},
    {"do_wait4", WAIT_CHILD},
    {"wait_for_vfork_done", WAIT_CHILD},
    {"copy_process$", WAIT_OTHER},
    {"kernel_clone", WAIT_CHILD},
    {"sk_wait_data", WAIT_NETWORK},
    {"sk_stream_wait_", WAIT_NETWORK},
    {"inet_csk_accept", WAIT_NETWORK},
    {"inet_wait_for_connect", WAIT_NETWORK},
    {"inet_stream_connect", WAIT_NETWORK},
    {"__inet_stream_connect", WAIT_NETWORK},
    {"__skb_wait_for_more_packets", WAIT_NETWORK},
    {"skb_wait_for_more_packets", WAIT_NETWORK},
    {"sock_alloc_send_", WAIT_NETWORK},
    {"sock_wait_for_", WAIT_NETWORK},
    {"unix_stream_", WAIT_NETWORK},
    {"unix_wait_for_peer", WAIT_NETWORK},
    {"unix_accept", WAIT_NETWORK},
    {"tcp_", WAIT_NETWORK},
    {"udp_", WAIT_NETWORK},
    {"sock_recvmsg", WAIT_NETWORK},
    {"sock_sendmsg", WAIT_NETWORK},
    {"exc_page_fault", WAIT_FAULT}, /* not asm_…: the way back to user mode has waits of its own */
    {"do_user_addr_fault", WAIT_FAULT},
    {"do_page_fault", WAIT_FAULT}, /* arm64 */
};

const char *wait_class_name(enum wait_class c)
{
    return c < WAIT_CLASS_COUNT ? names[c] : names[WAIT_OTHER];
}

static bool fits(const char *function, const char *pattern)
{
    size_t size = strcspn(pattern, "$");

    if (strncmp(function, pattern, size) != 0)
        return false;
    return pattern[size] == '\0' || function[size] == '\0' || function[size] == '.';
}

/* Whether the function says anything. */
static bool class_of(const char *function, enum wait_class *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
        if (fits(function, functions[i].name)) {
            *ret = functions[i].class;
            return true;
        }
    return false;
}

enum wait_class wait_class_of(const char *function)
{
    enum wait_class class = WAIT_OTHER;

    class_of(function, &class);
    return class;
}

/* The innermost function that says something, unless all of it happens in a page fault. */
enum wait_class wait_class_of_stack(const char *const *stack, size_t count)
{
    enum wait_class class = WAIT_OTHER;
    bool found = false;

    for (size_t i = count; i > 0; i--) {
        enum wait_class here;

        if (!class_of(stack[i - 1], &here))
            continue;
        if (here == WAIT_FAULT)
            return WAIT_FAULT;
        if (!found)
            class = here;
        found = true;
    }
    return class;
}
