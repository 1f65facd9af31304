/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information made by hand. */
#include "nsresolve/ehframe.h"
#include "tests/unit/craft_frames.h"
#include "tests/unit/unwind_tables.h"

#include <errno.h>
#include <sys/auxv.h>
#include <zlib.h>

#define AT(offset) (FRAMES_CODE + (offset))

static struct unwindtab *parsed(const struct frames *f)
{
    return unwind_parsed(f, FRAMES_SIZE(f));
}

/* Parses a program of one function of 0x40 bytes with this code. */
static struct unwindtab *parsed_code(const void *code, size_t size)
{
    struct frames f;

    frames_start(&f);
    frames_fde(&f, frames_cie(&f, "zR", FRAMES_PCREL), AT(0), 0x40, code, size);
    frames_finish(&f);
    return parsed(&f);
}

#define CODE(...) \
    parsed_code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

#define assert_code(offset, kind, words, rbp, ...)                           \
    do {                                                                     \
        _cleanup_(unwindtab_freep) struct unwindtab *t_ = CODE(__VA_ARGS__); \
        assert_rule(t_, AT(offset), kind, words, rbp);                       \
    } while (0)

static void every_rule_of_the_sample_has_its_row(void **state)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct frames f;

    (void)state;
    frames_sample(&f);
    t = parsed(&f);
    assert_int_equal(unwindtab_header(t)->flags, 0);
    assert_int_equal(unwindtab_header(t)->machine, EM_X86_64);
    assert_int_equal(unwindtab_base(t), FRAMES_BASE);

    assert_null(unwindtab_find(t, AT(0) - 1));
    assert_rule(t, AT(0), UNWIND_RSP, 1, 0);
    assert_rule(t, AT(1), UNWIND_RSP, 2, 2);
    assert_rule(t, AT(3), UNWIND_RSP, 2, 2);
    assert_rule(t, AT(4), UNWIND_RBP, 2, 2);
    assert_rule(t, AT(0x13), UNWIND_RBP, 2, 2);
    assert_rule(t, AT(0x14), UNWIND_RSP, 1, 2);
    assert_rule(t, AT(0x3f), UNWIND_RSP, 1, 2);
    assert_rule(t, AT(0x40), UNWIND_NONE, 0, 0);
    assert_rule(t, AT(0x100), UNWIND_PLT, 11, 0);
    assert_rule(t, AT(0x204), UNWIND_RSP, 1, 0);
    assert_rule(t, AT(0x205), UNWIND_UNSUPPORTED, 0, 0);
    assert_rule(t, AT(0x20f), UNWIND_UNSUPPORTED, 0, 0);
    assert_rule(t, AT(0x213), UNWIND_DEREF_RBP, -5, UNWINDTAB_RBP_AT_RBP);
    assert_rule(t, AT(0x301), UNWIND_RSP, 3, 0);
    assert_rule(t, AT(0x303), UNWIND_RSP, 1, 0);
    assert_rule(t, AT(0x305), UNWIND_RSP, 3, 0);
    assert_rule(t, AT(0x400), UNWIND_END, 0, 0);
    assert_rule(t, AT(0x500), UNWIND_SIGNAL, 0, 0);
    assert_rule(t, AT(0x540), UNWIND_NONE, 0, 0);
    assert_rule(t, AT(0x10000000), UNWIND_NONE, 0, 0);
}

static void each_instruction_does_what_the_standard_says(void **state)
{
    (void)state;
    assert_code(0x10, UNWIND_RSP, 2, 0, 0x02, 0x10, 0x0e, 16);
    assert_code(0x0f, UNWIND_RSP, 1, 0, 0x02, 0x10, 0x0e, 16);
    assert_code(0x20, UNWIND_RSP, 2, 0, 0x03, 0x20, 0, 0x0e, 16);
    assert_code(0x20, UNWIND_RSP, 2, 0, 0x04, 0x20, 0, 0, 0, 0x0e, 16);
    assert_code(0, UNWIND_RSP, 100, 0, 0x0e, 0xa0, 6);          /* def_cfa_offset 800 */
    assert_code(0, UNWIND_RSP, 2, 0, 0x13, 0x7e);               /* def_cfa_offset_sf */
    assert_code(0, UNWIND_RBP, 3, 0, 0x12, 6, 0x7d);            /* def_cfa_sf */
    assert_code(0, UNWIND_RSP, 1, 5, 0x05, 6, 5);               /* offset_extended */
    assert_code(0, UNWIND_RSP, 1, 5, 0x11, 6, 5);               /* offset_extended_sf */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x11, 6, 0x7b);    /* above the CFA */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x2f, 6, 3);       /* negative_offset_extended */
    assert_code(0, UNWIND_RSP, 1, 0, 0x86, 2, 0xc6);            /* restore */
    assert_code(0, UNWIND_RSP, 1, 0, 0x86, 2, 0x06, 6);         /* restore_extended */
    assert_code(0, UNWIND_RSP, 1, 0, 0x86, 2, 0x08, 6);         /* same_value */
    assert_code(0, UNWIND_RSP, 1, 0, 0x86, 2, 0x07, 6);         /* undefined */
    assert_code(0, UNWIND_RSP, 1, 2, 0x2e, 0x90, 1, 0x86, 2);   /* GNU_args_size */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x09, 6, 3);       /* rbp in rbx */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x09, 16, 5);      /* return address in rdi */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x90, 2);          /* return address elsewhere */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x08, 16);         /* the same as ours */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x09, 7, 8);       /* rsp in r8 */
    assert_code(0, UNWIND_RSP, 1, 0, 0x14, 7, 0);               /* rsp is the CFA */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x14, 7, 1);       /* rsp is not */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x15, 6, 1);       /* rbp is CFA - 8 */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x16, 6, 1, 0x30); /* rbp is a value */
    assert_code(0, UNWIND_RSP, 1, 0, 0x83, 3, 0x8c, 4, 0x09, 14, 13, 0x16, 15, 2, 0, 0);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0d, 3);  /* CFA from rbx */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0e, 12); /* half a word */
    assert_code(0, UNWIND_RSP, 32767, 0, 0x0e, 0xf8, 0xff, 0x0f);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0e, 0x80, 0x80, 0x10);
    assert_code(0, UNWIND_RSP, 1, 254, 0x86, 0xfe, 1);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x86, 0xff, 1);
}

static void expressions_of_compilers_and_linkers_are_known(void **state)
{
    (void)state;
    assert_code(0, UNWIND_RSP, 4, 0, 0x0f, 2, 0x77, 32);
    assert_code(0, UNWIND_RBP, 4, 0, 0x0f, 2, 0x76, 32);
    assert_code(0, UNWIND_DEREF_RBP, -1, 0, 0x0f, 3, 0x76, 0x78, 0x06);
    assert_code(0, UNWIND_DEREF_RSP, 5, 0, 0x0f, 5, 0x77, 40, 0x06, 0x23, 8);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 5, 0x77, 40, 0x06, 0x23, 16);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 3, 0x77, 40, 0x06);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 5, 0x76, 40, 0x06, 0x23, 8);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 2, 0x73, 32);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 0);
    assert_code(0, UNWIND_PLT, 10, 0, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33,
                0x24, 0x22);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a,
                0x33, 0x24, 0x1c);
    assert_code(0, UNWIND_RSP, 1, UNWINDTAB_RBP_AT_RBP, 0x10, 6, 2, 0x76, 0);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x10, 6, 2, 0x76, 8);
    /* Half a rule cannot follow an expression, a whole one can. */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 3, 0x76, 0x78, 0x06, 0x0e, 16);
    assert_code(0, UNWIND_RSP, 2, 0, 0x0f, 3, 0x76, 0x78, 0x06, 0x0c, 7, 16);
}

static void broken_code_is_unsupported_from_there_on(void **state)
{
    const uint8_t overflow[] = {0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x41, 0x0a};

    (void)state;
    assert_code(1, UNWIND_UNSUPPORTED, 0, 0, 0x41, 0x3f); /* no such instruction */
    assert_code(0, UNWIND_RSP, 1, 0, 0x41, 0x3f);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0b);                   /* nothing remembered */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0f, 0xff, 0xff, 0x7f); /* longer than the entry */
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                0x80, 0x80, 0x80, 0);
    assert_code(0x3f, UNWIND_RSP, 2, 0, 0x0e, 16, 0x04, 0xff, 0xff, 0xff, 0xff, 0x3f);
    assert_code(0, UNWIND_UNSUPPORTED, 0, 0, 0x01, 0, 0, 0, 0); /* set_loc to before the start */

    for (unsigned last = 9; last <= 10; last++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = parsed_code(overflow, last);

        assert_rule(t, AT(0), UNWIND_RSP, 1, 0);
        assert_rule(t, AT(1), last == 9 ? UNWIND_RSP : UNWIND_UNSUPPORTED, last == 9, 0);
        assert_int_equal(unwindtab_header(t)->flags, last == 9 ? 0 : UNWINDTAB_TRUNCATED);
    }
}

static void where_functions_overlap_the_later_start_holds(void **state)
{
    const uint8_t two[] = {0x0e, 16}, three[] = {0x0e, 24};
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct frames f;
    uint32_t count;
    size_t cie;

    (void)state;
    frames_start(&f);
    cie = frames_cie(&f, "zR", FRAMES_PCREL);
    frames_fde(&f, cie, AT(0x20), 0x10, two, 2);
    frames_fde(&f, cie, AT(0), 0x100, "", 0);
    frames_fde(&f, cie, AT(0x20), 0x20, three, 2);
    frames_fde(&f, cie, AT(0x200), 0x19, two, 2);
    frames_fde(&f, cie, AT(0x220), 0x11, two, 2);
    frames_fde(&f, cie, AT(0x240), 0x1, two, 2);
    frames_fde(&f, cie, AT(0x251), 0, two, 2);                /* empty */
    frames_fde(&f, cie, FRAMES_BASE - 0x100, 0x1000, two, 2); /* below the file */
    frames_fde(&f, cie, AT(FRAMES_CODE_SIZE), 0x100, two, 2); /* no code there */
    frames_finish(&f);
    t = parsed(&f);
    assert_rule(t, AT(0x1f), UNWIND_RSP, 1, 0);
    assert_rule(t, AT(0x20), UNWIND_RSP, 2, 0);
    assert_rule(t, AT(0x30), UNWIND_NONE, 0, 0);
    assert_rule(t, AT(0x200), UNWIND_RSP, 2, 0);
    assert_rule(t, AT(0x21f), UNWIND_RSP, 2, 0); /* padding before an aligned function */
    assert_rule(t, AT(0x231), UNWIND_RSP, 2, 0);
    assert_rule(t, AT(0x23f), UNWIND_RSP, 2, 0);
    assert_rule(t, AT(0x241), UNWIND_NONE, 0, 0);
    unwindtab_rows(t, &count);
    assert_int_equal(count, 5);
}

static void every_encoding_of_addresses_is_read(void **state)
{
    const struct {
        uint8_t encoding;
        size_t size;
        uint32_t relative_to;
    } cases[] = {
        {0x00, 8, 0}, {0x03, 4, 0}, {0x04, 8, 0}, {0x0b, 4, 0}, {0x0c, 8, 0},
        {0x10, 8, 1}, {0x1b, 4, 1}, {0x1c, 8, 1}, {0x3b, 4, 2}, {0x30, 8, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
        uint64_t base = 0;
        struct frames f;
        size_t cie, at;

        frames_start(&f);
        cie = frames_cie(&f, "zR", cases[i].encoding);
        at = f.used;
        frames_put_number(&f, 0, 4);
        frames_put_number(&f, at + 4 - cie, 4);
        if (cases[i].relative_to == 1)
            base = FRAMES_VADDR + f.used;
        if (cases[i].relative_to == 2)
            base = FRAMES_BASE + offsetof(struct frames, search);
        frames_put_number(&f, AT(0x30) - base, cases[i].size);
        frames_put_number(&f, 0x10, cases[i].size);
        frames_put_number(&f, 0, 1);
        frames_close(&f, at);
        frames_finish(&f);
        t = parsed(&f);
        assert_null(unwindtab_find(t, AT(0x2f)));
        assert_rule(t, AT(0x30), UNWIND_RSP, 1, 0);
        assert_rule(t, AT(0x40), UNWIND_NONE, 0, 0);
    }
}

static void pointers_that_no_code_has_drop_the_entry(void **state)
{
    const uint8_t encodings[] = {0x9b, 0x2b, 0x4b, 0x50, 0x0d, 0xff};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
        struct frames f;
        uint32_t count;

        frames_start(&f);
        frames_fde(&f, frames_cie(&f, "zR", encodings[i]), AT(0), 0x40, "", 0);
        frames_fde(&f, frames_cie(&f, "zR", FRAMES_PCREL), AT(0x100), 0x40, "", 0);
        frames_finish(&f);
        t = parsed(&f);
        unwindtab_rows(t, &count);
        assert_int_equal(count, 2);
        assert_rule(t, AT(0x100), UNWIND_RSP, 1, 0);
        assert_int_equal(unwindtab_header(t)->flags, UNWINDTAB_TRUNCATED);
    }
}

static void without_section_headers_the_segment_leads_to_the_frames(void **state)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL, *none = NULL;
    struct frames f;
    uint32_t count;

    (void)state;
    frames_sample(&f);
    f.header.e_shoff = f.header.e_shnum = 0;
    memset(f.bytes + f.used, 0xff, 64); /* behind the terminator */
    f.used += 64;
    f.segments[0].p_filesz += 64;
    t = parsed(&f);
    assert_int_equal(unwindtab_header(t)->flags, 0);
    assert_rule(t, AT(4), UNWIND_RBP, 2, 2);
    assert_rule(t, AT(0x500), UNWIND_SIGNAL, 0, 0);

    f.search[1] = 0xff;
    none = parsed(&f);
    unwindtab_rows(none, &count);
    assert_int_equal(count, 0);
    assert_int_equal(unwindtab_header(none)->flags, UNWINDTAB_TRUNCATED);
}

static void put_debug_entry(struct frames *f, bool is_64, const void *code, size_t size)
{
    size_t at = f->used, cie = at;

    for (unsigned i = 0; i < 2; i++) {
        size_t length_at;

        frames_put_number(f, 0xffffffff, is_64 ? 4 : 0);
        length_at = f->used;
        frames_put_number(f, 0, is_64 ? 8 : 4);
        at = f->used;
        if (i == 0) { /* version 4, no letters, 8 bytes an address, no segments */
            frames_put_number(f, UINT64_MAX, is_64 ? 8 : 4);
            frames_put(f, "\4\0\10\0\1\x78\20\x0c\7\10\x90\1", 12);
        } else {
            frames_put_number(f, cie, is_64 ? 8 : 4);
            frames_put_number(f, AT(is_64 ? 0x100 : 0), 8);
            frames_put_number(f, 0x40, 8);
            frames_put(f, code, size);
        }
        f->bytes[length_at] = (uint8_t)(f->used - at);
    }
}

static void debug_frame_is_read_in_both_formats_and_compressed(void **state)
{
    (void)state;
    for (unsigned compressed = 0; compressed < 2; compressed++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
        struct frames f;

        frames_start(&f);
        put_debug_entry(&f, false, "\x41\x0e\20", 3);
        put_debug_entry(&f, true, "\x41\x0e\30", 3);
        if (compressed) {
            Elf64_Chdr head = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = f.used};
            uint8_t plain[sizeof(f.bytes)];
            uLongf size = sizeof(f.bytes) - sizeof(head);

            memcpy(plain, f.bytes, f.used);
            assert_int_equal(compress(f.bytes + sizeof(head), &size, plain, f.used), Z_OK);
            memcpy(f.bytes, &head, sizeof(head));
            f.used = sizeof(head) + size;
        }
        frames_finish(&f);
        frames_make_debug(&f);
        if (compressed)
            f.sections[1].sh_flags = SHF_COMPRESSED;
        t = parsed(&f);
        assert_int_equal(unwindtab_header(t)->flags, UNWINDTAB_DEBUG_FRAME);
        assert_rule(t, AT(0), UNWIND_RSP, 1, 0);
        assert_rule(t, AT(1), UNWIND_RSP, 2, 0);
        assert_rule(t, AT(0x40), UNWIND_NONE, 0, 0);
        assert_rule(t, AT(0x101), UNWIND_RSP, 3, 0);
    }
}

static void a_compressed_section_beyond_the_bound_is_left_out(void **state)
{
    const Elf64_Chdr heads[] = {
        {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = UINT64_MAX},
        {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = EHFRAME_MAX_BYTES + 1},
        {.ch_type = 77, .ch_size = 100},
        {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = 100},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
        struct frames f;
        uint32_t count;

        frames_start(&f);
        frames_put(&f, &heads[i], sizeof(heads[i]));
        frames_put(&f, "nothing that zlib wrote", 23);
        frames_finish(&f);
        frames_make_debug(&f);
        f.sections[1].sh_flags = SHF_COMPRESSED;
        t = parsed(&f);
        unwindtab_rows(t, &count);
        assert_int_equal(count, 0);
        assert_true(unwindtab_header(t)->flags & UNWINDTAB_TRUNCATED);
    }
}

static void other_machines_have_a_table_without_rows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
        struct frames f;
        uint64_t vaddr;
        uint32_t count;

        frames_sample(&f);
        f.header.e_machine = i ? EM_X86_64 : EM_AARCH64;
        f.header.e_ident[EI_DATA] = i ? ELFDATA2MSB : ELFDATA2LSB;
        if (i) { /* a header that says so is not readable as one */
            assert_int_equal(unwind_parse_result(&f, FRAMES_SIZE(&f)), -EBADMSG);
            continue;
        }
        t = parsed(&f);
        unwindtab_rows(t, &count);
        assert_int_equal(count, 0);
        assert_null(unwindtab_find(t, AT(0)));
        assert_true(unwindtab_vaddr(t, 0x20, &vaddr));
        assert_int_equal(vaddr, FRAMES_BASE + 0x20);
        assert_int_equal(unwindtab_header(t)->machine, EM_AARCH64);
    }
    assert_int_equal(unwind_parse_result("#!/bin/sh", 9), -EBADMSG);
}

static void the_way_back_from_signals_is_found_without_frames(void **state)
{
    const uint8_t way_back[] = {0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05, 0xc3};
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct frames f;
    uint64_t at;

    (void)state;
    frames_sample(&f);
    at = FRAMES_VADDR + f.used;
    frames_put(&f, way_back, sizeof(way_back));
    f.segments[0].p_filesz += sizeof(way_back);
    t = parsed(&f);
    assert_null(unwindtab_find(t, at - 1));
    assert_rule(t, at, UNWIND_SIGNAL, 0, 0);
    assert_rule(t, at + 9, UNWIND_SIGNAL, 0, 0);
    assert_rule(t, at + 10, UNWIND_NONE, 0, 0);
    assert_rule(t, AT(4), UNWIND_RBP, 2, 2);
}

static void our_own_vdso_has_rows(void **state)
{
    const void *vdso = (const void *)getauxval(AT_SYSINFO_EHDR);
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    uint32_t count;

    (void)state;
    if (!vdso) {
        print_message("SKIP: this kernel gives no vdso\n");
        return;
    }
    t = unwind_parsed(vdso, 4096);
    if (unwindtab_header(t)->flags & UNWINDTAB_TRUNCATED) {
        unwindtab_free(t);
        t = unwind_parsed(vdso, 8192);
    }
    unwindtab_rows(t, &count);
    assert_true(count > 5);
    assert_false(unwindtab_header(t)->flags & UNWINDTAB_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_the_sample_has_its_row),
        cmocka_unit_test(each_instruction_does_what_the_standard_says),
        cmocka_unit_test(expressions_of_compilers_and_linkers_are_known),
        cmocka_unit_test(broken_code_is_unsupported_from_there_on),
        cmocka_unit_test(where_functions_overlap_the_later_start_holds),
        cmocka_unit_test(every_encoding_of_addresses_is_read),
        cmocka_unit_test(pointers_that_no_code_has_drop_the_entry),
        cmocka_unit_test(without_section_headers_the_segment_leads_to_the_frames),
        cmocka_unit_test(debug_frame_is_read_in_both_formats_and_compressed),
        cmocka_unit_test(a_compressed_section_beyond_the_bound_is_left_out),
        cmocka_unit_test(other_machines_have_a_table_without_rows),
        cmocka_unit_test(the_way_back_from_signals_is_found_without_frames),
        cmocka_unit_test(our_own_vdso_has_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
