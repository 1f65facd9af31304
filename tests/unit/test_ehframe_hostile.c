/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information that is cut short, lies, or is too much; tables that lie. */
#include "nsresolve/ehframe.h"
#include "tests/unit/craft_frames.h"
#include "tests/unit/unwind_tables.h"

#include <errno.h>

#define AT(offset) (FRAMES_CODE + (offset))

static struct unwindtab *parsed(const struct frames *f)
{
    return unwind_parsed(f, FRAMES_SIZE(f));
}

/* The section ends where the file does, in mid-entry: what stands before it keeps its rows. */
static void a_file_cut_at_any_byte_is_survived(void **state)
{
    struct frames f;

    (void)state;
    frames_sample(&f);
    for (size_t cut = 0; cut < FRAMES_SIZE(&f); cut++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;

        if (cut < offsetof(struct frames, segments) + sizeof(f.segments)) {
            assert_int_equal(unwind_parse_result(&f, cut), -EBADMSG);
            continue;
        }
        t = unwind_parsed(&f, cut);
        assert_true(unwindtab_header(t)->flags & UNWINDTAB_TRUNCATED);
        if (cut > offsetof(struct frames, bytes) + 0x40)
            assert_rule(t, AT(4), UNWIND_RBP, 2, 2);
    }
}

/* The same, with the section's size as the liar. */
static void a_section_cut_at_any_byte_is_survived(void **state)
{
    struct frames f;

    (void)state;
    frames_sample(&f);
    for (size_t size = 0; size < f.used; size++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;

        f.sections[1].sh_size = size;
        t = parsed(&f);
        if (size > 0x40)
            assert_rule(t, AT(4), UNWIND_RBP, 2, 2);
    }
}

static void every_byte_may_lie(void **state)
{
    const uint8_t lies[] = {0, 1, 0x7f, 0x80, 0xff};
    struct frames f;

    (void)state;
    frames_sample(&f);
    for (size_t i = 0; i < FRAMES_SIZE(&f); i++) {
        uint8_t *byte = (uint8_t *)&f + i, was = *byte;

        for (size_t k = 0; k < ARRAY_SIZE(lies); k++) {
            *byte = lies[k];
            unwind_parse_result(&f, FRAMES_SIZE(&f)); /* opens what was written */
        }
        *byte = was;
    }
}

/* Entries that share a CIE full of instructions, taken in turn with many others so that none is
 * kept, must not cost their product. */
static void the_work_is_bounded_by_the_size(void **state)
{
    enum { CIES = 65, CIE_BYTES = 4096, FDES = 200000, FDE_BYTES = 20 };
    size_t size = CIES * CIE_BYTES + FDES * FDE_BYTES;
    uint8_t *bytes = calloc(1, size), *at = bytes;
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct frames f;

    (void)state;
    assert_non_null(bytes);
    for (unsigned i = 0; i < CIES; i++, at += CIE_BYTES) {
        const uint32_t length = CIE_BYTES - 4;

        memcpy(at, &length, 4);
        memcpy(at + 8, "\1zR\0\1\x78\20\1\x1b\x0c\7\10\x90\1", 14);
    }
    for (unsigned i = 0; i < FDES; i++, at += FDE_BYTES) {
        /* 64 places hold CIEs, which stand 4096 bytes apart: all fall on the same one */
        const uint32_t words[] = {FDE_BYTES - 4,
                                  (uint32_t)(at + 4 - bytes - (i % CIES) * CIE_BYTES),
                                  AT(0) + i - (uint32_t)(FRAMES_VADDR + (at + 8 - bytes)), 1, 0};

        memcpy(at, words, sizeof(words));
    }
    frames_start(&f);
    frames_finish(&f);
    f.sections[1].sh_size = size;
    f.segments[0].p_filesz = FRAMES_SIZE(&f) + size;
    t = unwind_parsed_two(&f, FRAMES_SIZE(&f), bytes, size);
    free(bytes);
    assert_true(unwindtab_header(t)->flags & UNWINDTAB_TRUNCATED);
    assert_rule(t, AT(0), UNWIND_RSP, 1, 0);
}

/* Every range is one row and one gap: more than a table holds. */
static void a_table_is_cut_at_its_bound_and_ends_in_a_gap(void **state)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    _cleanup_close_ int fd = memfd_empty();
    const struct unwind_row *rows;
    uint32_t count, pc = 8;
    int r = 0;

    (void)state;
    assert_int_equal(unwindtab_builder_new(&b), 0);
    unwindtab_builder_header(b)->machine = EM_X86_64;
    for (; r == 0; pc += 24) {
        r = unwindtab_builder_range(b, pc, pc + 8);
        if (r == 0)
            r = unwindtab_builder_row(b, &(struct unwind_row){.pc = pc, .kind = UNWIND_RSP});
    }
    assert_int_equal(r, -EFBIG);
    assert_int_equal(unwindtab_builder_write(b, fd), 0);
    seal(fd);
    assert_int_equal(unwindtab_open(fd, &t), 0);
    rows = unwindtab_rows(t, &count);
    assert_int_equal(count, UNWINDTAB_MAX_ROWS);
    assert_int_equal(rows[count - 1].kind, UNWIND_NONE);
    assert_true(unwindtab_header(t)->flags & UNWINDTAB_TRUNCATED);
}

struct lie {
    struct unwindtab_header header;
    struct segment segment;
    struct unwind_row rows[2];
};

static int open_lie(const struct lie *lie, size_t size)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    _cleanup_close_ int fd = memfd_of(lie, size);

    seal(fd);
    return unwindtab_open(fd, &t);
}

#define assert_refused(change)                                   \
    do {                                                         \
        struct lie lie = sound;                                  \
        change;                                                  \
        assert_int_equal(open_lie(&lie, sizeof(lie)), -EBADMSG); \
    } while (0)

static void a_table_that_lies_is_refused(void **state)
{
    const struct lie sound = {
        .header = {UNWINDTAB_MAGIC, 0, EM_X86_64, 1, 0x400000, 2, 0},
        .segment = {0x400000, 0, 0x1000},
        .rows = {{0x10, UNWIND_RSP, 0, 1}, {0x20, UNWIND_NONE, 0, 0}},
    };
    struct unwindtab *never = NULL;
    int fd = memfd_of(&sound, sizeof(sound));

    (void)state;
    assert_int_equal(open_lie(&sound, sizeof(sound)), 0);
    assert_int_equal(open_lie(&sound, sizeof(sound) - 1), -EBADMSG);
    assert_int_equal(open_lie(&sound, sizeof(sound.header) - 1), -EBADMSG);
    assert_refused(lie.header.magic++);
    assert_refused(lie.header.flags = 4);
    assert_refused(lie.header.machine = EM_AARCH64);
    assert_refused(lie.header.segment_count = 0);
    assert_refused(lie.header.segment_count = UINT32_MAX);
    assert_refused(lie.header.row_count = 1);
    assert_refused(lie.header.row_count = UINT32_MAX);
    assert_refused(lie.header.padding = 1);
    assert_refused(lie.header.base_vaddr = 0x400001);
    assert_refused(lie.header.base_vaddr = 0x401000);
    assert_refused((lie.header.base_vaddr = lie.segment.vaddr = -0x1000ull, lie.segment.size = 1,
                    lie.rows[1].pc = 0x1000));
    assert_refused(lie.segment.size = UINT64_MAX - 0x400000 + 1);
    assert_refused(lie.rows[1].pc = 0x10);
    assert_refused(lie.rows[1].pc = 0x0f);
    assert_refused(lie.rows[0].kind = UNWIND_KIND_COUNT);

    assert_int_equal(unwindtab_open(fd, &never), -EPERM); /* not sealed */
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_at_any_byte_is_survived),
        cmocka_unit_test(a_section_cut_at_any_byte_is_survived),
        cmocka_unit_test(every_byte_may_lie),
        cmocka_unit_test(the_work_is_bounded_by_the_size),
        cmocka_unit_test(a_table_is_cut_at_its_bound_and_ends_in_a_gap),
        cmocka_unit_test(a_table_that_lies_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
