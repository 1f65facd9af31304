/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs code out of a file that says of itself whatever it likes: maps the page at offset 4096 of
 * FILE and calls it for ever. `mapper FILE rewrite` also rewrites and truncates what lies behind
 * that page, all the time, by a child. `mapper FILE as NAME` takes NAME (its bytes as they are) for
 * its comm.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE 4096
#define TAIL (1 << 20)

static void rewrite(int fd)
{
    static char noise[TAIL];
    unsigned seed = 1;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char)(rand_r(&seed) >> 8);
        if (pwrite(fd, noise, sizeof(noise), 2 * PAGE) < 0 || ftruncate(fd, 2 * PAGE) < 0)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    int fd = open(argc > 1 ? argv[1] : "", O_RDWR);
    void (*code)(void);
    void *page;

    if (fd < 0) {
        perror("mapper");
        return 1;
    }
    page = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, PAGE);
    if (page == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    if (argc > 2 && strcmp(argv[2], "rewrite") == 0 && fork() == 0)
        rewrite(fd);
    if (argc > 3 && strcmp(argv[2], "as") == 0)
        prctl(PR_SET_NAME, argv[3]);
    memcpy(&code, &page, sizeof(code));
    for (;;)
        code();
}
