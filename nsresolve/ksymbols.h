/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that comes and goes while the kernel runs, above all BPF programs, as one capture saw it.
 *
 * Its addresses are used again soon, so a name counts only if nothing else was there at any time
 * of the capture: what was there at the end and whatever was registered or unregistered meanwhile.
 * Fed by the side-band and from kallsyms (kernel.h), both of which the kernel writes.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define KSYMBOLS_MAX 4096

struct ksymbols;

int ksymbols_new(struct ksymbols **ret);
void ksymbols_free(struct ksymbols *ks); /* NULL is fine */
DEFINE_FREEP(struct ksymbols, ksymbols_free)

/* That this was there at some time. Beyond KSYMBOLS_MAX, or without memory, nothing is trusted any
 * more. */
void ksymbols_add(struct ksymbols *ks, uint64_t start, uint64_t size, const char *name);

/* Something may have been missed: no name counts any more. */
void ksymbols_distrust(struct ksymbols *ks);

enum ksymbols_answer {
    KSYMBOLS_NONE, /* nothing was there, as far as we know */
    KSYMBOLS_ONE,
    KSYMBOLS_SEVERAL, /* one after the other, or something may be missing */
};

/* What was at address. *name (borrowed) and *start are set for KSYMBOLS_ONE. */
enum ksymbols_answer ksymbols_find(const struct ksymbols *ks, uint64_t address, const char **name,
                                   uint64_t *start);
