/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loaded segments of a file as tables from the parser carry them: from file offsets to ELF
 * virtual addresses. For symtab.c and unwindtab.c, which check them once and then look things up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* PT_LOAD: file offset to virtual address. */
struct segment {
    uint64_t vaddr, offset, size;
};

/* Whether none wraps or lies below base. */
bool segments_are_sound(const struct segment *segments, uint32_t count, uint64_t base);

/* The virtual address of a file offset; false when no segment holds it. */
bool segments_vaddr(const struct segment *segments, uint32_t count, uint64_t offset, uint64_t *ret);
