/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DWARF sections of a file that may lie, as an ELF image of our own making in memory, for
 * libdw.
 *
 * libdw never sees the file's headers, segments, symbols or compressed sections: only the few
 * sections that functions and their names need, unpacked here with every size checked first. What
 * stands in them is as hostile as ever. Used by inlines.c.
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

#define DWARF_IMAGE_MAX (192ull << 20) /* bytes of sections, unpacked */

struct dwarf_image {
    char *data; /* owned */
    size_t size;
    uint64_t room; /* what is left of DWARF_IMAGE_MAX, for a second image */
};

/* Reads the sections of the file behind fd, which may hold room bytes together. build_id_size
 * says that it is a file whose DWARF several share; one with another build ID is refused then.
 * Returns 0, -ENODATA without DWARF, -EBADMSG for another file or one that lies, -EFBIG, -errno. */
int dwarf_image_read(int fd, const uint8_t *build_id, uint32_t build_id_size, uint64_t room,
                     struct dwarf_image *ret);
void dwarf_image_free(struct dwarf_image *i); /* the contents */
