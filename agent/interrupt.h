/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an interrupt was about, by the kernel functions on the stack that it left.
 *
 * The names are Linux's own, x86-64 and arm64, 5.15 to 6.18. Called by profile_wakers.c.
 */
#pragma once

#include <stdbool.h>

enum interrupt_kind {
    INTERRUPT_OTHER,
    INTERRUPT_TIMER,
    INTERRUPT_NETWORK,
    INTERRUPT_BLOCK,
    INTERRUPT_KIND_COUNT,
};

/* How it is shown: "[timer interrupt]" … */
const char *interrupt_label(enum interrupt_kind kind);

/* Where interrupts enter the kernel, or a task turns to what they have put off: what lies further
 * out belongs to whoever was interrupted. */
bool interrupt_is_entry(const char *function);

/* No interrupt at all: faults, and what a task does on its way back to user mode. */
bool interrupt_is_task(const char *function);

/* Packets that this host sends to itself: they come in where they go out, so that what lies further
 * out is their sender. */
bool interrupt_is_own_packet(const char *function);

/* What this function alone says; INTERRUPT_OTHER: nothing. */
enum interrupt_kind interrupt_kind_of(const char *function);
