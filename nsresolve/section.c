/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/section.h"

#include "nsresolve/unpack.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define ZDEBUG_HEAD 12 /* "ZLIB" and the size as eight bytes, most significant first */

/* gABI; not in every elf.h. */
#define COMPRESS_ZLIB 1
#define COMPRESS_ZSTD 2

/* What a compressed section says of itself. */
struct packing {
    uint32_t kind;
    uint64_t head; /* bytes before the stream */
    uint64_t full; /* bytes that it stands for */
};

void section_free(struct section *s)
{
    free(s->data);
    *s = (struct section){0};
}

bool section_is(const struct elf_file *f, const Elf64_Shdr *header, const char *name)
{
    char old[64];
    int n;

    if (elf_file_section_is(f, header, name))
        return true;
    if (strncmp(name, ".debug_", 7) != 0)
        return false;
    n = snprintf(old, sizeof(old), ".z%s", name + 1);
    return n < (int)sizeof(old) && elf_file_section_is(f, header, old);
}

const Elf64_Shdr *section_find(const struct elf_file *f, const char *name)
{
    for (size_t i = 0; i < f->section_count; i++) {
        const Elf64_Shdr *s = &f->sections[i];

        if (s->sh_type != SHT_NULL && s->sh_type != SHT_NOBITS && section_is(f, s, name))
            return s;
    }
    return NULL;
}

/* The bytes as they are stored. */
static int read_stored(const struct elf_file *f, const Elf64_Shdr *header, uint64_t max,
                       struct section *s)
{
    uint64_t size = header->sh_size;
    ssize_t n;

    if (!elf_file_holds(f, header->sh_offset, size))
        size = header->sh_offset < f->size ? f->size - header->sh_offset : 0;
    size = MIN(size, max);
    s->data = malloc(size + 1);
    if (!s->data)
        return -ENOMEM;
    n = elf_file_read(f, s->data, size, size ? header->sh_offset : 0);
    if (n < 0)
        return (int)n;
    s->data[n] = '\0';
    s->size = (uint64_t)n;
    s->is_cut = s->size < header->sh_size;
    return 0;
}

/* False when the section is too short for what it should begin with. */
static bool read_head(const struct elf_file *f, const struct section *s, struct packing *p)
{
    Elf64_Chdr head;

    if (elf_file_compression(f, s->data, s->size, &head) < 0)
        return false;
    p->kind = head.ch_type;
    p->full = head.ch_size;
    p->head = elf_file_compression_size(f);
    return true;
}

static bool read_old_head(const struct section *s, struct packing *p)
{
    if (s->size < ZDEBUG_HEAD || memcmp(s->data, "ZLIB", 4) != 0)
        return false;
    memcpy(&p->full, s->data + 4, sizeof(p->full));
    p->full = be64toh(p->full);
    p->kind = COMPRESS_ZLIB;
    p->head = ZDEBUG_HEAD;
    return true;
}

static int unpack(const struct packing *p, const struct section *stored, void *plain)
{
    const uint8_t *stream = stored->data + p->head;
    uint64_t size = stored->size - p->head;

    switch (p->kind) {
    case COMPRESS_ZLIB:
        return unpack_zlib(stream, size, plain, p->full);
    case COMPRESS_ZSTD:
        return unpack_zstd(stream, size, plain, p->full);
    default:
        return -EBADMSG;
    }
}

/* Replaces what is stored by what it stands for, or by nothing. */
static int unpack_section(const struct packing *p, uint64_t max, struct section *s)
{
    _cleanup_section_ struct section stored = *s;
    int r;

    *s = (struct section){.is_cut = true};
    if (stored.is_cut || p->full > max)
        return 0;
    s->data = malloc(p->full + 1);
    if (!s->data)
        return -ENOMEM;
    s->data[0] = '\0';
    r = unpack(p, &stored, s->data);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    s->data[p->full] = '\0';
    s->size = p->full;
    s->is_cut = false;
    return 0;
}

int section_read(const struct elf_file *f, const Elf64_Shdr *header, uint64_t max,
                 struct section *ret)
{
    _cleanup_section_ struct section s = {0};
    struct packing p = {.full = UINT64_MAX};
    bool packed = true;
    int r = read_stored(f, header, max, &s);

    if (r < 0)
        return r;
    /* A head that cannot be read leaves p beyond every bound. */
    if (header->sh_flags & SHF_COMPRESSED)
        read_head(f, &s, &p);
    else if (elf_file_section_begins(f, header, ".zdebug_"))
        read_old_head(&s, &p);
    else
        packed = false;
    if (packed)
        r = unpack_section(&p, max, &s);
    if (r < 0)
        return r;
    *ret = s;
    s = (struct section){0};
    return 0;
}
