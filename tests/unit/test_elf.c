/* SPDX-License-Identifier: Apache-2.0 */
/* What a sound ELF file says. */
#include "tests/unit/parse_elf.h"

#include <zlib.h>

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

static void a_resolver_is_no_implementation_and_its_own_name_comes_first(void **state)
{
    struct crafted c;

    (void)state;
    craft(&c);
    craft_symbol(&c, "memcpy", 0x1100, 0x40, STB_GLOBAL, STT_GNU_IFUNC);
    craft_symbol(&c, "bcopy", 0x1100, 0x40, STB_WEAK, STT_GNU_IFUNC);
    craft_symbol(&c, "strlen", 0x1200, 0x40, STB_GLOBAL, STT_GNU_IFUNC);
    craft_symbol(&c, "__strlen_ifunc", 0x1200, 0x40, STB_LOCAL, STT_FUNC);
    assert_true(names_at(&c, 0x1100, "memcpy@ifunc"));
    assert_true(names_at(&c, 0x1200, "__strlen_ifunc"));
}

static void of_equal_aliases_the_shorter_name_is_shown_in_any_order(void **state)
{
    static const char *const names[] = {"copy.localalias", "copy", "copy.part.0"};

    (void)state;
    for (size_t first = 0; first < ARRAY_SIZE(names); first++) {
        struct crafted c;

        craft(&c);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
            craft_symbol(&c, names[(first + i) % ARRAY_SIZE(names)], 0x1100, 0x40, STB_LOCAL,
                         STT_FUNC);
        assert_true(names_at(&c, 0x1100, "copy"));
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_tells_its_functions_build_id_debuglink_and_segments),
        cmocka_unit_test(every_class_and_byte_order_reads_the_same),
        cmocka_unit_test(among_aliases_the_exported_and_plain_name_is_shown),
        cmocka_unit_test(a_resolver_is_no_implementation_and_its_own_name_comes_first),
        cmocka_unit_test(of_equal_aliases_the_shorter_name_is_shown_in_any_order),
        cmocka_unit_test(a_function_without_size_reaches_to_the_next_symbol_or_its_sections_end),
        cmocka_unit_test(a_dynamic_symbol_without_size_names_nothing),
        cmocka_unit_test(what_is_not_code_names_nothing),
        cmocka_unit_test(a_version_is_not_part_of_the_name),
        cmocka_unit_test(arm_mapping_symbols_and_the_thumb_bit_are_not_names_and_addresses),
        cmocka_unit_test(a_debug_file_must_have_the_build_id_that_is_wanted),
        cmocka_unit_test(a_debug_file_without_build_id_must_have_the_checksum_that_is_wanted),
        cmocka_unit_test(a_debuglink_that_is_a_path_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
