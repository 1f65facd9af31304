/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char directory[64];

static int make_directory(void **state _unused_)
{
    strcpy(directory, "/tmp/porthole-test-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static size_t entries(bool and_remove)
{
    _cleanup_closedir_ DIR *d = opendir(directory);
    size_t n = 0;

    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        n++;
        if (and_remove)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    return n;
}

static int remove_directory(void **state _unused_)
{
    entries(true);
    return rmdir(directory);
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void suffixes_say_the_format(void **state _unused_)
{
    static const char *const cases[][2] = {{"x.svg", "svg"},
                                           {"x.folded", "folded"},
                                           {"x.json", "json"},
                                           {"x.pb.gz", "pprof"},
                                           {"a.svg.txt", "tree"}};
    struct err e = {0};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(output_format(NULL, cases[i][0], false, &e)->name, cases[i][1]);
    assert_string_equal(output_format("svg", "x.dat", false, &e)->name, "svg");
    assert_int_equal(e.code, ERR_NONE);
    assert_null(output_format(NULL, "x.html", false, &e));
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.remedy, ".pb.gz"));
}

static void rows_have_formats_of_their_own(void **state _unused_)
{
    static const char *const cases[][2] = {
        {"x.svg", "svg"}, {"x.json", "json"}, {"x.txt", "table"}, {"x.tsv", "rows"}};
    struct err e = {0};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(output_format(NULL, cases[i][0], true, &e)->name, cases[i][1]);
    assert_ptr_equal(output_format("svg", NULL, true, &e)->render, render_heatmap);
    assert_ptr_equal(output_format("svg", NULL, false, &e)->render, render_svg);
    assert_int_equal(e.code, ERR_NONE);
    assert_null(output_format("folded", NULL, true, &e));
    assert_int_equal(e.code, ERR_USAGE);
    assert_null(output_format(NULL, "x.pb.gz", true, &e));
    assert_null(output_format("rows", NULL, false, &e));
}

static void a_file_appears_when_it_is_whole(void **state _unused_)
{
    _cleanup_(output_freep) struct output *o = NULL;
    struct err e = {0};
    struct stat st;

    assert_int_equal(output_open(&o, path_of("new"), &e), 0);
    fputs("text", output_stream(o));
    fflush(output_stream(o));
    assert_int_not_equal(stat(path_of("new"), &st), 0);
    assert_int_equal(output_commit(o, &e), 0);
    assert_int_equal(stat(path_of("new"), &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(entries(false), 1);
}

static void an_old_file_stays_until_the_new_one_is_whole(void **state _unused_)
{
    _cleanup_fclose_ FILE *old = fopen(path_of("old"), "w");
    struct output *o = NULL;
    struct err e = {0};
    struct stat st;

    fputs("old text", old);
    fflush(old);
    assert_int_equal(output_open(&o, path_of("old"), &e), 0);
    fputs("x", output_stream(o));
    output_free(o);
    assert_int_equal(stat(path_of("old"), &st), 0);
    assert_int_equal(st.st_size, 8);
    o = NULL;
    assert_int_equal(output_open(&o, path_of("old"), &e), 0);
    fputs("new", output_stream(o));
    assert_int_equal(output_commit(o, &e), 0);
    output_free(o);
    assert_int_equal(stat(path_of("old"), &st), 0);
    assert_int_equal(st.st_size, 3);
    assert_int_equal(entries(false), 1);
}

static void a_link_is_followed_and_stays(void **state _unused_)
{
    struct output *o = NULL;
    struct err e = {0};
    struct stat st;

    close(open(path_of("real"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(symlink("real", path_of("link")), 0);
    assert_int_equal(output_open(&o, path_of("link"), &e), 0);
    fputs("abc", output_stream(o));
    assert_int_equal(output_commit(o, &e), 0);
    output_free(o);
    assert_int_equal(lstat(path_of("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(path_of("real"), &st), 0);
    assert_int_equal(st.st_size, 3);
}

static void a_device_is_written_and_not_replaced(void **state _unused_)
{
    struct output *o = NULL;
    struct err e = {0};
    struct stat st;

    assert_int_equal(output_open(&o, "/dev/null", &e), 0);
    fputs("abc", output_stream(o));
    assert_int_equal(output_commit(o, &e), 0);
    output_free(o);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void no_room_is_an_error_and_leaves_nothing(void **state _unused_)
{
    struct output *o = NULL;
    struct err e = {0};

    assert_int_equal(output_open(&o, "/dev/full", &e), 0);
    fputs("abc", output_stream(o));
    assert_true(output_commit(o, &e) < 0);
    assert_non_null(strstr(e.message, "No space left"));
    output_free(o);
}

static void a_place_that_cannot_be_written_is_known_at_once(void **state _unused_)
{
    struct output *o = NULL;
    struct err e = {0};

    assert_true(output_open(&o, path_of("none/x"), &e) < 0);
    assert_int_equal(e.code, ERR_FAILED);
    e.code = ERR_NONE;
    assert_true(output_open(&o, directory, &e) < 0);
    assert_non_null(strstr(e.message, "Is a directory"));
    e.code = ERR_NONE;
    assert_true(output_open(&o, "/proc/x", &e) < 0);
    assert_null(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suffixes_say_the_format),
        cmocka_unit_test(rows_have_formats_of_their_own),
        cmocka_unit_test_setup_teardown(a_file_appears_when_it_is_whole, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(an_old_file_stays_until_the_new_one_is_whole,
                                        make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_link_is_followed_and_stays, make_directory,
                                        remove_directory),
        cmocka_unit_test(a_device_is_written_and_not_replaced),
        cmocka_unit_test(no_room_is_an_error_and_leaves_nothing),
        cmocka_unit_test_setup_teardown(a_place_that_cannot_be_written_is_known_at_once,
                                        make_directory, remove_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
