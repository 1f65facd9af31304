/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols that are not in the file's own tables: MiniDebugInfo and PLT stubs. */
#include "tests/unit/parse_elf.h"

#include <lzma.h>

#define PLT 0x3000u
#define GOT 0x5000u

/* A crafted file, more bytes behind it, and how many of those there are. */
struct extended {
    struct crafted file;
    uint8_t more[8192];
    size_t used;
};

static int extended_parse(const struct extended *x, struct symtab **ret)
{
    _cleanup_close_ int fd = memfd_of(&x->file, CRAFT_SIZE);

    assert_int_equal(write(fd, x->more, x->used), x->used);
    return parse_fd(fd, &any, ret);
}

static void assert_named(const struct symtab *t, uint64_t address, const char *expected, int source)
{
    const char *name = "";
    const struct symtab_symbol *s = symtab_find(t, address, &name);

    assert_string_equal(name, expected);
    assert_true(!s == (*expected == '\0'));
    if (s)
        assert_int_equal(s->source, source);
}

/* The section's bytes are those that are added next. */
static void place(struct extended *x, enum craft_section which, const char *name, uint32_t type,
                  uint64_t flags, size_t size)
{
    craft_section(&x->file, which, name, type, flags, CRAFT_SIZE + x->used, size);
}

/* ---- MiniDebugInfo ---- */

static size_t pack_xz(const void *plain, size_t size, uint8_t *to, size_t room)
{
    size_t used = 0;

    assert_int_equal(
        lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, plain, size, to, &used, room), LZMA_OK);
    return used;
}

/* A stripped file that holds another one, whose .symtab has more. */
static void craft_minidebug(struct extended *x, const struct crafted *inner)
{
    memset(x, 0, sizeof(*x));
    craft(&x->file);
    x->file.sections[CRAFT_SYMTAB].sh_type = SHT_DYNSYM;
    place(x, CRAFT_DEBUG_INFO, ".gnu_debugdata", SHT_PROGBITS, 0, 0);
    x->used = pack_xz(inner, CRAFT_SIZE, x->more, sizeof(x->more));
    x->file.sections[CRAFT_DEBUG_INFO].sh_size = x->used;
}

static void craft_inner(struct crafted *inner)
{
    craft(inner);
    inner->symbol_count = 1;
    craft_symbol(inner, "hidden", 0x1100, 0x40, STB_LOCAL, STT_FUNC);
    craft_symbol(inner, "also_hidden", 0x1140, 0x20, STB_LOCAL, STT_FUNC);
}

static void minidebuginfo_names_what_stripping_took(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct crafted inner;
    struct extended x;

    (void)state;
    craft_inner(&inner);
    craft_minidebug(&x, &inner);
    assert_int_equal(extended_parse(&x, &t), 0);
    assert_named(t, 0x1000, "first", SYMTAB_FROM_DYNSYM);
    assert_named(t, 0x1100, "hidden", SYMTAB_FROM_MINIDEBUG);
    assert_named(t, 0x115f, "also_hidden", SYMTAB_FROM_MINIDEBUG);
    assert_named(t, 0x1160, "", 0);
    assert_int_equal(symtab_header(t)->flags, SYMTAB_HAS_MINIDEBUG);
}

static void minidebuginfo_of_a_file_with_symbols_is_not_read(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct crafted inner;
    struct extended x;

    (void)state;
    craft_inner(&inner);
    craft_minidebug(&x, &inner);
    x.file.sections[CRAFT_SYMTAB].sh_type = SHT_SYMTAB;
    assert_int_equal(extended_parse(&x, &t), 0);
    assert_named(t, 0x1000, "first", SYMTAB_FROM_SYMTAB);
    assert_named(t, 0x1100, "", 0);
}

/* What is inside may lie as the file itself, and costs only its own names. */
static void minidebuginfo_that_lies_costs_its_own_names_only(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        struct crafted inner;
        struct extended x;

        craft_inner(&inner);
        if (i == 0)
            inner.header.e_ident[0] = 'M';
        else if (i == 1)
            inner.sections[CRAFT_SYMTAB].sh_size = UINT64_MAX;
        else if (i == 2)
            inner.sections[CRAFT_STRTAB].sh_offset = CRAFT_SIZE;
        else if (i == 3)
            inner.header.e_shoff = CRAFT_SIZE - 8;
        craft_minidebug(&x, &inner);
        if (i == 4)
            x.more[x.used / 2] ^= 0x55;
        else if (i == 5)
            x.file.sections[CRAFT_DEBUG_INFO].sh_size = UINT64_MAX;
        else if (i == 6)
            x.file.sections[CRAFT_DEBUG_INFO].sh_size -= 20;
        else if (i == 7)
            x.file.sections[CRAFT_DEBUG_INFO].sh_size = 0;
        assert_int_equal(extended_parse(&x, &t), 0);
        assert_named(t, 0x1000, "first", SYMTAB_FROM_DYNSYM);
        assert_named(t, 0x1100, "", 0);
        if (i != 3) /* no section headers is what many files have */
            assert_true(symtab_header(t)->flags & SYMTAB_TRUNCATED);
    }
}

/* 200 MB of zeros behind a sound file, in 30 kB. */
static void a_bomb_in_minidebuginfo_is_refused(void **state)
{
    const size_t step = 1 << 20, steps = 200;
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    _cleanup_free_ uint8_t *zeros = calloc(1, step), *packed = malloc(65536);
    lzma_stream s = LZMA_STREAM_INIT;
    _cleanup_close_ int fd = -1;
    struct crafted inner;
    struct extended x;

    (void)state;
    craft_inner(&inner);
    craft_minidebug(&x, &inner);
    assert_int_equal(lzma_easy_encoder(&s, 0, LZMA_CHECK_NONE), LZMA_OK);
    s.next_out = packed;
    s.avail_out = 65536;
    for (size_t i = 0; i <= steps; i++) {
        s.next_in = i ? zeros : (const uint8_t *)&inner;
        s.avail_in = i ? step : CRAFT_SIZE;
        while (s.avail_in > 0)
            assert_int_equal(lzma_code(&s, LZMA_RUN), LZMA_OK);
    }
    assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
    x.file.sections[CRAFT_DEBUG_INFO].sh_size = s.total_out;
    fd = memfd_of(&x.file, CRAFT_SIZE);
    assert_int_equal(write(fd, packed, s.total_out), s.total_out);
    lzma_end(&s);
    assert_int_equal(parse_fd(fd, &any, &t), 0);
    assert_named(t, 0x1000, "first", SYMTAB_FROM_DYNSYM);
    assert_named(t, 0x1100, "", 0);
    assert_true(symtab_header(t)->flags & SYMTAB_TRUNCATED);
}

/* ---- PLT stubs ---- */

static void put(struct extended *x, const void *data, size_t size)
{
    assert_true(x->used + size <= sizeof(x->more));
    memcpy(x->more + x->used, data, size);
    x->used += size;
}

/* A stub of this size at address that jumps through the slot; lead stands before the jump. */
static void put_stub(struct extended *x, const char *lead, size_t lead_size, size_t size,
                     uint64_t address, uint64_t slot)
{
    uint8_t stub[16] = {0};
    int32_t distance = (int32_t)(slot - (address + lead_size + 6));

    memcpy(stub, lead, lead_size);
    memcpy(stub + lead_size, "\xff\x25", 2);
    memcpy(stub + lead_size + 2, &distance, sizeof(distance));
    put(x, stub, size);
}

static void put_relocation(struct extended *x, uint64_t slot, uint32_t type, uint32_t symbol,
                           int64_t addend)
{
    const Elf64_Rela r = {slot, ELF64_R_INFO((uint64_t)symbol, type), addend};

    put(x, &r, sizeof(r));
}

/* .dynsym: 1 first, 2 second, 3 puts, 4 memcpy (chosen by 0x1200). Five stubs of 16 bytes from PLT
 * on, the first of which calls the loader; the relocations stand in CRAFT_DEBUG_INFO. */
static void craft_plt(struct extended *x)
{
    Elf64_Sym *s;

    memset(x, 0, sizeof(*x));
    craft(&x->file);
    x->file.sections[CRAFT_SYMTAB].sh_type = SHT_DYNSYM;
    s = craft_symbol(&x->file, "puts", 0, 0, STB_GLOBAL, STT_FUNC);
    s->st_shndx = SHN_UNDEF;
    craft_symbol(&x->file, "memcpy", 0x1200, 0x40, STB_GLOBAL, STT_GNU_IFUNC);

    place(x, CRAFT_DATA, ".plt", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 5 * 16);
    x->file.sections[CRAFT_DATA].sh_addr = PLT;
    x->file.sections[CRAFT_DATA].sh_entsize = 16;
    put(x, "\xff\x35\1\0\0\0\xff\x25\1\0\0\0\0\0\0\0", 16);
    put_stub(x, "", 0, 16, PLT + 16, GOT);
    put_stub(x, "\xf3\x0f\x1e\xfa\xf2", 5, 16, PLT + 32, GOT + 8);
    put_stub(x, "", 0, 16, PLT + 48, GOT + 16);
    put_stub(x, "", 0, 16, PLT + 64, GOT + 24); /* no relocation */

    place(x, CRAFT_DEBUG_INFO, ".rela.plt", SHT_RELA, SHF_ALLOC, 3 * sizeof(Elf64_Rela));
    put_relocation(x, GOT + 16, R_X86_64_IRELATIVE, 0, 0x1200);
    put_relocation(x, GOT, R_X86_64_JUMP_SLOT, 3, 0);
    put_relocation(x, GOT + 8, R_X86_64_GLOB_DAT, 1, 0);
}

static void stubs_are_named_by_their_relocations(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct extended x;

    (void)state;
    craft_plt(&x);
    assert_int_equal(extended_parse(&x, &t), 0);
    assert_named(t, PLT, "", 0);
    assert_named(t, PLT + 15, "", 0);
    assert_named(t, PLT + 16, "puts@plt", SYMTAB_FROM_PLT);
    assert_named(t, PLT + 31, "puts@plt", SYMTAB_FROM_PLT);
    assert_named(t, PLT + 32, "first@plt", SYMTAB_FROM_PLT);
    assert_named(t, PLT + 48, "memcpy@plt", SYMTAB_FROM_PLT);
    assert_named(t, PLT + 64, "", 0);
    assert_named(t, 0x1200, "memcpy@ifunc", SYMTAB_FROM_DYNSYM);
}

static void stubs_of_eight_bytes_are_known_also_where_the_linker_does_not_say_so(void **state)
{
    (void)state;
    for (unsigned said = 0; said < 2; said++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        struct extended x;

        craft_plt(&x);
        place(&x, CRAFT_DATA, ".plt.got", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 3 * 8 + 5);
        x.file.sections[CRAFT_DATA].sh_addr = PLT;
        x.file.sections[CRAFT_DATA].sh_entsize = said ? 8 : 0;
        put_stub(&x, "", 0, 8, PLT, GOT + 8);
        put_stub(&x, "", 0, 8, PLT + 8, GOT);
        put_stub(&x, "", 0, 8, PLT + 16, GOT + 16);
        put(&x, "\xff\x25\1\0\0", 5); /* cut off */
        assert_int_equal(extended_parse(&x, &t), 0);
        assert_named(t, PLT, "first@plt", SYMTAB_FROM_PLT);
        assert_named(t, PLT + 8, "puts@plt", SYMTAB_FROM_PLT);
        assert_named(t, PLT + 23, "memcpy@plt", SYMTAB_FROM_PLT);
        assert_named(t, PLT + 24, "", 0);
    }
}

#define assert_stub(change, expected)                          \
    do {                                                       \
        _cleanup_(symtab_freep) struct symtab *t_ = NULL;      \
        struct extended x;                                     \
        craft_plt(&x);                                         \
        change;                                                \
        assert_int_equal(extended_parse(&x, &t_), 0);          \
        assert_named(t_, PLT + 16, expected, SYMTAB_FROM_PLT); \
    } while (0)

static void stubs_and_relocations_that_lie_cost_their_names_and_nothing_else(void **state)
{
    (void)state;
    assert_stub(x.file.sections[CRAFT_DATA].sh_size = UINT64_MAX, "puts@plt");
    assert_stub(x.file.sections[CRAFT_DATA].sh_size = 40, "puts@plt");
    assert_stub(x.file.sections[CRAFT_DATA].sh_size = 31, "");
    assert_stub(x.file.sections[CRAFT_DATA].sh_offset = UINT64_MAX, "");
    assert_stub(x.file.sections[CRAFT_DATA].sh_addr = UINT64_MAX - 20, "");
    assert_stub(x.file.sections[CRAFT_DATA].sh_entsize = UINT64_MAX, "puts@plt");
    assert_stub(x.file.sections[CRAFT_DATA].sh_flags = SHF_ALLOC, "");
    assert_stub(x.file.sections[CRAFT_DATA].sh_type = SHT_NOBITS, "");
    assert_stub(x.file.sections[CRAFT_DEBUG_INFO].sh_size = UINT64_MAX, "puts@plt");
    assert_stub(x.file.sections[CRAFT_DEBUG_INFO].sh_size = 47, "");
    assert_stub(x.file.sections[CRAFT_DEBUG_INFO].sh_offset = UINT64_MAX, "");
    assert_stub(x.file.sections[CRAFT_DEBUG_INFO].sh_flags = 0, "");
    assert_stub(x.file.sections[CRAFT_SYMTAB].sh_size = 3 * sizeof(Elf64_Sym), "");
    assert_stub(x.file.symbols[3].st_name = UINT32_MAX, "");
    assert_stub(x.file.symbols[3].st_name = 0, "");
    assert_stub(x.file.sections[CRAFT_STRTAB].sh_offset = UINT64_MAX, "");
    assert_stub(x.file.header.e_machine = EM_AARCH64, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minidebuginfo_names_what_stripping_took),
        cmocka_unit_test(minidebuginfo_of_a_file_with_symbols_is_not_read),
        cmocka_unit_test(minidebuginfo_that_lies_costs_its_own_names_only),
        cmocka_unit_test(a_bomb_in_minidebuginfo_is_refused),
        cmocka_unit_test(stubs_are_named_by_their_relocations),
        cmocka_unit_test(stubs_of_eight_bytes_are_known_also_where_the_linker_does_not_say_so),
        cmocka_unit_test(stubs_and_relocations_that_lie_cost_their_names_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
