/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps its own file executable, page by page, at 60,000 places in no order and with gaps between
 * them, then goes on and maps them anew for ever, with some work in scatter_work() after every
 * hundred. `scatter FILES` takes that many copies of the file in /tmp instead, one after the other.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PLACES 60000ul
#define PAGE 4096ul

static volatile unsigned long sink;

__attribute__((noinline, noclone)) static void scatter_work(void)
{
    for (int i = 0; i < 400000; i++)
        sink = sink * 3 + 1;
}

/* A new file of one page. */
static int copy_of(int self, unsigned long number)
{
    char page[PAGE], path[64];
    int fd;

    snprintf(path, sizeof(path), "/tmp/copy%lu", number);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
    if (fd < 0 || pread(self, page, PAGE, 0) != (ssize_t)PAGE ||
        write(fd, page, PAGE) != (ssize_t)PAGE)
        return -1;
    unlink(path);
    return fd;
}

int main(int argc, char **argv)
{
    unsigned long files = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    int self = open("/proc/self/exe", O_RDONLY), fd = self;
    char *area = mmap(NULL, PLACES * 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    /* The gaps are nobody's: a process may not have more than 65,530 mappings. */
    if (area == MAP_FAILED || munmap(area, PLACES * 2 * PAGE) < 0 || self < 0)
        return 1;
    for (unsigned long i = 0;; i++) {
        if (i < files) {
            fd = copy_of(self, i);
            if (fd < 0)
                return 1;
        }
        if (mmap(area + i * 40507 % PLACES * 2 * PAGE, PAGE, PROT_READ | PROT_EXEC,
                 MAP_PRIVATE | MAP_FIXED, fd,
                 fd == self ? (off_t)(i % 16 * PAGE) : 0) == MAP_FAILED)
            return 1;
        if (fd != self)
            close(fd);
        fd = self;
        if (i >= PLACES && i % 100 == 0)
            scatter_work();
    }
}
