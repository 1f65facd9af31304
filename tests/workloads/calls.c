/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work outside the program's own text: "clock" asks the vdso for the time, "zeros" reads /dev/zero,
 * "faults" touches fresh pages. Runs until it is killed.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile long sink;

__attribute__((noinline)) static void ask_clock(void)
{
    struct timespec t;

    for (int i = 0; i < 1000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        sink += t.tv_nsec;
    }
}

__attribute__((noinline)) static void read_zeros(int fd)
{
    static char block[1 << 20];

    sink += read(fd, block, sizeof(block));
}

__attribute__((noinline)) static int touch_pages(void)
{
    const size_t size = 4 << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return -1;
    for (size_t i = 0; i < size; i += 4096)
        ((volatile char *)p)[i] = 1;
    return munmap(p, size);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "clock";
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    for (;;) {
        if (!strcmp(what, "zeros"))
            read_zeros(fd);
        else if (!strcmp(what, "faults"))
            touch_pages();
        else
            ask_clock();
    }
}
