/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/elf.h"
#include "tests/unit/craft_elf.h"
#include "tests/unit/tables.h"

#include <errno.h>
#include <gelf.h>
#include <glob.h>
#include <zlib.h>

static const struct wire_parse_elf any;

/* Parses fd as the parser does. Returns elf_parse()'s result; *ret is the table when that is 0. */
static int parse_fd(int fd, const struct wire_parse_elf *want, struct symtab **ret)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    int r;

    assert_int_equal(symtab_builder_new(&b), 0);
    r = elf_parse(fd, want, b);
    if (r == 0)
        *ret = built(b);
    return r;
}

static int parse_bytes(const void *data, size_t size, const struct wire_parse_elf *want,
                       struct symtab **ret)
{
    _cleanup_close_ int fd = memfd_of(data, size);

    return parse_fd(fd, want, ret);
}

static struct symtab *parsed(const struct crafted *c)
{
    struct symtab *t = NULL;

    assert_int_equal(parse_bytes(c, CRAFT_SIZE, &any, &t), 0);
    return t;
}

/* Of a file whose functions carry these names; the table is freed. */
static bool names_at(const struct crafted *c, uint64_t address, const char *name)
{
    _cleanup_(symtab_freep) struct symtab *t = parsed(c);
    bool same = strcmp(name_at(t, address), name) == 0;

    if (!same)
        print_error("at %#lx: '%s' instead of '%s'\n", (unsigned long)address, name_at(t, address),
                    name);
    return same;
}

static void a_file_tells_its_functions_build_id_debuglink_and_segments(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    const struct symtab_header *h;
    struct crafted c;
    uint64_t vaddr;

    (void)state;
    craft(&c);
    t = parsed(&c);
    h = symtab_header(t);
    assert_string_equal(name_at(t, 0x1000), "first");
    assert_string_equal(name_at(t, 0x103f), "first");
    assert_string_equal(name_at(t, 0x1040), "second");
    assert_string_equal(name_at(t, 0x1080), "");
    assert_int_equal(h->machine, EM_X86_64);
    assert_int_equal(h->flags, SYMTAB_HAS_SYMTAB | SYMTAB_HAS_DWARF);
    assert_int_equal(h->build_id_size, 20);
    assert_memory_equal(h->build_id, CRAFT_BUILD_ID, 20);
    assert_string_equal(h->debuglink, "lib.debug");
    assert_int_equal(h->debuglink_crc, CRAFT_DEBUGLINK_CRC);
    assert_true(symtab_vaddr(t, 0x200, &vaddr));
    assert_int_equal(vaddr, CRAFT_TEXT);
    assert_false(symtab_vaddr(t, 0x1ff, &vaddr));
}

static void every_class_and_byte_order_reads_the_same(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    for (unsigned i = 0; i < 4; i++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        char file[CRAFT_SIZE];

        craft_as(&c, i & 1 ? ELFCLASS32 : ELFCLASS64, i & 2 ? ELFDATA2MSB : ELFDATA2LSB, file);
        assert_int_equal(parse_bytes(file, sizeof(file), &any, &t), 0);
        assert_string_equal(name_at(t, 0x103f), "first");
        assert_string_equal(name_at(t, 0x107f), "second");
        assert_string_equal(name_at(t, 0x1080), "");
        assert_int_equal(symtab_header(t)->flags, SYMTAB_HAS_SYMTAB | SYMTAB_HAS_DWARF);
        assert_memory_equal(symtab_header(t)->build_id, CRAFT_BUILD_ID, 20);
        assert_int_equal(symtab_header(t)->debuglink_crc, CRAFT_DEBUGLINK_CRC);
    }
}

static void among_aliases_the_exported_and_plain_name_is_shown(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    craft_symbol(&c, "open", 0x1100, 0x40, STB_WEAK, STT_FUNC);
    craft_symbol(&c, "__open", 0x1100, 0x40, STB_GLOBAL, STT_FUNC);
    craft_symbol(&c, "local_open", 0x1100, 0x40, STB_LOCAL, STT_FUNC);
    craft_symbol(&c, "_ZN4copyEv", 0x1200, 0x40, STB_GLOBAL, STT_FUNC);
    craft_symbol(&c, "copy_alias", 0x1200, 0x40, STB_WEAK, STT_FUNC);
    craft_symbol(&c, "sizeless", 0x1300, 0, STB_GLOBAL, STT_FUNC);
    craft_symbol(&c, "sized", 0x1300, 4, STB_LOCAL, STT_FUNC);
    assert_true(names_at(&c, 0x1100, "open"));
    assert_true(names_at(&c, 0x1200, "_ZN4copyEv"));
    assert_true(names_at(&c, 0x1303, "sized"));
    assert_true(names_at(&c, 0x1304, ""));
}

static void a_function_without_size_reaches_to_the_next_symbol_or_its_sections_end(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    craft_symbol(&c, "_init", 0x1100, 0, STB_LOCAL, STT_FUNC);
    craft_symbol(&c, "label", 0x1180, 0, STB_LOCAL, STT_NOTYPE);
    craft_symbol(&c, "inside_second", 0x1050, 0, STB_LOCAL, STT_NOTYPE);
    assert_true(names_at(&c, 0x117f, "_init"));
    assert_true(names_at(&c, 0x1180, "label"));
    assert_true(names_at(&c, 0x1fff, "label"));
    assert_true(names_at(&c, 0x2000, ""));
    assert_true(names_at(&c, 0x1050, "second"));
    assert_true(names_at(&c, 0x1080, ""));
}

static void a_dynamic_symbol_without_size_names_nothing(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    craft_symbol(&c, "sizeless", 0x1100, 0, STB_GLOBAL, STT_FUNC);
    craft_symbol(&c, "sized", 0x1200, 0x10, STB_GLOBAL, STT_FUNC);
    c.sections[CRAFT_SYMTAB].sh_type = SHT_DYNSYM;
    assert_true(names_at(&c, 0x1100, ""));
    assert_true(names_at(&c, 0x1200, "sized"));
    assert_true(names_at(&c, 0x1210, ""));
}

static void what_is_not_code_names_nothing(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    craft_symbol(&c, "variable", 0x1100, 0x10, STB_GLOBAL, STT_OBJECT);
    craft_symbol(&c, "in_data", 0x4000, 0x10, STB_GLOBAL, STT_FUNC)->st_shndx = CRAFT_DATA;
    craft_symbol(&c, "undefined", 0x1200, 0x10, STB_GLOBAL, STT_FUNC)->st_shndx = SHN_UNDEF;
    craft_symbol(&c, "absolute", 0x1300, 0x10, STB_GLOBAL, STT_FUNC)->st_shndx = SHN_ABS;
    craft_symbol(&c, "far_section", 0x1400, 0x10, STB_GLOBAL, STT_FUNC)->st_shndx = 4000;
    craft_symbol(&c, "outside", 0x9000, 0x10, STB_GLOBAL, STT_FUNC);
    craft_symbol(&c, "too_long", 0x1ff0, 0x1000, STB_GLOBAL, STT_FUNC);
    assert_true(names_at(&c, 0x1100, ""));
    assert_true(names_at(&c, 0x4000, ""));
    assert_true(names_at(&c, 0x1200, ""));
    assert_true(names_at(&c, 0x1300, ""));
    assert_true(names_at(&c, 0x1400, ""));
    assert_true(names_at(&c, 0x9000, ""));
    assert_true(names_at(&c, 0x1fff, "too_long"));
    assert_true(names_at(&c, 0x2000, ""));
}

static void a_version_is_not_part_of_the_name(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    craft_symbol(&c, "memcpy@@GLIBC_2.14", 0x1100, 0x10, STB_GLOBAL, STT_FUNC);
    craft_symbol(&c, "@odd", 0x1200, 0x10, STB_GLOBAL, STT_FUNC);
    assert_true(names_at(&c, 0x1100, "memcpy"));
    assert_true(names_at(&c, 0x1200, "@odd"));
}

static void arm_mapping_symbols_and_the_thumb_bit_are_not_names_and_addresses(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    craft_symbol(&c, "$x", 0x1100, 0, STB_LOCAL, STT_NOTYPE);
    craft_symbol(&c, "$d.12", 0x1140, 0, STB_LOCAL, STT_NOTYPE);
    craft_symbol(&c, "thumb", 0x1201, 0x10, STB_GLOBAL, STT_FUNC);
    assert_true(names_at(&c, 0x1100, "$x")); /* an odd but real name elsewhere */
    assert_true(names_at(&c, 0x1200, "$d.12"));
    c.header.e_machine = EM_AARCH64;
    assert_true(names_at(&c, 0x1100, ""));
    c.header.e_machine = EM_ARM;
    assert_true(names_at(&c, 0x1140, ""));
    assert_true(names_at(&c, 0x1200, "thumb"));
    assert_true(names_at(&c, 0x1210, ""));
}

/* ---- identity ---- */

static void a_debug_file_must_have_the_build_id_that_is_wanted(void **state)
{
    struct wire_parse_elf want = {.flags = WIRE_ELF_DEBUG_FILE, .build_id_size = 20};
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct symtab *never = NULL;
    struct crafted c;

    (void)state;
    craft(&c);
    c.segments[1].p_offset = 0x7fffffff; /* segments of debug files point nowhere */
    memcpy(want.build_id, CRAFT_BUILD_ID, 20);
    assert_int_equal(parse_bytes(&c, CRAFT_SIZE, &want, &t), 0);
    assert_string_equal(name_at(t, 0x1000), "first");

    want.build_id[19]++;
    assert_int_equal(parse_bytes(&c, CRAFT_SIZE, &want, &never), -EBADMSG);
    want.build_id[19]--;
    want.build_id_size = 19;
    assert_int_equal(parse_bytes(&c, CRAFT_SIZE, &want, &never), -EBADMSG);
    want.build_id_size = 20;
    c.note.name[0] = 'X';
    assert_int_equal(parse_bytes(&c, CRAFT_SIZE, &want, &never), -EBADMSG);
}

static void a_debug_file_without_build_id_must_have_the_checksum_that_is_wanted(void **state)
{
    struct wire_parse_elf want = {.flags = WIRE_ELF_DEBUG_FILE};
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct symtab *never = NULL;
    struct crafted c;

    (void)state;
    craft(&c);
    want.crc = (uint32_t)crc32(0, (const Bytef *)&c, CRAFT_SIZE);
    assert_int_equal(parse_bytes(&c, CRAFT_SIZE, &want, &t), 0);
    c.strings[200]++;
    assert_int_equal(parse_bytes(&c, CRAFT_SIZE, &want, &never), -EBADMSG);
}

static void a_debuglink_that_is_a_path_is_ignored(void **state)
{
    const char *names[] = {"../x.debug", "/x.debug", "a/b", ".", "..", ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        struct crafted c;

        craft(&c);
        memset(c.debuglink.name, 0, sizeof(c.debuglink.name));
        memcpy(c.debuglink.name, names[i], strlen(names[i]));
        t = parsed(&c);
        assert_string_equal(symtab_header(t)->debuglink, "");
    }
}

/* ---- lies ---- */

#define assert_survives(change, expected_name)            \
    do {                                                  \
        struct crafted c;                                 \
        craft(&c);                                        \
        change;                                           \
        assert_true(names_at(&c, 0x1000, expected_name)); \
    } while (0)

#define assert_malformed(change)                                                \
    do {                                                                        \
        struct symtab *never_ = NULL;                                           \
        struct crafted c;                                                       \
        craft(&c);                                                              \
        change;                                                                 \
        assert_int_equal(parse_bytes(&c, CRAFT_SIZE, &any, &never_), -EBADMSG); \
    } while (0)

static void what_is_no_executable_or_library_is_malformed(void **state)
{
    struct symtab *never = NULL;

    (void)state;
    assert_malformed(c.header.e_ident[0] = 'M');
    assert_malformed(c.header.e_ident[EI_CLASS] = 3);
    assert_malformed(c.header.e_ident[EI_DATA] = 0);
    assert_malformed(c.header.e_ident[EI_VERSION] = 9);
    assert_malformed(c.header.e_type = ET_REL);
    assert_malformed(c.header.e_type = ET_CORE);
    assert_malformed(c.header.e_phnum = 0xffff);
    assert_malformed(c.header.e_phentsize = 1);
    assert_malformed(c.header.e_phoff = UINT64_MAX - 8);
    assert_malformed(c.header.e_phoff = CRAFT_SIZE);
    assert_int_equal(parse_bytes("", 0, &any, &never), -EBADMSG);
    assert_int_equal(parse_bytes("\177ELF", 4, &any, &never), -EBADMSG);
    assert_int_equal(parse_bytes("!<arch>\n                ", 24, &any, &never), -EBADMSG);
}

static void section_headers_that_lie_cost_names_and_nothing_else(void **state)
{
    (void)state;
    assert_survives(c.header.e_shnum = 0xfeff, "");
    assert_survives(c.header.e_shnum = 0, "");
    assert_survives((c.header.e_shnum = 0, c.sections[0].sh_size = UINT64_MAX), "");
    assert_survives((c.header.e_shnum = 0, c.sections[0].sh_size = 1 << 20), "");
    assert_survives((c.header.e_shnum = 0, c.sections[0].sh_size = CRAFT_SECTIONS), "first");
    assert_survives(c.header.e_shoff = UINT64_MAX, "");
    assert_survives(c.header.e_shoff = CRAFT_SIZE - 8, "");
    assert_survives(c.header.e_shentsize = 0, "");
    assert_survives(c.header.e_shstrndx = 0xfff0, "first");
    assert_survives((c.header.e_shstrndx = SHN_XINDEX, c.sections[0].sh_link = UINT32_MAX),
                    "first");
    assert_survives(c.sections[CRAFT_DEBUGLINK].sh_name = UINT32_MAX, "first");
    assert_survives(c.sections[CRAFT_SHSTRTAB].sh_offset = UINT64_MAX, "first");
    assert_survives(c.sections[CRAFT_SHSTRTAB].sh_size = UINT64_MAX, "first");
    assert_survives(c.sections[CRAFT_DEBUGLINK].sh_offset = UINT64_MAX - 3, "first");
    assert_survives(c.sections[CRAFT_DEBUGLINK].sh_size = UINT64_MAX, "first");
}

static void symbol_tables_that_lie_cost_names_and_nothing_else(void **state)
{
    (void)state;
    assert_survives(c.sections[CRAFT_SYMTAB].sh_entsize = 0, "");
    assert_survives(c.sections[CRAFT_SYMTAB].sh_entsize = 1, "");
    assert_survives(c.sections[CRAFT_SYMTAB].sh_offset = UINT64_MAX - 20, "");
    assert_survives(c.sections[CRAFT_SYMTAB].sh_size = UINT64_MAX, "");
    assert_survives(c.sections[CRAFT_SYMTAB].sh_size -= 7, "first");
    assert_survives(c.sections[CRAFT_SYMTAB].sh_link = CRAFT_SYMTAB, "");
    assert_survives(c.sections[CRAFT_SYMTAB].sh_link = UINT32_MAX, "");
    assert_survives(c.sections[CRAFT_SYMTAB].sh_flags = SHF_COMPRESSED, "");
    assert_survives(c.sections[CRAFT_STRTAB].sh_flags = SHF_COMPRESSED, "");
    assert_survives(c.sections[CRAFT_STRTAB].sh_link = CRAFT_SYMTAB, "first");
    assert_survives(c.sections[CRAFT_STRTAB].sh_offset = UINT64_MAX, "");
    assert_survives(c.sections[CRAFT_STRTAB].sh_size = UINT64_MAX, "");
    assert_survives(c.sections[CRAFT_STRTAB].sh_size = 0, "");
    assert_survives(c.sections[CRAFT_CODE].sh_addr = UINT64_MAX, "");
    assert_survives(c.sections[CRAFT_CODE].sh_size = UINT64_MAX, "first");
    assert_survives(c.symbols[1].st_name = UINT32_MAX, "");
    assert_survives(c.symbols[1].st_name = 255, "");
    assert_survives(c.symbols[1].st_size = UINT64_MAX, "first");
    assert_survives(c.symbols[1].st_value = UINT64_MAX, "");
    assert_survives(c.sections[CRAFT_STRTAB].sh_size = 4, "fir"); /* no NUL at its end */
}

static void notes_that_lie_cost_the_build_id_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned word = 0; word < 3; word++) {
        for (unsigned value = 0; value < 4; value++) {
            const uint32_t lies[] = {0, 3, 0x7fffffff, UINT32_MAX};
            _cleanup_(symtab_freep) struct symtab *t = NULL;
            struct crafted c;

            craft(&c);
            c.note.words[word] = lies[value];
            if (word == 2 && lies[value] == NT_GNU_BUILD_ID)
                continue;
            t = parsed(&c);
            assert_string_equal(name_at(t, 0x1000), "first");
            assert_int_equal(symtab_header(t)->build_id_size, word == 1 && value == 1 ? 3 : 0);
        }
    }
}

static void segments_that_lie_are_left_out(void **state)
{
    uint64_t vaddr;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        struct crafted c;

        craft(&c);
        c.segments[0].p_filesz = i == 0 ? UINT64_MAX : i == 1 ? 0 : 0x1000;
        if (i == 2)
            c.segments[0].p_vaddr = UINT64_MAX - 0xff;
        t = parsed(&c);
        assert_int_equal(symtab_header(t)->segment_count, 0);
        assert_false(symtab_vaddr(t, 0x200, &vaddr));
    }
}

static void a_file_cut_anywhere_is_malformed_or_has_true_names_only(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    for (size_t size = 0; size < CRAFT_SIZE; size++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        const char *name;
        int r = parse_bytes(&c, size, &any, &t);

        assert_true(r == 0 || r == -EBADMSG);
        if (r < 0)
            continue;
        name = name_at(t, 0x1000);
        assert_true(strcmp(name, "") == 0 || strcmp(name, "first") == 0);
    }
}

static void a_real_file_cut_anywhere_is_survived(void **state)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
    size_t size;

    (void)state;
    assert_true(fd >= 0);
    data = contents(fd, &size);
    for (size_t cut = 0; cut < size; cut += 64) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        int r = parse_bytes(data, cut, &any, &t);

        assert_true(r == 0 || r == -EBADMSG);
    }
}

static void a_sparse_file_of_a_tebibyte_is_bounded(void **state)
{
    const uint64_t tebibyte = 1ull << 40;
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    _cleanup_fclose_ FILE *file = tmpfile();
    struct wire_parse_elf want = {.flags = WIRE_ELF_DEBUG_FILE};
    struct symtab *never = NULL;
    struct crafted c;

    (void)state;
    assert_non_null(file);
    craft(&c);
    c.sections[CRAFT_SYMTAB].sh_size = tebibyte / 2;
    c.sections[CRAFT_STRTAB].sh_size = tebibyte / 2;
    c.sections[CRAFT_NOTE].sh_size = tebibyte / 2;
    c.segments[1].p_filesz = tebibyte / 2;
    assert_int_equal(pwrite(fileno(file), &c, CRAFT_SIZE, 0), CRAFT_SIZE);
    if (ftruncate(fileno(file), (off_t)tebibyte) < 0) {
        print_message("SKIP: no sparse file of 1 TiB here: %s\n", strerror(errno));
        skip();
    }
    assert_int_equal(parse_fd(fileno(file), &any, &t), 0);
    assert_true(symtab_header(t)->flags & SYMTAB_TRUNCATED);
    assert_int_equal(parse_fd(fileno(file), &want, &never), -EFBIG);

    c.sections[CRAFT_STRTAB].sh_size = sizeof(c.strings);
    assert_int_equal(pwrite(fileno(file), &c, CRAFT_SIZE, 0), CRAFT_SIZE);
    symtab_free(t);
    assert_int_equal(parse_fd(fileno(file), &any, &t), 0);
    assert_string_equal(name_at(t, 0x1000), "first");
    assert_true(symtab_header(t)->flags & SYMTAB_TRUNCATED);
}

/* ---- the machine's own binaries, against libelf's reading of them ---- */

struct truth {
    GElf_Sym symbol;
    bool dynamic;
    const char *name; /* libelf's, with its version */
};

struct truths {
    Elf *elf;
    struct truth *all;
    size_t count, allocated;
};

static void add_truth(struct truths *ts, const GElf_Shdr *table, const GElf_Sym *s)
{
    Elf_Scn *scn = s->st_shndx < SHN_LORESERVE ? elf_getscn(ts->elf, s->st_shndx) : NULL;
    const char *name = elf_strptr(ts->elf, table->sh_link, s->st_name);
    GElf_Shdr section;

    if (!scn || s->st_shndx == SHN_UNDEF || !gelf_getshdr(scn, &section) ||
        !(section.sh_flags & SHF_EXECINSTR) || !name || !*name)
        return;
    if (ts->count == ts->allocated) {
        ts->allocated = ts->allocated * 2 + 1000;
        ts->all = reallocarray(ts->all, ts->allocated, sizeof(*ts->all));
        assert_non_null(ts->all);
    }
    ts->all[ts->count++] = (struct truth){*s, table->sh_type == SHT_DYNSYM, name};
}

static void read_truths(int fd, struct truths *ts)
{
    Elf_Scn *scn = NULL;

    elf_version(EV_CURRENT);
    ts->elf = elf_begin(fd, ELF_C_READ, NULL);
    assert_non_null(ts->elf);
    while ((scn = elf_nextscn(ts->elf, scn))) {
        Elf_Data *data;
        GElf_Shdr table;
        GElf_Sym s;

        gelf_getshdr(scn, &table);
        if (table.sh_type != SHT_SYMTAB && table.sh_type != SHT_DYNSYM)
            continue;
        data = elf_getdata(scn, NULL);
        for (int i = 0; data && gelf_getsym(data, i, &s); i++)
            add_truth(ts, &table, &s);
    }
}

static bool covers(const struct truth *t, uint64_t address)
{
    unsigned type = GELF_ST_TYPE(t->symbol.st_info);

    return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) &&
           address >= t->symbol.st_value && address - t->symbol.st_value < t->symbol.st_size;
}

static bool is_called(const struct truth *t, const char *name)
{
    size_t size = strcspn(t->name, "@");

    return strlen(name) == size && memcmp(t->name, name, size) == 0;
}

/* A name must be one of those that cover the address by size; when none does, an unsized one of
 * .symtab before it. An address that a symbol covers must have a name. */
static void check_address(const char *path, const struct symtab *t, const struct truths *ts,
                          uint64_t address)
{
    const char *name = name_at(t, address);
    bool any_covers = false, by_size = false, by_label = false;

    for (size_t i = 0; i < ts->count; i++) {
        const struct truth *truth = &ts->all[i];

        if (covers(truth, address)) {
            any_covers = true;
            by_size |= is_called(truth, name);
        } else if (truth->symbol.st_size == 0 && !truth->dynamic &&
                   truth->symbol.st_value <= address) {
            by_label |= is_called(truth, name);
        }
    }
    if (any_covers ? !by_size : *name && !by_label)
        fail_msg("%s: %#lx is named '%s'", path, (unsigned long)address, name);
}

static size_t check_binary(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct truths ts = {0};
    size_t step;

    if (fd < 0 || parse_fd(fd, &any, &t) < 0)
        return 0; /* a script */
    assert_false(symtab_header(t)->flags & SYMTAB_TRUNCATED);
    read_truths(fd, &ts);
    step = ts.count / 60 + 1;
    for (size_t i = 0; i < ts.count; i += step) {
        const GElf_Sym *s = &ts.all[i].symbol;

        check_address(path, t, &ts, s->st_value);
        check_address(path, t, &ts, s->st_value + s->st_size / 2);
        check_address(path, t, &ts, s->st_value + s->st_size);
        check_address(path, t, &ts, s->st_value - 1);
    }
    elf_end(ts.elf);
    free(ts.all);
    return 1;
}

static void the_machines_own_binaries_are_named_as_libelf_reads_them(void **state)
{
    const char *patterns[] = {"/bin/*sh", "/usr/bin/[gns]*", "/usr/lib/*/libc.so.6",
                              "/usr/lib/*/lib[cs]*.so.*"};
    size_t checked = 0;
    glob_t g = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
        glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &g);
    for (size_t i = 0; i < g.gl_pathc && checked < 150; i++)
        checked += check_binary(g.gl_pathv[i]);
    globfree(&g);
    print_message("%zu binaries\n", checked);
    assert_true(checked > 10);
}

static void this_program_finds_its_own_functions_and_segments(void **state)
{
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    const struct symtab_header *h;

    (void)state;
    assert_int_equal(parse_fd(fd, &any, &t), 0);
    h = symtab_header(t);
    assert_true(h->flags & SYMTAB_HAS_SYMTAB);
    assert_true(h->segment_count > 0);
    for (size_t i = 0; i < h->symbol_count; i++) {
        const struct symtab_symbol *s =
            (const void *)((const char *)(h + 1) +
                           h->segment_count * sizeof(struct symtab_segment));

        if (strcmp(name_at(t, s[i].start), "elf_parse") == 0)
            return;
    }
    fail_msg("elf_parse is not in the table");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_tells_its_functions_build_id_debuglink_and_segments),
        cmocka_unit_test(every_class_and_byte_order_reads_the_same),
        cmocka_unit_test(among_aliases_the_exported_and_plain_name_is_shown),
        cmocka_unit_test(a_function_without_size_reaches_to_the_next_symbol_or_its_sections_end),
        cmocka_unit_test(a_dynamic_symbol_without_size_names_nothing),
        cmocka_unit_test(what_is_not_code_names_nothing),
        cmocka_unit_test(a_version_is_not_part_of_the_name),
        cmocka_unit_test(arm_mapping_symbols_and_the_thumb_bit_are_not_names_and_addresses),
        cmocka_unit_test(a_debug_file_must_have_the_build_id_that_is_wanted),
        cmocka_unit_test(a_debug_file_without_build_id_must_have_the_checksum_that_is_wanted),
        cmocka_unit_test(a_debuglink_that_is_a_path_is_ignored),
        cmocka_unit_test(what_is_no_executable_or_library_is_malformed),
        cmocka_unit_test(section_headers_that_lie_cost_names_and_nothing_else),
        cmocka_unit_test(symbol_tables_that_lie_cost_names_and_nothing_else),
        cmocka_unit_test(notes_that_lie_cost_the_build_id_and_nothing_else),
        cmocka_unit_test(segments_that_lie_are_left_out),
        cmocka_unit_test(a_file_cut_anywhere_is_malformed_or_has_true_names_only),
        cmocka_unit_test(a_real_file_cut_anywhere_is_survived),
        cmocka_unit_test(a_sparse_file_of_a_tebibyte_is_bounded),
        cmocka_unit_test(the_machines_own_binaries_are_named_as_libelf_reads_them),
        cmocka_unit_test(this_program_finds_its_own_functions_and_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
