/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a blocked thread waits for, by the kernel functions on its stack.
 *
 * The functions are Linux's own names, 5.15 to 6.18; what none of them explains is WAIT_OTHER.
 * Called by states.c.
 */
#pragma once

#include <stddef.h>

enum wait_class {
    WAIT_DISK,
    WAIT_NETWORK,
    WAIT_LOCK,
    WAIT_SLEEP, /* for a time or a signal; stopped, frozen */
    WAIT_FAULT, /* page faults, whatever the fault itself waits for */
    WAIT_POLL,  /* several things at once: epoll, poll, select */
    WAIT_PIPE,  /* pipes, and what works like them: terminals, eventfd, message queues */
    WAIT_CHILD, /* for a process to end */
    WAIT_OTHER,
    WAIT_CLASS_COUNT,
};

/* One word, as in reports. */
const char *wait_class_name(enum wait_class c);

/* The class that this kernel function alone speaks for; WAIT_OTHER: none. */
enum wait_class wait_class_of(const char *function);

/* The class of a stack of kernel functions, outermost first. */
enum wait_class wait_class_of_stack(const char *const *functions, size_t count);
