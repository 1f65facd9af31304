/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own symbols: /proc/kallsyms, read from an fd that was opened with CAP_SYSLOG.
 *
 * The kernel wrote this text, so it is read in the agent. Sizes are not in it: a symbol reaches up
 * to the next one, and never further than KERNEL_SYMBOL_MAX.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_SYMBOL_MAX (256u << 10)

struct kernel;

/* The fds stay the caller's and must outlive it; modules_fd may be -1. Nothing is read yet. */
int kernel_new(int kallsyms_fd, int modules_fd, struct kernel **ret);
void kernel_free(struct kernel *k);
DEFINE_FREEP(struct kernel, kernel_free)

/* Reads the symbols, unless no module was loaded or unloaded since; kernel_read() in any case.
 * Return 0 or -errno. */
int kernel_refresh(struct kernel *k);
int kernel_read(struct kernel *k);

/* False when the kernel shows no addresses (kptr_restrict, no CAP_SYSLOG) or none were read. */
bool kernel_has_symbols(const struct kernel *k);

struct kernel_symbol {
    uint64_t start, size;
    const char *name;   /* borrowed until the next refresh */
    const char *module; /* "[kernel]", or such as "[ext4]" */
};

/* False when no function of the kernel or of a module covers the address. */
bool kernel_find(const struct kernel *k, uint64_t address, struct kernel_symbol *ret);

/* The same for what comes and goes without a sign in /proc/modules, such as BPF programs: the name
 * may be another's soon after kernel_read(). */
bool kernel_find_passing(const struct kernel *k, uint64_t address, struct kernel_symbol *ret);

size_t kernel_bytes(const struct kernel *k);
