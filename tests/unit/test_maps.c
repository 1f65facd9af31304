/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/maps.h"
#include "nsresolve/stream.h"
#include "nsresolve/wire.h"
#include "tests/unit/tables.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The answer, walked record by record. */
struct answer {
    char *data;
    size_t size, at;
    struct wire_mapping mapping;
    char path[WIRE_PATH_MAX + 1];
};

static void free_answer(struct answer *a)
{
    free(a->data);
}

static int ask_fd(struct answer *a, int in_fd)
{
    _cleanup_close_ int out_fd = memfd_empty();
    int r = maps_parse(in_fd, out_fd);

    *a = (struct answer){0};
    a->data = contents(out_fd, &a->size);
    return r;
}

static void ask(struct answer *a, const char *text)
{
    _cleanup_close_ int fd = memfd_of(text, strlen(text));

    assert_int_equal(ask_fd(a, fd), 0);
}

static bool next(struct answer *a)
{
    if (a->at == a->size)
        return false;
    assert_true(a->size - a->at >= sizeof(a->mapping));
    memcpy(&a->mapping, a->data + a->at, sizeof(a->mapping));
    a->at += sizeof(a->mapping);
    assert_true(a->mapping.path_size <= WIRE_PATH_MAX);
    assert_true(a->size - a->at >= a->mapping.path_size);
    memcpy(a->path, a->data + a->at, a->mapping.path_size);
    a->path[a->mapping.path_size] = '\0';
    a->at += (a->mapping.path_size + 7u) & ~7u;
    assert_true(a->at <= a->size);
    return true;
}

#define LINE(path) "7f0000000000-7f0000001000 r-xp 00002000 fd:01 4711       " path "\n"

static void assert_path(const char *line, const char *path)
{
    _cleanup_(free_answer) struct answer a;

    ask(&a, line);
    assert_true(next(&a));
    assert_string_equal(a.path, path);
    assert_false(next(&a));
}

static void a_mapping_has_its_range_offset_device_and_inode(void **state)
{
    _cleanup_(free_answer) struct answer a;

    (void)state;
    ask(&a, "55d0c0a00000-55d0c0a21000 r--p 00000000 fd:01 1234  /bin/x\n"
            "55d0c0a21000-55d0c0b00000 r-xp 00021000 103:0f 18446744073709551615  /bin/x\n"
            "7ffc0000-7ffd0000 rwxs 00000000 00:00 0 \n");
    assert_true(next(&a));
    assert_int_equal(a.mapping.start, 0x55d0c0a21000);
    assert_int_equal(a.mapping.end, 0x55d0c0b00000);
    assert_int_equal(a.mapping.offset, 0x21000);
    assert_int_equal(a.mapping.dev, makedev(0x103, 0xf));
    assert_int_equal(a.mapping.ino, UINT64_MAX);
    assert_int_equal(a.mapping.flags, PROT_READ | PROT_EXEC);
    assert_string_equal(a.path, "/bin/x");
    assert_true(next(&a));
    assert_int_equal(a.mapping.flags, PROT_READ | PROT_WRITE | PROT_EXEC);
    assert_string_equal(a.path, "");
    assert_false(next(&a));
}

static void paths_come_as_the_container_named_them(void **state)
{
    (void)state;
    assert_path(LINE("/usr/lib/with blanks in it  "), "/usr/lib/with blanks in it  ");
    assert_path(LINE("/tmp/new\\012line"), "/tmp/new\nline");
    assert_path(LINE("/tmp/back\\040slash\\"), "/tmp/back\\040slash\\");
    assert_path(LINE("/lib/gone.so (deleted)"), "/lib/gone.so (deleted)");
    assert_path(LINE("/memfd:jit (deleted)"), "/memfd:jit (deleted)");
    assert_path(LINE("[vdso]"), "[vdso]");
    assert_path(LINE("[anon:v8 code]"), "[anon:v8 code]");
    assert_path(LINE("anon_inode:[perf_event]"), "anon_inode:[perf_event]");
    assert_path(LINE("//anon"), "//anon");
    assert_path(LINE("\033[31m\377"), "\033[31m\377");
}

static void lines_that_the_kernel_does_not_write_are_skipped(void **state)
{
    _cleanup_(free_answer) struct answer a;

    (void)state;
    ask(&a, "\n"
            "hello\n"
            "1000 r-xp 0 0:0 0\n"
            "2000-1000 r-xp 0 0:0 0 /x\n"
            "1000-1000 r-xp 0 0:0 0 /x\n"
            "1000-2000 r-x 0 0:0 0 /x\n"
            "1000-2000 rrxp 0 0:0 0 /x\n"
            "1000-2000 r-xp 0 0:0 0/x\n"
            "1000-2000 r-xp 0 0:0 abc /x\n"
            "11111111111111111-2000 r-xp 0 0:0 0 /x\n" LINE(
                "/good") "1000-2000 r-xp 0 0:0 0 /no/newline");
    assert_true(next(&a));
    assert_string_equal(a.path, "/good");
    assert_true(next(&a));
    assert_string_equal(a.path, "/no/newline");
    assert_false(next(&a));
}

static void a_path_that_is_too_long_to_open_is_left_out(void **state)
{
    _cleanup_free_ char *text = malloc(200000);
    _cleanup_(free_answer) struct answer a;
    char *at = text;

    (void)state;
    at += sprintf(at, "1000-2000 r-xp 0 0:0 1 /");
    at = (char *)memset(at, 'x', WIRE_PATH_MAX) + WIRE_PATH_MAX;
    at += sprintf(at, "\n2000-3000 r-xp 0 0:0 2 /");
    at = (char *)memset(at, 'y', WIRE_PATH_MAX - 1) + WIRE_PATH_MAX - 1;
    at += sprintf(at, "\n3000-4000 r-xp 0 0:0 3 /");
    at = (char *)memset(at, 'z', 150000) + 150000;
    at += sprintf(at, "\n4000-5000 r-xp 0 0:0 4 /last\n");
    ask(&a, text);
    assert_true(next(&a));
    assert_int_equal(a.mapping.ino, 1);
    assert_string_equal(a.path, "");
    assert_true(next(&a));
    assert_int_equal(a.mapping.ino, 2);
    assert_int_equal(strlen(a.path), WIRE_PATH_MAX);
    assert_true(next(&a)); /* the third one is no line that the kernel writes */
    assert_int_equal(a.mapping.ino, 4);
    assert_false(next(&a));
}

static void many_mappings_are_bounded(void **state)
{
    _cleanup_close_ int fd = memfd_empty();
    _cleanup_fclose_ FILE *f = fdopen(dup(fd), "w");
    _cleanup_(free_answer) struct answer a;
    unsigned n = 0;

    (void)state;
    for (unsigned i = 1; i <= MAPS_MAX_MAPPINGS; i++)
        fprintf(f, "%x000-%x000 r-xp 0 0:0 %u /x\n", i, i + 1, i);
    fflush(f);
    assert_int_equal(ask_fd(&a, fd), 0);
    while (next(&a))
        assert_int_equal(a.mapping.ino, ++n);
    assert_int_equal(n, MAPS_MAX_MAPPINGS);

    fprintf(f, "1000-2000 r-xp 0 0:0 1 /x\n");
    fflush(f);
    free_answer(&a);
    assert_int_equal(ask_fd(&a, fd), 1);
    for (n = 0; next(&a);)
        n++;
    assert_int_equal(n, MAPS_MAX_MAPPINGS);
}

/* Maps a file with an awkward name, and looks for it as the kernel tells of it. */
static void assert_real(const char *name, const char *expected_end, bool delete)
{
    static char text[4 << 20];
    char path[] = "/tmp/porthole-maps-XXXXXX", file[300];
    _cleanup_(free_answer) struct answer a;
    _cleanup_close_ int maps_fd = -1;
    bool found = false;
    struct stat st;
    ssize_t size;
    void *map;
    int fd;

    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof(file), "%s/%s", path, name);
    fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(fstat(fd, &st), 0);
    map = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    close(fd);
    if (delete)
        unlink(file);

    maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size = pread_full(maps_fd, text, sizeof(text) - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    ask(&a, text);
    while (map != MAP_FAILED && next(&a)) {
        size_t n = strlen(a.path), m = strlen(expected_end);

        if (a.mapping.start != (uintptr_t)map)
            continue;
        found = a.mapping.dev == st.st_dev && a.mapping.ino == st.st_ino && n > m &&
                strcmp(a.path + n - m, expected_end) == 0;
    }
    if (map != MAP_FAILED)
        munmap(map, 4096);
    unlink(file);
    rmdir(path);
    if (map == MAP_FAILED)
        skip(); /* /tmp is mounted noexec */
    assert_true(found);
}

static void the_kernels_own_text_is_read_right(void **state)
{
    (void)state;
    assert_real("plain", "/plain", false);
    assert_real("new\nline and blank ", "/new\nline and blank ", false);
    assert_real("gone", "/gone (deleted)", true);
    assert_real("there (deleted)", "/there (deleted)", false);
    assert_real("twice (deleted)", "/twice (deleted) (deleted)", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mapping_has_its_range_offset_device_and_inode),
        cmocka_unit_test(paths_come_as_the_container_named_them),
        cmocka_unit_test(lines_that_the_kernel_does_not_write_are_skipped),
        cmocka_unit_test(a_path_that_is_too_long_to_open_is_left_out),
        cmocka_unit_test(many_mappings_are_bounded),
        cmocka_unit_test(the_kernels_own_text_is_read_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
