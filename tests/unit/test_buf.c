/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void what_is_added_stands_there_with_a_nul(void **state _unused_)
{
    _cleanup_buf_ struct buf b = {0};

    buf_adds(&b, "one");
    buf_addc(&b, ' ');
    buf_addf(&b, "%d-%s", 2, "three");
    buf_add(&b, "\0x", 2);
    assert_int_equal(b.size, 13);
    assert_memory_equal(b.data, "one 2-three\0x", 14);
    buf_consume(&b, 4);
    assert_string_equal(b.data, "2-three");
    buf_consume(&b, b.size);
    assert_int_equal(b.size, 0);
    assert_int_equal(buf_error(&b), 0);
}

static void it_grows_to_any_size(void **state _unused_)
{
    _cleanup_buf_ struct buf b = {0};

    for (int i = 0; i < 100000; i++)
        buf_addf(&b, "%05d", i);
    assert_int_equal(b.size, 500000);
    assert_string_equal(b.data + 499995, "99999");
}

static void a_failure_is_remembered(void **state _unused_)
{
    _cleanup_buf_ struct buf b = {0};

    buf_adds(&b, "kept");
    assert_null(buf_reserve(&b, SIZE_MAX / 2));
    buf_adds(&b, "dropped");
    assert_string_equal(b.data, "kept");
    assert_int_equal(buf_error(&b), -ENOMEM);
}

static void a_file_is_read_whole_or_refused(void **state _unused_)
{
    _cleanup_buf_ struct buf b = {0}, c = {0};
    _cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
    static char text[40000];

    memset(text, 'x', sizeof(text));
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(buf_read_all(&b, fd, sizeof(text)), 0);
    assert_int_equal(b.size, sizeof(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(buf_read_all(&c, fd, sizeof(text) - 1), -EFBIG);
    assert_int_equal(buf_read_all(&c, -1, 10), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_stands_there_with_a_nul),
        cmocka_unit_test(it_grows_to_any_size),
        cmocka_unit_test(a_failure_is_remembered),
        cmocka_unit_test(a_file_is_read_whole_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
