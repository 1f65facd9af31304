/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the kernel numbers the hooks that our programs attach to by type: tp_btf and iter.
 *
 * libbpf looks the numbers up in the kernel's whole description of its types, for each object anew,
 * which takes 20 ms. Told of them it takes none: together with agent/kernel_types.h, whose maker
 * has that description at hand once.
 */
#pragma once

#include <bpf/btf.h>
#include <stdbool.h>

/* Notes the numbers; libbpf uses them from here on. Without it libbpf finds them by itself. Returns
 * 0 or -errno. */
int kernel_hooks_learn(const struct btf *kernel);

/* Whether the kernel has what that program section names, such as "tp_btf/block_io_start"; only for
 * sections of our programs. */
bool kernel_hooks_has(const char *section);

/* Whether sched_switch tells in which state it leaves a thread (Linux 5.18). */
bool kernel_hooks_switch_tells_state(void);

/* Whether tcp_retransmit_skb also tells of what could not be sent again, and why (Linux 6.16). */
bool kernel_hooks_retransmit_tells_error(void);
