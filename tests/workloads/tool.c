/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that live for milliseconds. `tool MICROSECONDS` works so long and exits; with a PROGRAM
 * behind that it execs it instead, which gets the rest. `tool loop MICROSECONDS PROGRAM…` has one
 * child at a time at work, for ever: each PROGRAM in turn, then one that never execs. It counts its
 * children in /tmp/count.
 *
 * Whatever FAMILY it is built as, its functions lie at the same addresses, and it takes FAMILY for
 * its comm: a sample whose functions are of another family than its comm is named wrongly.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef FAMILY
#define FAMILY tool
#endif
#define JOIN(a, b) a##_##b
#define JOIN2(a, b) JOIN(a, b)
#define NAME(x) JOIN2(FAMILY, x)
#define TEXT(x) #x
#define TEXT2(x) TEXT(x)
#define noinline __attribute__((noinline, noclone))

static volatile unsigned long sink;

static long long now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

noinline unsigned long NAME(work)(long long us)
{
    long long end = now_us() + us;

    do {
        for (int i = 0; i < 5000; i++)
            sink = sink * 3 + 1;
    } while (now_us() < end);
    return sink;
}

noinline unsigned long NAME(forked)(long long us)
{
    return NAME(work)(us) + 1;
}

static void loop(const char *us, char **programs)
{
    int fd = open("/tmp/count", O_WRONLY | O_CREAT | O_TRUNC, 0644);

    for (unsigned long n = 1, turn = 0;; n++) {
        char text[32];
        pid_t pid = fork();

        if (pid == 0 && programs[turn]) {
            execl(programs[turn], programs[turn], us, NULL);
            _exit(127);
        }
        if (pid == 0) {
            NAME(forked)(atoi(us));
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) < 0)
            exit(1);
        turn = programs[turn] ? turn + 1 : 0;
        if (pwrite(fd, text, (size_t)snprintf(text, sizeof(text), "%lu\n", n), 0) < 0)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    char *program;

    prctl(PR_SET_NAME, TEXT2(FAMILY));
    if (argc > 3 && strcmp(argv[1], "loop") == 0)
        loop(argv[2], argv + 3);
    NAME(work)(argc > 1 ? atoi(argv[1]) : 1000);
    if (argc < 3)
        return 0;
    program = argv[2];
    argv[2] = argv[1];
    argv[1] = program;
    execv(program, &argv[1]);
    return 127;
}
