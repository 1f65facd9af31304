/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table that the parser handed over, mapped for reading: sealed first, so that a check made once
 * holds for every later look. Knows nothing of what is in it. For symtab.c and unwindtab.c.
 */
#pragma once

#include <stddef.h>

/* Maps the whole memfd, which must be sealed against writing and shrinking and hold min to max
 * bytes. The fd stays the caller's; the mapping is to be unmapped. Returns 0, -EPERM without the
 * seals, -EBADMSG for another size, -errno. */
int sealed_map(int memfd, size_t min, size_t max, const void **ret, size_t *size);
