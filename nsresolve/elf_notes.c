/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/elf_notes.h"

#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#define NOTES_MAX_BYTES 65536      /* of one segment or section that are looked at */
#define NOTES_MAX_REGIONS 64       /* segments or sections that are looked at */
#define CRC_MAX_BYTES (2ull << 30) /* about two seconds */

/* One note at *at; moves *at behind it. false at the end. */
static bool next_note(const struct elf_file *f, const char *data, size_t size, uint64_t align,
                      size_t *at, uint32_t head[3], size_t *desc)
{
    uint64_t name_end, end;

    if (size - *at < 12)
        return false;
    memcpy(head, data + *at, 12);
    elf_file_words(f, head, 12);

    name_end = *at + 12 + (uint64_t)head[0];
    name_end = (name_end + align - 1) & ~(align - 1);
    end = name_end + head[1];
    if (end > size)
        return false;
    *desc = (size_t)name_end;
    end = (end + align - 1) & ~(align - 1);
    *at = (size_t)MIN(end, (uint64_t)size);
    return true;
}

static bool find_build_id(const struct elf_file *f, const char *data, size_t size, uint64_t align,
                          struct symtab_header *h)
{
    size_t at = 0, note = 0, desc;
    uint32_t head[3]; /* name size, descriptor size, type */

    while (next_note(f, data, size, align, &at, head, &desc)) {
        if (head[0] == 4 && head[2] == NT_GNU_BUILD_ID && head[1] > 0 &&
            head[1] <= SYMTAB_BUILD_ID_MAX && memcmp(data + note + 12, "GNU", 4) == 0) {
            memcpy(h->build_id, data + desc, head[1]);
            h->build_id_size = head[1];
            return true;
        }
        note = at;
    }
    return false;
}

static bool region_has_build_id(const struct elf_file *f, char *data, uint64_t offset,
                                uint64_t size, uint64_t align, struct symtab_header *h)
{
    ssize_t n;

    if (offset > f->size)
        return false;
    n = elf_file_read(f, data, (size_t)MIN(size, (uint64_t)NOTES_MAX_BYTES), offset);
    if (n <= 0)
        return false;
    return find_build_id(f, data, (size_t)n, align == 8 ? 8 : 4, h);
}

static bool segments_have_build_id(const struct elf_file *f, char *data, struct symtab_header *h)
{
    unsigned seen = 0;

    for (size_t i = 0; i < f->segment_count && seen < NOTES_MAX_REGIONS; i++) {
        const Elf64_Phdr *p = &f->segments[i];

        if (p->p_type != PT_NOTE)
            continue;
        seen++;
        if (region_has_build_id(f, data, p->p_offset, p->p_filesz, p->p_align, h))
            return true;
    }
    return false;
}

static bool sections_have_build_id(const struct elf_file *f, char *data, struct symtab_header *h)
{
    unsigned seen = 0;

    for (size_t i = 0; i < f->section_count && seen < NOTES_MAX_REGIONS; i++) {
        const Elf64_Shdr *s = &f->sections[i];

        if (s->sh_type != SHT_NOTE)
            continue;
        seen++;
        if (region_has_build_id(f, data, s->sh_offset, s->sh_size, s->sh_addralign, h))
            return true;
    }
    return false;
}

int elf_notes_build_id(const struct elf_file *f, bool is_debug_file, struct symtab_header *h)
{
    _cleanup_free_ char *data = malloc(NOTES_MAX_BYTES);

    if (!data)
        return -ENOMEM;

    /* The kernel goes by the segments; in a debug file their offsets mean nothing. */
    if (!is_debug_file && segments_have_build_id(f, data, h))
        return 0;
    sections_have_build_id(f, data, h);
    return 0;
}

void elf_notes_debuglink(const struct elf_file *f, const Elf64_Shdr *section,
                         struct symtab_header *h)
{
    char data[sizeof(h->debuglink) + 8];
    size_t length, crc_at;
    ssize_t n;

    n = elf_file_read(f, data, (size_t)MIN(section->sh_size, (uint64_t)sizeof(data)),
                      section->sh_offset);
    if (n <= 0)
        return;

    length = strnlen(data, (size_t)n);
    crc_at = (length + 4) & ~(size_t)3;
    if (length == 0 || length >= sizeof(h->debuglink) || crc_at + 4 > (size_t)n)
        return;
    if (memchr(data, '/', length) || strcmp(data, ".") == 0 || strcmp(data, "..") == 0)
        return;

    memcpy(h->debuglink, data, length + 1);
    memcpy(&h->debuglink_crc, data + crc_at, sizeof(h->debuglink_crc));
    elf_file_words(f, &h->debuglink_crc, sizeof(h->debuglink_crc));
}

void elf_notes_altlink(const struct elf_file *f, const Elf64_Shdr *section, struct symtab_header *h)
{
    char data[sizeof(h->altlink) + sizeof(h->altlink_id)];
    size_t length, id_size;
    ssize_t n;

    if (section->sh_size > sizeof(data) || !elf_file_holds(f, section->sh_offset, section->sh_size))
        return;
    n = elf_file_read(f, data, section->sh_size, section->sh_offset);
    if (n <= 0 || (uint64_t)n < section->sh_size)
        return;

    length = strnlen(data, (size_t)n);
    id_size = (size_t)n - MIN(length + 1, (size_t)n);
    if (length == 0 || length >= sizeof(h->altlink) || id_size == 0 ||
        id_size > sizeof(h->altlink_id))
        return;
    memcpy(h->altlink, data, length + 1);
    memcpy(h->altlink_id, data + length + 1, id_size);
    h->altlink_id_size = (uint32_t)id_size;
}

int elf_notes_crc(const struct elf_file *f, uint32_t *ret)
{
    _cleanup_free_ unsigned char *data = NULL;
    const size_t step = 1 << 18;
    uLong crc = crc32(0, NULL, 0);
    uint64_t offset = 0;
    ssize_t n;

    if (f->size > CRC_MAX_BYTES)
        return -EFBIG;
    data = malloc(step);
    if (!data)
        return -ENOMEM;

    do {
        n = elf_file_read(f, data, step, offset);
        if (n < 0)
            return (int)n;
        crc = crc32(crc, data, (uInt)n);
        offset += (uint64_t)n;
        if (offset > CRC_MAX_BYTES) /* it grows while it is read */
            return -EFBIG;
    } while ((size_t)n == step);

    *ret = (uint32_t)crc;
    return 0;
}
