/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/dwarf_image.h"

#include "nsresolve/elf_notes.h"
#include "nsresolve/section.h"

#include <errno.h>
#include <string.h>

/* What the tree of functions and their names and ranges are spread over; the first two must be
 * there. */
static const char *const wanted[] = {
    ".debug_info", ".debug_abbrev", ".debug_str",      ".debug_line_str", ".debug_str_offsets",
    ".debug_addr", ".debug_ranges", ".debug_rnglists", ".debug_types",
};

#define WANTED ARRAY_SIZE(wanted)
#define NAME_SIZE 32u

/* An image grows by one section after another: header, sections, their names, their headers. */
struct growing {
    struct dwarf_image image;
    Elf64_Shdr headers[WANTED + 2];
    char names[WANTED + 2][NAME_SIZE];
    unsigned count;
};

/* Appends size bytes at a multiple of 8, exactly: there is no memory to spare. */
static int append(struct dwarf_image *i, const void *data, size_t size, uint64_t *at)
{
    size_t begin = (i->size + 7) & ~(size_t)7;
    char *grown = realloc(i->data, begin + size);

    if (!grown)
        return -ENOMEM;
    memset(grown + i->size, 0, begin - i->size);
    memcpy(grown + begin, data, size);
    i->data = grown;
    i->size = begin + size;
    *at = begin;
    return 0;
}

static int add_section(struct growing *g, const char *name, uint32_t type, const void *data,
                       size_t size)
{
    Elf64_Shdr *h = &g->headers[g->count];
    int r;

    *h = (Elf64_Shdr){
        .sh_name = g->count * NAME_SIZE, .sh_type = type, .sh_size = size, .sh_addralign = 1};
    snprintf(g->names[g->count++], NAME_SIZE, "%s", name);
    r = append(&g->image, data, size, &h->sh_offset);
    return r;
}

static int read_section(struct growing *g, const struct elf_file *f, size_t index)
{
    const Elf64_Shdr *header = section_find(f, wanted[index]);
    _cleanup_section_ struct section s = {0};
    int r;

    if (!header)
        return index < 2 ? -ENODATA : 0;
    if (header->sh_type != SHT_PROGBITS)
        return -EBADMSG;
    r = section_read(f, header, g->image.room, &s);
    if (r < 0)
        return r;
    if (s.is_cut)
        return -EFBIG;
    g->image.room -= s.size;
    return add_section(g, wanted[index], SHT_PROGBITS, s.data, s.size);
}

static int finish(struct growing *g, const struct elf_file *f)
{
    Elf64_Ehdr h = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, f->encoding, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = f->header.e_machine,
        .e_version = EV_CURRENT,
        .e_ehsize = sizeof(h),
        .e_shentsize = sizeof(g->headers[0]),
        .e_shstrndx = (Elf64_Half)g->count,
    };
    int r = add_section(g, ".shstrtab", SHT_STRTAB, g->names, sizeof(g->names));

    if (r < 0)
        return r;
    h.e_shnum = (Elf64_Half)g->count;
    r = append(&g->image, g->headers, g->count * sizeof(g->headers[0]), &h.e_shoff);
    if (r == 0)
        memcpy(g->image.data, &h, sizeof(h));
    return r;
}

static int make_image(struct growing *g, const struct elf_file *f)
{
    const Elf64_Ehdr empty = {0};
    uint64_t at;
    int r = append(&g->image, &empty, sizeof(empty), &at);

    g->count = 1; /* the null section */
    for (size_t i = 0; i < WANTED && r == 0; i++)
        r = read_section(g, f, i);
    return r < 0 ? r : finish(g, f);
}

static int check_build_id(const struct elf_file *f, const uint8_t *id, uint32_t size)
{
    struct symtab_header h = {0};
    int r = size ? elf_notes_build_id(f, true, &h) : 0;

    if (r < 0 || !size)
        return r;
    return h.build_id_size == size && memcmp(h.build_id, id, size) == 0 ? 0 : -EBADMSG;
}

int dwarf_image_read(int fd, const uint8_t *build_id, uint32_t build_id_size, uint64_t room,
                     struct dwarf_image *ret)
{
    const unsigned char ours =
        __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    struct growing g = {.image.room = room};
    struct elf_file f;
    int r = build_id_size ? elf_file_open_shared_dwarf(&f, fd) : elf_file_open(&f, fd);

    if (r < 0)
        return r;
    if (f.encoding != ours) /* no program that runs here */
        r = -EBADMSG;
    if (r == 0)
        r = check_build_id(&f, build_id, build_id_size);
    if (r == 0)
        r = make_image(&g, &f);
    elf_file_close(&f);
    if (r < 0) {
        dwarf_image_free(&g.image);
        return r;
    }
    *ret = g.image;
    return 0;
}

void dwarf_image_free(struct dwarf_image *i)
{
    free(i->data);
    *i = (struct dwarf_image){0};
}
