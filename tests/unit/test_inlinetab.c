/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of inlined functions: what a builder wrote is found, and a table that lies is refused. */
#include "tests/unit/tables.h"

#include "nsresolve/inlinetab.h"

#include <errno.h>

static const uint64_t addresses[] = {0x1000, 0x1004, UINT64_MAX};

/* A table of three addresses: two functions at the first, none at the second, the last unknown. */
static int written(void)
{
    _cleanup_(inlinetab_builder_freep) struct inlinetab_builder *b = NULL;
    int fd = memfd_empty();
    uint32_t names[2];

    assert_int_equal(inlinetab_builder_new(addresses, ARRAY_SIZE(addresses), &b), 0);
    assert_int_equal(inlinetab_builder_name(b, "inner", &names[0]), 0);
    assert_int_equal(inlinetab_builder_name(b, "middle", &names[1]), 0);
    assert_int_equal(inlinetab_builder_set(b, 0, INLINE_KNOWN, names, 2), 0);
    assert_int_equal(inlinetab_builder_set(b, 1, INLINE_KNOWN, NULL, 0), 0);
    assert_int_equal(inlinetab_builder_write(b, fd), 0);
    return fd;
}

static void what_was_written_is_found_and_nothing_else(void **state)
{
    _cleanup_close_ int fd = written();
    _cleanup_(inlinetab_freep) struct inlinetab *t = NULL;
    const struct inline_address *a;

    (void)state;
    seal(fd);
    assert_int_equal(inlinetab_open(fd, &t), 0);
    a = inlinetab_find(t, 0x1000);
    assert_int_equal(a->count, 2);
    assert_string_equal(inlinetab_name(t, a, 0), "inner");
    assert_string_equal(inlinetab_name(t, a, 1), "middle");
    assert_int_equal(inlinetab_find(t, 0x1004)->count, 0);
    assert_int_equal(inlinetab_find(t, UINT64_MAX)->state, INLINE_NO_UNIT);
    assert_null(inlinetab_find(t, 0x1001));
    assert_null(inlinetab_find(t, 0));
}

/* The result for a table of which size bytes at the offset are these. */
static int opened_with(size_t offset, const void *bytes, size_t size)
{
    _cleanup_close_ int fd = written();
    struct inlinetab *t = NULL;
    int r;

    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    seal(fd);
    r = inlinetab_open(fd, &t);
    inlinetab_free(t);
    return r;
}

#define FIRST_ADDRESS sizeof(struct inlinetab_header)
#define FIRST_FRAME (FIRST_ADDRESS + 3 * sizeof(struct inline_address))

static void a_table_that_lies_is_refused(void **state)
{
    const uint32_t more = 1u << 30, frames = 3, two = 2;
    const uint64_t later = 0x2000;
    const uint16_t deep = INLINETAB_MAX_DEPTH + 1, three = 3, unknown = INLINE_STATE_COUNT;
    const struct {
        size_t offset;
        const void *bytes;
        size_t size;
    } lies[] = {
        {offsetof(struct inlinetab_header, magic), &more, 4},
        {offsetof(struct inlinetab_header, address_count), &more, 4},
        {offsetof(struct inlinetab_header, frame_count), &frames, 4},
        {offsetof(struct inlinetab_header, strings_size), &more, 4},
        {FIRST_ADDRESS + offsetof(struct inline_address, address), &later, 8},
        {FIRST_ADDRESS + offsetof(struct inline_address, first), &two, 4},
        {FIRST_ADDRESS + offsetof(struct inline_address, first), &more, 4},
        {FIRST_ADDRESS + offsetof(struct inline_address, count), &three, 2},
        {FIRST_ADDRESS + offsetof(struct inline_address, count), &deep, 2},
        {FIRST_ADDRESS + offsetof(struct inline_address, state), &unknown, 2},
        {FIRST_FRAME, &more, 4},
        {FIRST_FRAME + 2 * sizeof(uint32_t), "x", 1},      /* the empty name */
        {FIRST_FRAME + 2 * sizeof(uint32_t) + 13, "x", 1}, /* the last NUL */
    };

    (void)state;
    assert_int_equal(opened_with(0, "", 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
        if (opened_with(lies[i].offset, lies[i].bytes, lies[i].size) != -EBADMSG)
            fail_msg("lie %zu is believed", i);
}

static void a_table_that_can_still_change_is_refused(void **state)
{
    _cleanup_close_ int fd = written();
    struct inlinetab *t = NULL;

    (void)state;
    assert_int_equal(inlinetab_open(fd, &t), -EPERM);
    assert_null(t);
}

static void names_are_bounded_each_and_together(void **state)
{
    _cleanup_(inlinetab_builder_freep) struct inlinetab_builder *b = NULL;
    _cleanup_free_ char *name = calloc(1, 2 * INLINETAB_NAME_MAX);
    uint32_t offset;
    int r = 0;

    (void)state;
    memset(name, 'x', 2 * INLINETAB_NAME_MAX - 1);
    assert_int_equal(inlinetab_builder_new(addresses, 1, &b), 0);
    for (size_t i = 0; i < INLINETAB_MAX_POOL / INLINETAB_NAME_MAX + 1 && r == 0; i++)
        r = inlinetab_builder_name(b, name, &offset);
    assert_int_equal(r, -EFBIG);
    assert_true(offset < INLINETAB_MAX_POOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_found_and_nothing_else),
        cmocka_unit_test(a_table_that_lies_is_refused),
        cmocka_unit_test(a_table_that_can_still_change_is_refused),
        cmocka_unit_test(names_are_bounded_each_and_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
