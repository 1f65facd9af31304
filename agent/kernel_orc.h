/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the kernel keeps the rules by which it walks its own stack (ORC, on x86), for programs that
 * follow them: bpf/orc.bpf.h.
 */
#pragma once

#include <stdint.h>

struct kernel_orc {
    uint64_t addresses, rules; /* two tables of */
    uint32_t count;            /* entries; 0: the kernel has none, or does not tell where */
    uint64_t text, text_end;   /* the code that they are for */
};

/* Looks for them in kallsyms, from an fd that was opened with CAP_SYSLOG (its position moves), as
 * far as to the last that is wanted: some 20 ms. Sets all to 0 when something is missing. */
void kernel_orc_find(int kallsyms_fd, struct kernel_orc *ret);
