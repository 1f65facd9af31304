/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pathat.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static char top[] = "/tmp/porthole-pathat.XXXXXX";
static int root = -1;

static void put(int dir, const char *name)
{
    _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_int_equal(write(fd, name, strlen(name)), strlen(name));
}

static int set_up(void **state _unused_)
{
    int outer;

    if (!mkdtemp(top))
        return -1;
    outer = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (mkdirat(outer, "root", 0755) < 0 || mkdirat(outer, "root/sub", 0755) < 0)
        return -1;
    root = openat(outer, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    put(outer, "outside");
    put(root, "file");
    put(root, "sub/file");
    close(outer);
    return root < 0 || symlinkat("/file", root, "absolute") < 0 ||
                   symlinkat("../outside", root, "up") < 0 || symlinkat("self", root, "self") < 0 ||
                   symlinkat("sub/../file", root, "beneath") < 0 || mkfifoat(root, "fifo", 0600) < 0
               ? -1
               : 0;
}

static int tear_down(void **state _unused_)
{
    static const char *const names[] = {"absolute", "up",   "self",    "beneath",
                                        "fifo",     "file", "sub/file"};
    char path[64];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        unlinkat(root, names[i], 0);
    unlinkat(root, "sub", AT_REMOVEDIR);
    close(root);
    snprintf(path, sizeof(path), "%s/root", top);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/outside", top);
    unlink(path);
    return rmdir(top);
}

static enum file_reason reason_of(const char *path)
{
    struct stat st;
    int fd = -1;
    enum file_reason reason = pathat_open_read(root, path, &fd, &st);

    assert_int_equal(fd >= 0, reason == FILE_OK);
    if (fd >= 0) {
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(fd);
    }
    return reason;
}

static void links_stay_below_the_root(void **state _unused_)
{
    assert_int_equal(reason_of("file"), FILE_OK);
    assert_int_equal(reason_of("/sub/file"), FILE_OK);
    assert_int_equal(reason_of("absolute"), FILE_OK);
    assert_int_equal(reason_of("/../../../file"), FILE_OK);
    assert_int_equal(reason_of("up"), FILE_NOT_FOUND);
    assert_int_equal(reason_of("self"), FILE_UNREADABLE);
    assert_int_equal(reason_of("none"), FILE_NOT_FOUND);
    assert_int_equal(reason_of("file/none"), FILE_NOT_FOUND);
    assert_int_equal(reason_of(""), FILE_NOT_FOUND);
}

static void beneath_a_directory_nothing_may_point_out_of_it(void **state _unused_)
{
    int fd = pathat_open_beneath(root, "beneath");

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(pathat_open_beneath(root, "absolute"), -EXDEV);
    assert_int_equal(pathat_open_beneath(root, "up"), -EXDEV);
    assert_int_equal(pathat_open_beneath(root, "sub/../../outside"), -EXDEV);
    assert_int_equal(pathat_open_beneath(root, "/file"), -EXDEV);
}

static void just_regular_files_of_real_file_systems_are_read(void **state _unused_)
{
    struct stat st;
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

    assert_int_equal(reason_of("sub"), FILE_NOT_REGULAR);
    assert_int_equal(reason_of("fifo"), FILE_NOT_REGULAR);
    assert_int_equal(pathat_open_read(proc, "version", &fd, &st), FILE_PSEUDO);
    assert_int_equal(pathat_open_read(proc, "self/exe", &fd, &st), FILE_UNREADABLE);
    assert_int_equal(fd, -1);
    close(proc);
}

static void another_inode_is_not_taken(void **state _unused_)
{
    _cleanup_close_ int path_fd = pathat_open_path(root, "file");
    struct stat st, got = {0};
    int fd = -1;

    assert_int_equal(fstat(path_fd, &st), 0);
    assert_int_equal(pathat_reopen(path_fd, st.st_dev, st.st_ino + 1, &fd, &got), FILE_REPLACED);
    assert_int_equal(fd, -1);
    assert_int_equal(got.st_ino, 0);
    assert_int_equal(pathat_reopen(path_fd, st.st_dev, st.st_ino, &fd, &got), FILE_OK);
    assert_int_equal(got.st_ino, st.st_ino);
    close(fd);
}

static void every_reason_has_words(void **state _unused_)
{
    for (int i = 0; i < FILE_REASON_COUNT; i++)
        assert_true(strlen(file_reason_text(i)) > 0);
    assert_string_equal(file_reason_text(FILE_REASON_COUNT), "unknown reason");
    assert_int_equal(pathat_reason(EAGAIN), FILE_LEASED);
    assert_int_equal(pathat_reason(ESRCH), FILE_GONE);
    assert_int_equal(pathat_reason(EMFILE), FILE_LIMIT);
    assert_int_equal(pathat_reason(EIO), FILE_UNREADABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_stay_below_the_root),
        cmocka_unit_test(beneath_a_directory_nothing_may_point_out_of_it),
        cmocka_unit_test(just_regular_files_of_real_file_systems_are_read),
        cmocka_unit_test(another_inode_is_not_taken),
        cmocka_unit_test(every_reason_has_words),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
