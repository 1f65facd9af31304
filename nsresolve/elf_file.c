/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/elf_file.h"

#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

bool elf_file_holds(const struct elf_file *f, uint64_t offset, uint64_t size)
{
    return offset <= f->size && size <= f->size - offset;
}

ssize_t elf_file_read(const struct elf_file *f, void *data, size_t size, uint64_t offset)
{
    if (f->fd >= 0)
        return pread_full(f->fd, data, size, offset);
    if (offset >= f->size)
        return 0;
    size = MIN(size, f->size - offset);
    memcpy(data, f->data + offset, size);
    return (ssize_t)size;
}

static size_t entry_size(const struct elf_file *f, Elf_Type type)
{
    return f->is_64 ? elf64_fsize(type, 1, EV_CURRENT) : elf32_fsize(type, 1, EV_CURRENT);
}

/* In place. */
static int translate(const struct elf_file *f, Elf_Type type, void *data, size_t size)
{
    Elf_Data d = {.d_buf = data, .d_type = type, .d_version = EV_CURRENT, .d_size = size};
    Elf_Data *done =
        f->is_64 ? elf64_xlatetom(&d, &d, f->encoding) : elf32_xlatetom(&d, &d, f->encoding);

    return done ? 0 : -EBADMSG;
}

/* Reads count entries in the file's class and the host's byte order. */
static int read_entries(const struct elf_file *f, Elf_Type type, uint64_t offset, size_t count,
                        void *ret)
{
    size_t size = count * entry_size(f, type);
    ssize_t n = elf_file_read(f, ret, size, offset);

    if (n < 0)
        return n == -EOVERFLOW ? -EBADMSG : (int)n;
    if ((size_t)n < size)
        return -EBADMSG;
    return translate(f, type, ret, size);
}

void elf_file_words(const struct elf_file *f, void *data, size_t size)
{
    translate(f, ELF_T_WORD, data, size);
}

/* The 32-bit entries stand at the front of an array of 64-bit ones: widen from the back. */
#define WIDEN(array, count, narrow, widen)                                         \
    for (size_t i_ = (count); i_-- > 0;) {                                         \
        narrow from_;                                                              \
        memcpy(&from_, (const char *)(array) + i_ * sizeof(from_), sizeof(from_)); \
        (array)[i_] = widen(&from_);                                               \
    }

static Elf64_Ehdr wide_header(const Elf32_Ehdr *h)
{
    return (Elf64_Ehdr){
        .e_type = h->e_type,
        .e_machine = h->e_machine,
        .e_phoff = h->e_phoff,
        .e_shoff = h->e_shoff,
        .e_phentsize = h->e_phentsize,
        .e_phnum = h->e_phnum,
        .e_shentsize = h->e_shentsize,
        .e_shnum = h->e_shnum,
        .e_shstrndx = h->e_shstrndx,
    };
}

static Elf64_Phdr wide_segment(const Elf32_Phdr *p)
{
    return (Elf64_Phdr){
        .p_type = p->p_type,
        .p_flags = p->p_flags,
        .p_offset = p->p_offset,
        .p_vaddr = p->p_vaddr,
        .p_filesz = p->p_filesz,
        .p_align = p->p_align,
    };
}

static Elf64_Shdr wide_section(const Elf32_Shdr *s)
{
    return (Elf64_Shdr){
        .sh_name = s->sh_name,
        .sh_type = s->sh_type,
        .sh_flags = s->sh_flags,
        .sh_addr = s->sh_addr,
        .sh_offset = s->sh_offset,
        .sh_size = s->sh_size,
        .sh_link = s->sh_link,
        .sh_addralign = s->sh_addralign,
        .sh_entsize = s->sh_entsize,
    };
}

static Elf64_Sym wide_symbol(const Elf32_Sym *s)
{
    return (Elf64_Sym){
        .st_name = s->st_name,
        .st_info = s->st_info,
        .st_other = s->st_other,
        .st_shndx = s->st_shndx,
        .st_value = s->st_value,
        .st_size = s->st_size,
    };
}

static int read_header(struct elf_file *f)
{
    Elf64_Ehdr *h = &f->header;
    int r = read_entries(f, ELF_T_EHDR, 0, 1, h);

    if (r < 0 || f->is_64)
        return r;
    WIDEN(h, 1, Elf32_Ehdr, wide_header)
    return 0;
}

static int read_sections_at(const struct elf_file *f, uint64_t offset, size_t count,
                            Elf64_Shdr *ret)
{
    int r = read_entries(f, ELF_T_SHDR, offset, count, ret);

    if (r < 0 || f->is_64)
        return r;
    WIDEN(ret, count, Elf32_Shdr, wide_section)
    return 0;
}

int elf_file_symbols(const struct elf_file *f, uint64_t offset, size_t count, Elf64_Sym *ret)
{
    int r = read_entries(f, ELF_T_SYM, offset, count, ret);

    if (r < 0 || f->is_64)
        return r;
    WIDEN(ret, count, Elf32_Sym, wide_symbol)
    return 0;
}

size_t elf_file_symbol_size(const struct elf_file *f)
{
    return entry_size(f, ELF_T_SYM);
}

static int read_segments(struct elf_file *f)
{
    size_t count = f->header.e_phnum;
    int r;

    if (count == 0)
        return 0;
    if (count > ELF_MAX_SEGMENTS || f->header.e_phentsize != entry_size(f, ELF_T_PHDR))
        return -EBADMSG;

    f->segments = calloc(count, sizeof(*f->segments));
    if (!f->segments)
        return -ENOMEM;
    r = read_entries(f, ELF_T_PHDR, f->header.e_phoff, count, f->segments);
    if (r < 0)
        return r;
    f->segment_count = count;
    if (f->is_64)
        return 0;
    WIDEN(f->segments, count, Elf32_Phdr, wide_segment)
    return 0;
}

/* The first section header holds counts that do not fit into the ELF header. */
static int count_sections(const struct elf_file *f, size_t *count, size_t *names)
{
    Elf64_Shdr first;
    int r;

    *count = f->header.e_shnum;
    *names = f->header.e_shstrndx;
    if (*count && *names != SHN_XINDEX)
        return 0;

    r = read_sections_at(f, f->header.e_shoff, 1, &first);
    if (r < 0)
        return r;
    if (*count == 0)
        *count = MIN(first.sh_size, (uint64_t)ELF_MAX_SECTIONS + 1);
    if (*names == SHN_XINDEX)
        *names = first.sh_link;
    return *count <= ELF_MAX_SECTIONS ? 0 : -EBADMSG;
}

static int read_sections(struct elf_file *f)
{
    size_t count, names;
    int r;

    if (f->header.e_shoff == 0)
        return 0;
    if (f->header.e_shentsize != entry_size(f, ELF_T_SHDR))
        return -EBADMSG;
    r = count_sections(f, &count, &names);
    if (r < 0)
        return r;
    if (!elf_file_holds(f, f->header.e_shoff, count * entry_size(f, ELF_T_SHDR)))
        return -EBADMSG;
    if (count == 0)
        return 0;

    f->sections = calloc(count, sizeof(*f->sections));
    if (!f->sections)
        return -ENOMEM;
    r = read_sections_at(f, f->header.e_shoff, count, f->sections);
    if (r < 0)
        return r;
    f->section_count = count;

    if (names < count && f->sections[names].sh_type == SHT_STRTAB) {
        f->names_offset = f->sections[names].sh_offset;
        f->names_size = f->sections[names].sh_size;
    }
    return 0;
}

static int read_headers(struct elf_file *f)
{
    unsigned char ident[EI_NIDENT];
    ssize_t n;
    int r;

    n = elf_file_read(f, ident, sizeof(ident), 0);
    if (n < 0)
        return (int)n;
    if (n < EI_NIDENT || memcmp(ident, ELFMAG, SELFMAG) != 0 || ident[EI_VERSION] != EV_CURRENT)
        return -EBADMSG;
    if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64)
        return -EBADMSG;
    if (ident[EI_DATA] != ELFDATA2LSB && ident[EI_DATA] != ELFDATA2MSB)
        return -EBADMSG;

    elf_version(EV_CURRENT);
    f->is_64 = ident[EI_CLASS] == ELFCLASS64;
    f->encoding = ident[EI_DATA];
    r = read_header(f);
    if (r == 0 && f->header.e_type != ET_EXEC && f->header.e_type != ET_DYN &&
        !(f->shared_dwarf && f->header.e_type == ET_REL))
        r = -EBADMSG;
    if (r == 0)
        r = read_segments(f);
    if (r < 0)
        goto fail;

    r = read_sections(f);
    if (r == -EBADMSG)
        f->lies = true;
    else if (r < 0)
        goto fail;
    return 0;

fail:
    elf_file_close(f);
    return r;
}

int elf_file_open(struct elf_file *f, int fd)
{
    int r;

    *f = (struct elf_file){.fd = fd};
    r = file_size(fd, &f->size);
    return r < 0 ? r : read_headers(f);
}

int elf_file_open_data(struct elf_file *f, const void *data, size_t size)
{
    *f = (struct elf_file){.fd = -1, .data = data, .size = size};
    return read_headers(f);
}

int elf_file_open_shared_dwarf(struct elf_file *f, int fd)
{
    int r;

    *f = (struct elf_file){.fd = fd, .shared_dwarf = true};
    r = file_size(fd, &f->size);
    return r < 0 ? r : read_headers(f);
}

void elf_file_close(struct elf_file *f)
{
    free(f->segments);
    free(f->sections);
    f->segments = NULL;
    f->sections = NULL;
    f->segment_count = f->section_count = 0;
}

size_t elf_file_compression_size(const struct elf_file *f)
{
    return entry_size(f, ELF_T_CHDR);
}

int elf_file_compression(const struct elf_file *f, const void *data, size_t size, Elf64_Chdr *ret)
{
    Elf32_Chdr narrow;
    int r;

    if (size < elf_file_compression_size(f))
        return -EBADMSG;
    if (f->is_64) {
        memcpy(ret, data, sizeof(*ret));
        return translate(f, ELF_T_CHDR, ret, sizeof(*ret));
    }
    memcpy(&narrow, data, sizeof(narrow));
    r = translate(f, ELF_T_CHDR, &narrow, sizeof(narrow));
    if (r == 0)
        *ret = (Elf64_Chdr){.ch_type = narrow.ch_type, .ch_size = narrow.ch_size};
    return r;
}

/* Whether the section's name begins with these bytes. */
static bool name_begins(const struct elf_file *f, const Elf64_Shdr *section, const char *bytes,
                        size_t size)
{
    char text[64];

    if (size > sizeof(text) || section->sh_name >= f->names_size ||
        size > f->names_size - section->sh_name)
        return false;
    if (!elf_file_holds(f, f->names_offset, f->names_size))
        return false;
    if (elf_file_read(f, text, size, f->names_offset + section->sh_name) != (ssize_t)size)
        return false;
    return memcmp(text, bytes, size) == 0;
}

bool elf_file_section_is(const struct elf_file *f, const Elf64_Shdr *section, const char *name)
{
    return name_begins(f, section, name, strlen(name) + 1);
}

bool elf_file_section_begins(const struct elf_file *f, const Elf64_Shdr *section,
                             const char *prefix)
{
    return name_begins(f, section, prefix, strlen(prefix));
}
