/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes known amounts, and says how long that took as it saw it.
 *
 *   disk MODE FILE BYTES [BLOCK]      one operation of BLOCK bytes (65536) after the other
 *
 * MODE: direct-write, direct-read, write (left to be written back), fsync-write (synced at the
 * end), fsync-each (after each block), paths (as direct-write, each operation from other callers),
 * read and fault (through the page cache, which is emptied of the file first; fault maps the file),
 * sync (of everything, others' too). Prints operations, bytes, and the sum, the median and the
 * longest of the operations' latencies in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ALIGNMENT 4096
#define PATH_STEPS 13

static const char *mode;

static bool is(const char *word)
{
    return strcmp(mode, word) == 0;
}

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int fail(const char *what)
{
    fprintf(stderr, "disk: cannot %s: %s\n", what, strerror(errno));
    exit(1);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The next bytes of the file, a page after the other. */
static void touch(int fd, volatile char *block, size_t size)
{
    static const char *mapped;
    static size_t at;
    struct stat st;

    if (!mapped) {
        if (fstat(fd, &st) < 0)
            fail("look at the file");
        mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapped == MAP_FAILED)
            fail("map the file");
    }
    for (size_t i = 0; i < size; i += ALIGNMENT)
        block[0] = mapped[at + i];
    at += size;
}

static void operate(int fd, char *block, size_t size)
{
    ssize_t n;

    if (is("fault")) {
        touch(fd, block, size);
        return;
    }
    n = is("direct-read") || is("read") ? read(fd, block, size) : write(fd, block, size);
    if (n != (ssize_t)size)
        fail("read or write a block");
    if (is("fsync-each") && fsync(fd) < 0)
        fail("sync a block");
}

static void by_path(uint64_t path, int depth, int fd, char *block, size_t size);

__attribute__((noinline)) static void left(uint64_t path, int depth, int fd, char *b, size_t size)
{
    by_path(path, depth, fd, b, size);
}

__attribute__((noinline)) static void right(uint64_t path, int depth, int fd, char *b, size_t size)
{
    by_path(path, depth, fd, b, size);
}

/* As many stacks as there are paths. */
static void by_path(uint64_t path, int depth, int fd, char *block, size_t size)
{
    if (depth == 0)
        operate(fd, block, size);
    else if (path & 1)
        left(path >> 1, depth - 1, fd, block, size);
    else
        right(path >> 1, depth - 1, fd, block, size);
}

static int open_file(const char *path)
{
    bool reads = is("direct-read") || is("read") || is("fault");
    bool direct = is("direct-read") || is("direct-write") || is("paths");
    int fd = open(path, (reads ? O_RDONLY : O_WRONLY | O_CREAT) | (direct ? O_DIRECT : 0), 0666);

    if (fd < 0)
        fail("open the file");
    if (is("read") || is("fault"))
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return fd;
}

int main(int argc, char **argv)
{
    uint64_t bytes, size, count, sum = 0, *took;
    char *block;
    int fd;

    if (argc < 4)
        return 2;
    mode = argv[1];
    bytes = strtoull(argv[3], NULL, 10);
    size = argc > 4 ? strtoull(argv[4], NULL, 10) : 65536;
    count = size ? bytes / size : 0;
    took = calloc(count + 1, sizeof(*took));
    if (!took || posix_memalign((void **)&block, ALIGNMENT, size + ALIGNMENT))
        fail("have memory");
    memset(block, 'x', size);
    if (is("sync")) {
        sync();
        count = 0;
    }
    fd = is("sync") ? -1 : open_file(argv[2]);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t begin = now_us();

        by_path(i, is("paths") ? PATH_STEPS : 0, fd, block, size);
        took[i] = now_us() - begin;
        sum += took[i];
    }
    if (is("fsync-write") && fsync(fd) < 0)
        fail("sync the file");
    qsort(took, count, sizeof(*took), compare);
    printf("%llu %llu %llu %llu %llu\n", (unsigned long long)count,
           (unsigned long long)(count * size), (unsigned long long)sum,
           (unsigned long long)took[count / 2], (unsigned long long)took[count ? count - 1 : 0]);
    return 0;
}
