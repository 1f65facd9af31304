/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files that lie, end early or are huge. */
#include "tests/unit/parse_elf.h"

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

static void a_build_id_that_is_cut_off_is_none(void **state)
{
    (void)state;
    for (size_t size = 0; size <= sizeof(((struct crafted *)NULL)->note); size++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        struct crafted c;

        craft(&c);
        c.segments[1].p_filesz = c.sections[CRAFT_NOTE].sh_size = size;
        t = parsed(&c);
        assert_int_equal(symtab_header(t)->build_id_size, size == sizeof(c.note) ? 20 : 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_executable_or_library_is_malformed),
        cmocka_unit_test(section_headers_that_lie_cost_names_and_nothing_else),
        cmocka_unit_test(symbol_tables_that_lie_cost_names_and_nothing_else),
        cmocka_unit_test(notes_that_lie_cost_the_build_id_and_nothing_else),
        cmocka_unit_test(a_build_id_that_is_cut_off_is_none),
        cmocka_unit_test(segments_that_lie_are_left_out),
        cmocka_unit_test(a_file_cut_anywhere_is_malformed_or_has_true_names_only),
        cmocka_unit_test(a_real_file_cut_anywhere_is_survived),
        cmocka_unit_test(a_sparse_file_of_a_tebibyte_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
