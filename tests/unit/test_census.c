/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/craft_census.h"

#include "base/table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>

/* A census over a tree: DIR/proc stands for /proc, roots lie below DIR too. */
struct taken {
    char dir[64];
    int fd;
    uint8_t *data;
    size_t size;
};

static void close_taken(struct taken *t)
{
    if (t->data)
        munmap(t->data, t->size);
    t->data = NULL;
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

static int take(struct taken *t, enum census_root_kind kind, const char *root,
                const struct census_stamp *stamps, size_t stamp_count)
{
    _cleanup_buf_ struct buf question = {0};
    char path[256];
    struct census_root roots[] = {{kind, path}};
    struct stat st;
    int proc, r;

    close_taken(t);
    snprintf(path, sizeof(path), "%s/proc", t->dir);
    proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/%s", t->dir, root);
    assert_int_equal(census_question_write(&question, roots, 1, stamps, stamp_count, 42), 0);
    t->fd = memfd_create("answer", MFD_CLOEXEC);
    r = census_collect(question.data, question.size, proc, t->fd);
    close(proc);
    if (r < 0)
        return r;
    assert_int_equal(fstat(t->fd, &st), 0);
    t->size = (size_t)st.st_size;
    t->data = mmap(NULL, t->size, PROT_READ, MAP_SHARED, t->fd, 0);
    assert_true(t->data != MAP_FAILED);
    return 0;
}

/* The n-th record of that kind, or false. */
static bool nth(const struct taken *t, enum census_kind kind, unsigned n, struct census_item *ret)
{
    struct census_reader r;
    int more;

    assert_int_equal(census_reader_init(&r, t->data, t->size), 0);
    while ((more = census_reader_next(&r, ret)) > 0)
        if (ret->kind == kind && n-- == 0)
            return true;
    assert_int_equal(more, 0);
    return false;
}

static bool process_of(const struct taken *t, int tgid, struct census_process *ret)
{
    struct census_item item;

    for (unsigned i = 0; nth(t, CENSUS_PROCESS, i, &item); i++)
        if (item.process->tgid == tgid) {
            *ret = *item.process;
            return true;
        }
    return false;
}

/* One process of the tree; root is what its root link leads to. */
static void add_process(const char *dir, int tgid, const char *comm, const char *root,
                        unsigned mount_ns, const char *cgroup)
{
    char path[64], text[512];

    snprintf(path, sizeof(path), "proc/%d/stat", tgid);
    snprintf(
        text, sizeof(text),
        "%d (%s) S 1 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 %d 1000 10 18446744073709551615",
        tgid, comm, 5000 + tgid);
    tree_file(dir, path, text);
    snprintf(path, sizeof(path), "proc/%d/status", tgid);
    snprintf(text, sizeof(text),
             "Name:\t%s\nUid:\t1000\t1001\t1000\t1000\nNSpid:\t%d\t7\nThreads:\t1\n", comm, tgid);
    tree_file(dir, path, text);
    snprintf(path, sizeof(path), "proc/%d/cgroup", tgid);
    tree_file(dir, path, cgroup);
    snprintf(path, sizeof(path), "proc/%d/uid_map", tgid);
    tree_file(dir, path, "         0     100000      65536\n");
    snprintf(path, sizeof(path), "proc/%d/ns/mnt", tgid);
    snprintf(text, sizeof(text), "mnt:[%u]", mount_ns);
    tree_link(dir, path, text);
    snprintf(path, sizeof(path), "proc/%d/root", tgid);
    tree_link(dir, path, root);
}

static void begin(struct taken *t)
{
    *t = (struct taken){.fd = -1};
    tree_new(t->dir);
    tree_dir(t->dir, "proc/self");
    tree_link(t->dir, "proc/self/ns/mnt", "mnt:[1]");
    tree_link(t->dir, "proc/self/ns/user", "user:[2]");
    tree_link(t->dir, "proc/self/root", "/");
    tree_file(t->dir, "proc/cpuinfo", "");
}

static void end(struct taken *t)
{
    close_taken(t);
    tree_free(t->dir);
}

static void a_process_is_told_with_its_namespaces_root_and_pids(void **state)
{
    struct taken t;
    struct census_process p;
    struct stat st;

    (void)state;
    begin(&t);
    add_process(t.dir, 10, "host) R 9 (x", "/", 1, "0::/\n");
    add_process(t.dir, 11, "inside", t.dir, 77, "0::/c\n");
    assert_int_equal(take(&t, CENSUS_ROOT_RUNC, "none", NULL, 0), 0);
    assert_true(process_of(&t, 10, &p));
    assert_string_equal(p.comm, "host) R 9 (x");
    assert_int_equal(p.start_time, 5010);
    assert_int_equal(p.ns_count, 0);
    assert_true(process_of(&t, 11, &p));
    assert_int_equal(p.mount_ns, 77);
    assert_int_equal(p.ppid, 1);
    assert_int_equal(p.uid, 1001);
    assert_int_equal(p.root_uid, 100000);
    assert_int_equal(p.ns_count, 2);
    assert_int_equal(p.ns_tgids[1], 7);
    assert_int_equal(stat(t.dir, &st), 0);
    assert_int_equal(p.root_ino, st.st_ino);
    end(&t);
}

static void a_cgroup_text_that_many_processes_share_is_told_once(void **state)
{
    struct taken t;
    struct census_item item;
    struct census_process a, b, c;

    (void)state;
    begin(&t);
    add_process(t.dir, 10, "a", "/", 1, "0::/x\n");
    add_process(t.dir, 11, "b", "/", 1, "0::/x\n");
    add_process(t.dir, 12, "c", "/", 1, "0::/y\n");
    assert_int_equal(take(&t, CENSUS_ROOT_RUNC, "none", NULL, 0), 0);
    assert_true(process_of(&t, 10, &a) && process_of(&t, 11, &b) && process_of(&t, 12, &c));
    assert_int_equal(a.cgroup, b.cgroup);
    assert_int_not_equal(a.cgroup, c.cgroup);
    assert_true(nth(&t, CENSUS_CGROUP, 1, &item));
    assert_false(nth(&t, CENSUS_CGROUP, 2, &item));
    end(&t);
}

/* Where a process of the tree says that it lives. */
static void settle(const char *dir, const char *process, const char *mounts, const char *root)
{
    char path[64];

    snprintf(path, sizeof(path), "proc/%s/ns/mnt", process);
    tree_link(dir, path, mounts);
    snprintf(path, sizeof(path), "proc/%s/ns/user", process);
    tree_link(dir, path, "user:[2]");
    snprintf(path, sizeof(path), "proc/%s/root", process);
    tree_link(dir, path, root);
}

/* 1 is ourselves. */
static uint64_t host_mounts(struct taken *t)
{
    assert_int_equal(take(t, CENSUS_ROOT_RUNC, "none", NULL, 0), 0);
    return ((struct census_header *)t->data)->host_mount_ns;
}

static void the_host_is_where_init_is_and_not_where_we_are(void **state)
{
    struct taken t;
    struct stat st;

    (void)state;
    begin(&t);
    settle(t.dir, "1", "mnt:[50]", t.dir);
    assert_int_equal(host_mounts(&t), 50);
    assert_int_equal(stat(t.dir, &st), 0);
    assert_int_equal(((struct census_header *)t.data)->host_root_ino, st.st_ino);
    end(&t);
}

static void where_init_cannot_be_looked_at_the_first_kernel_thread_tells_the_host(void **state)
{
    struct taken t;

    (void)state;
    begin(&t);
    settle(t.dir, "2", "mnt:[60]", "/");
    assert_int_equal(host_mounts(&t), 1); /* no kernel thread: a container's second process */
    tree_file(t.dir, "proc/2/stat", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3");
    assert_int_equal(host_mounts(&t), 60);
    end(&t);
}

static void kernel_threads_and_zombies_are_left_out(void **state)
{
    struct taken t;
    struct census_process p;

    (void)state;
    begin(&t);
    add_process(t.dir, 10, "kthread", "/", 1, "0::/\n");
    add_process(t.dir, 11, "zombie", "/", 1, "0::/\n");
    add_process(t.dir, 12, "cut", "/", 1, "0::/\n");
    tree_file(t.dir, "proc/10/stat", "10 (k) S 2 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0");
    tree_file(t.dir, "proc/11/stat", "11 (z) Z 2 0 0 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0");
    tree_file(t.dir, "proc/12/stat", "12 (cut");
    assert_int_equal(take(&t, CENSUS_ROOT_RUNC, "none", NULL, 0), 0);
    for (int tgid = 10; tgid <= 12; tgid++)
        assert_false(process_of(&t, tgid, &p));
    end(&t);
}

static void command_lines_are_told_of_runtimes_on_the_hosts_root_alone(void **state)
{
    struct taken t;
    struct census_item item;

    (void)state;
    begin(&t);
    add_process(t.dir, 10, "dockerd", "/", 1, "0::/\n");
    tree_file(t.dir, "proc/10/cmdline", "dockerd");
    tree_link(t.dir, "proc/10/cwd", "/somewhere");
    add_process(t.dir, 11, "bash", "/", 1, "0::/\n");
    tree_file(t.dir, "proc/11/cmdline", "secret");
    add_process(t.dir, 12, "dockerd", t.dir, 77, "0::/\n");
    tree_file(t.dir, "proc/12/cmdline", "dockerd");
    assert_int_equal(take(&t, CENSUS_ROOT_RUNC, "none", NULL, 0), 0);
    assert_true(nth(&t, CENSUS_COMMAND, 0, &item));
    assert_int_equal(item.command->tgid, 10);
    assert_int_equal(item.command->uid, 1000);
    assert_memory_equal(item.path, "/somewhere", item.path_size);
    assert_memory_equal(item.text, "dockerd", item.text_size);
    assert_false(nth(&t, CENSUS_COMMAND, 1, &item));
    end(&t);
}

static void only_known_leaves_of_a_root_are_read(void **state)
{
    struct taken t;
    struct census_item item;
    char expected[128];

    (void)state;
    begin(&t);
    tree_file(t.dir, "docker/containers/abc/config.v2.json", "{\"here\":1}");
    tree_file(t.dir, "docker/containers/abc/hostconfig.json", "no");
    tree_file(t.dir, "docker/containers/config.v2.json", "no");
    tree_file(t.dir, "docker/config.v2.json", "no");
    tree_file(t.dir, "docker/containers/a/b/config.v2.json", "no");
    assert_int_equal(take(&t, CENSUS_ROOT_DOCKER, "docker", NULL, 0), 0);
    assert_true(nth(&t, CENSUS_FILE, 0, &item));
    snprintf(expected, sizeof(expected), "%s/docker/containers/abc/config.v2.json", t.dir);
    assert_int_equal(item.path_size, strlen(expected));
    assert_memory_equal(item.path, expected, item.path_size);
    assert_int_equal(item.file->state, CENSUS_FILE_READ);
    assert_memory_equal(item.text, "{\"here\":1}", item.text_size);
    assert_false(nth(&t, CENSUS_FILE, 1, &item));
    end(&t);
}

static void a_link_a_fifo_and_a_huge_file_come_back_without_bytes(void **state)
{
    struct taken t;
    struct census_item item;
    char path[256];

    (void)state;
    begin(&t);
    tree_file(t.dir, "secret", "secret");
    tree_dir(t.dir, "runc/link");
    snprintf(path, sizeof(path), "%s/secret", t.dir);
    tree_link(t.dir, "runc/link/state.json", path);
    tree_dir(t.dir, "runc/fifo");
    snprintf(path, sizeof(path), "%s/runc/fifo/state.json", t.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    tree_file(t.dir, "runc/huge/state.json", "x");
    snprintf(path, sizeof(path), "%s/runc/huge/state.json", t.dir);
    assert_int_equal(truncate(path, (off_t)CENSUS_FILE_MAX + 1), 0);
    tree_file(t.dir, "elsewhere/state.json", "no");
    snprintf(path, sizeof(path), "%s/elsewhere", t.dir);
    tree_link(t.dir, "runc/linked-dir", path);
    assert_int_equal(take(&t, CENSUS_ROOT_RUNC, "runc", NULL, 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(nth(&t, CENSUS_FILE, i, &item));
        assert_int_equal(item.file->state, CENSUS_FILE_REFUSED);
        assert_int_equal(item.text_size, 0);
    }
    assert_false(nth(&t, CENSUS_FILE, 3, &item));
    end(&t);
}

static void a_file_that_is_known_comes_back_without_bytes_until_it_changes(void **state)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    struct taken t;
    struct census_item item;
    struct census_stamp stamp, other;
    char path[256];

    (void)state;
    begin(&t);
    tree_file(t.dir, "crun/a/status", "{}");
    tree_file(t.dir, "crun/b/status", "{}");
    assert_int_equal(take(&t, CENSUS_ROOT_CRUN, "crun", NULL, 0), 0);
    assert_true(nth(&t, CENSUS_FILE, 0, &item));
    stamp = item.file->stamp;
    snprintf(path, sizeof(path), "%.*s", (int)item.path_size, item.path);
    assert_int_equal(stamp.path_hash, hash_bytes(path, strlen(path), 42));
    assert_true(nth(&t, CENSUS_FILE, 1, &item));
    other = item.file->stamp;

    struct census_stamp both[] = {other, stamp};

    qsort(both, 2, sizeof(*both), census_compare_stamps);
    assert_int_equal(take(&t, CENSUS_ROOT_CRUN, "crun", both, 2), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(nth(&t, CENSUS_FILE, i, &item));
        assert_int_equal(item.file->state, CENSUS_FILE_UNCHANGED);
        assert_int_equal(item.text_size, 0);
    }
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(take(&t, CENSUS_ROOT_CRUN, "crun", both, 2), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(nth(&t, CENSUS_FILE, i, &item));
        assert_int_equal(item.file->state,
                         strlen(path) == item.path_size && !memcmp(path, item.path, item.path_size)
                             ? CENSUS_FILE_READ
                             : CENSUS_FILE_UNCHANGED);
    }
    end(&t);
}

static void a_question_that_lies_is_refused(void **state)
{
    _cleanup_buf_ struct buf good = {0};
    struct census_root root = {CENSUS_ROOT_RUNC, "/run/runc"};
    struct census_stamp stamp = {.path_hash = 1};
    int fd = memfd_create("answer", MFD_CLOEXEC);
    struct census_question *q;
    struct census_question_root *r;

    (void)state;
    assert_int_equal(census_question_write(&good, &root, 1, &stamp, 1, 1), 0);
    for (size_t size = 0; size < good.size; size++)
        assert_int_equal(census_collect(good.data, size, -1, fd), -EBADMSG);
    q = (void *)good.data;
    r = (void *)(q + 1);
    r->kind = CENSUS_ROOT_KINDS;
    assert_int_equal(census_collect(good.data, good.size, -1, fd), -EBADMSG);
    r->kind = CENSUS_ROOT_RUNC;
    r->path_size = UINT32_MAX;
    assert_int_equal(census_collect(good.data, good.size, -1, fd), -EBADMSG);
    r->path_size = 9;
    ((char *)(r + 1))[0] = 'x';
    assert_int_equal(census_collect(good.data, good.size, -1, fd), -EBADMSG);
    ((char *)(r + 1))[0] = '/';
    q->stamp_count = UINT32_MAX;
    assert_int_equal(census_collect(good.data, good.size, -1, fd), -EBADMSG);
    q->stamp_count = 1;
    q->root_count = CENSUS_ROOTS_MAX + 1;
    assert_int_equal(census_collect(good.data, good.size, -1, fd), -EBADMSG);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    close(fd);
}

/* Reads to the end; the last answer of the reader. */
static int read_all(const void *data, size_t size)
{
    struct census_reader r;
    struct census_item item;
    int more = census_reader_init(&r, data, size);

    if (more < 0)
        return more;
    while ((more = census_reader_next(&r, &item)) > 0) {
        volatile char last = 0;

        for (size_t i = 0; i < item.text_size; i++)
            last = item.text[i];
        for (size_t i = 0; i < item.path_size; i++)
            last = item.path[i];
        (void)last;
    }
    return more;
}

static void full_answer(struct craft *c)
{
    craft_begin(c);
    craft_file(c, CENSUS_FILE_RUNC_STATE, CENSUS_FILE_READ, "/run/runc/a/state.json", "{}");
    craft_host(c, 1, 0, craft_cgroup(c, "0::/\n"), "init");
    craft_command(c, "dockerd", 0, "/", "dockerd\0--debug", 15);
    craft_end(c);
}

static void an_answer_that_is_cut_anywhere_is_refused(void **state)
{
    struct craft c;

    (void)state;
    full_answer(&c);
    assert_int_equal(read_all(c.b.data, c.b.size), 0);
    for (size_t size = 0; size < c.b.size; size += 8) {
        struct census_header *h = (void *)c.b.data;

        if (size >= sizeof(*h))
            h->size = size;
        /* In memory of just that size, where reading on would be seen. */
        void *copy = malloc(size ? size : 1);

        memcpy(copy, c.b.data, size);
        assert_int_equal(read_all(copy, size), -EBADMSG);
        free(copy);
    }
    buf_free(&c.b);
}

static void an_answer_with_any_word_damaged_is_refused_or_safe(void **state)
{
    static const uint32_t values[] = {0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
    struct craft c;
    unsigned refused = 0;

    (void)state;
    full_answer(&c);
    for (size_t at = 0; at + 4 <= c.b.size; at += 4)
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
            void *copy = malloc(c.b.size);

            memcpy(copy, c.b.data, c.b.size);
            memcpy((char *)copy + at, &values[i], 4);
            refused += read_all(copy, c.b.size) < 0;
            free(copy);
        }
    assert_true(refused > 50);
    buf_free(&c.b);
}

static void a_process_cannot_name_a_cgroup_that_was_not_told(void **state)
{
    struct craft c;

    (void)state;
    craft_begin(&c);
    craft_host(&c, 1, 0, craft_cgroup(&c, "0::/\n") + 1, "init");
    craft_end(&c);
    assert_int_equal(read_all(c.b.data, c.b.size), -EBADMSG);
    buf_free(&c.b);
}

static void the_census_of_this_host_finds_this_process(void **state)
{
    _cleanup_buf_ struct buf question = {0};
    struct taken t = {.fd = memfd_create("answer", MFD_CLOEXEC)};
    struct census_process p;
    struct stat st;

    (void)state;
    assert_int_equal(census_question_write(&question, NULL, 0, NULL, 0, 1), 0);
    assert_int_equal(census_collect(question.data, question.size, -1, t.fd), 0);
    assert_int_equal(fstat(t.fd, &st), 0);
    t.size = (size_t)st.st_size;
    t.data = mmap(NULL, t.size, PROT_READ, MAP_SHARED, t.fd, 0);
    assert_true(process_of(&t, getpid(), &p));
    assert_int_equal(p.ppid, getppid());
    assert_int_equal(p.mount_ns, ((struct census_header *)t.data)->host_mount_ns);
    assert_int_equal(p.root_ino, ((struct census_header *)t.data)->host_root_ino);
    close_taken(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_told_with_its_namespaces_root_and_pids),
        cmocka_unit_test(a_cgroup_text_that_many_processes_share_is_told_once),
        cmocka_unit_test(the_host_is_where_init_is_and_not_where_we_are),
        cmocka_unit_test(where_init_cannot_be_looked_at_the_first_kernel_thread_tells_the_host),
        cmocka_unit_test(kernel_threads_and_zombies_are_left_out),
        cmocka_unit_test(command_lines_are_told_of_runtimes_on_the_hosts_root_alone),
        cmocka_unit_test(only_known_leaves_of_a_root_are_read),
        cmocka_unit_test(a_link_a_fifo_and_a_huge_file_come_back_without_bytes),
        cmocka_unit_test(a_file_that_is_known_comes_back_without_bytes_until_it_changes),
        cmocka_unit_test(a_question_that_lies_is_refused),
        cmocka_unit_test(an_answer_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(an_answer_with_any_word_damaged_is_refused_or_safe),
        cmocka_unit_test(a_process_cannot_name_a_cgroup_that_was_not_told),
        cmocka_unit_test(the_census_of_this_host_finds_this_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
