/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a Go program keeps its function table: in a section that is named for it, or, in files
 * without section headers, behind its magic number in the segments.
 */
#include "nsresolve/pclntab.h"

#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

#define WINDOW (1u << 20)
#define HEAD 8     /* bytes that tell a table */
#define TRIES 8    /* places that look like one */
#define ALIGNED 8u /* of the table in memory */

/* Up to size bytes at offset as a table. */
static int open_at(const struct elf_file *f, uint64_t offset, uint64_t size, struct pclntab **ret)
{
    uint8_t *data;
    ssize_t n;

    if (!elf_file_holds(f, offset, 1))
        return -ENOENT;
    size = MIN(MIN(size, f->size - offset), (uint64_t)PCLNTAB_MAX_BYTES);
    data = malloc(size + 1);
    if (!data)
        return -ENOMEM;
    n = pread_full(f->fd, data, size, offset);
    if (n < 0) {
        free(data);
        return (int)n;
    }
    return pclntab_open_bytes(f, data, (size_t)n, ret);
}

static int by_section(const struct elf_file *f, struct pclntab **ret)
{
    for (size_t i = 0; i < f->section_count; i++) {
        const Elf64_Shdr *s = &f->sections[i];

        if (s->sh_type != SHT_PROGBITS || !(s->sh_flags & SHF_ALLOC) ||
            (s->sh_flags & (SHF_COMPRESSED | SHF_EXECINSTR)))
            continue;
        if (elf_file_section_is(f, s, ".gopclntab") ||
            elf_file_section_is(f, s, ".data.rel.ro.gopclntab"))
            return open_at(f, s->sh_offset, s->sh_size, ret);
    }
    return -ENOENT;
}

/* 0xfffffff0, f1, fa or fb in the file's byte order, two zeros, quantum, pointer size. */
static bool looks_like_it(const struct elf_file *f, const uint8_t *d)
{
    uint8_t low = f->encoding == ELFDATA2LSB ? d[0] : d[3];
    uint8_t high = f->encoding == ELFDATA2LSB ? d[3] : d[0];

    return (low == 0xf0 || low == 0xf1 || low == 0xfa || low == 0xfb) && high == 0xff &&
           d[1] == 0xff && d[2] == 0xff && d[4] == 0 && d[5] == 0 &&
           (d[6] == 1 || d[6] == 2 || d[6] == 4) && (d[7] == 4 || d[7] == 8);
}

struct search {
    const struct elf_file *file;
    uint8_t *window; /* owned */
    uint64_t left;   /* bytes that may still be read */
    unsigned tries;
};

/* Returns -ENOENT when no table begins in these bytes of the file, which end at end. */
static int search_window(struct search *s, uint64_t offset, size_t size, uint64_t end,
                         struct pclntab **ret)
{
    for (size_t i = 0; i + HEAD <= size && s->tries < TRIES; i += ALIGNED) {
        int r;

        if (!looks_like_it(s->file, s->window + i))
            continue;
        s->tries++;
        r = open_at(s->file, offset + i, end - (offset + i), ret);
        if (r != -ENOENT)
            return r;
    }
    return -ENOENT;
}

static int search_segment(struct search *s, const Elf64_Phdr *p, struct pclntab **ret)
{
    uint64_t offset = p->p_offset, end;

    if (!elf_file_holds(s->file, offset, 1))
        return -ENOENT;
    end = offset + MIN(p->p_filesz, s->file->size - offset);
    while (offset < end && s->left > 0) {
        size_t size = (size_t)MIN(MIN(end - offset, (uint64_t)WINDOW), s->left);
        ssize_t n = pread_full(s->file->fd, s->window, size, offset);
        int r;

        if (n <= 0)
            return n < 0 ? (int)n : -ENOENT;
        r = search_window(s, offset, (size_t)n, end, ret);
        if (r != -ENOENT)
            return r;
        s->left -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return -ENOENT;
}

static int by_magic(const struct elf_file *f, struct pclntab **ret)
{
    _cleanup_free_ uint8_t *window = malloc(WINDOW);
    struct search s = {.file = f, .window = window, .left = PCLNTAB_SEARCH_MAX};
    int r = -ENOENT;

    if (!window)
        return -ENOMEM;
    for (size_t i = 0; i < f->segment_count && r == -ENOENT; i++) {
        const Elf64_Phdr *p = &f->segments[i];

        if (p->p_type == PT_LOAD && !(p->p_flags & PF_X))
            r = search_segment(&s, p, ret);
    }
    return r;
}

int pclntab_open(const struct elf_file *f, struct pclntab **ret)
{
    return f->section_count ? by_section(f, ret) : by_magic(f, ret);
}
