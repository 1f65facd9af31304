/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few of the running kernel's types that our programs look into, out of the 130,000 that its
 * BTF describes.
 *
 * libbpf reads the whole description for each object that it fits to the kernel, which takes 30 ms;
 * given these few it takes none. Made when the agent starts; probes load with it. The journal of
 * ext4 may be a module (jbd2), which may come later.
 */
#pragma once

#include "base/table.h"

#include <bpf/btf.h>

struct kernel_types;

/* Fails with -errno where the kernel has no BTF; *ret is unchanged then. */
int kernel_types_new(struct kernel_types **ret);
void kernel_types_free(struct kernel_types *t); /* NULL is fine */
DEFINE_FREEP(struct kernel_types, kernel_types_free)

/* Takes the module's types, too, if it has come since; the path is another one then. NULL is
 * fine. */
void kernel_types_refresh(struct kernel_types *t);

/* For btf_custom_path; NULL for NULL: libbpf reads the kernel's own. Borrowed. */
const char *kernel_types_path(const struct kernel_types *t);

/* Adds to names what an object's own BTF calls structures, unions and enums, less what follows
 * three underscores. Returns 0 or -ENOMEM. */
int kernel_types_add(struct table *names, const struct btf *local);

/* All structures, unions and enums of kernel with one of these names, and what they hold by value.
 * Pointers point to void: nobody follows them by type. kernel may be a module's BTF with the
 * kernel's as its base: of the module's are taken those whose name the kernel lacks. *ret is owned.
 * Returns 0 or -errno. */
int kernel_types_extract(const struct btf *kernel, const struct table *names, struct btf **ret);
