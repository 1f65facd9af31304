/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the stubs of the procedure linkage table: "puts@plt" is what jumps to puts.
 *
 * A stub jumps through a slot of the global offset table, and a relocation says whose address that
 * slot holds. For x86-64; another machine is a row in the table of elf_plt.c. Used by elf.c.
 */
#pragma once

#include "nsresolve/elf_symbols.h"

/* After the file's symbol tables. Stubs whose function is not known stay without a name. Returns 0,
 * -EFBIG, -ENOMEM or -errno. */
int elf_plt_add(struct elf_symbols *s, const struct elf_file *f);
