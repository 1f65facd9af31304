/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes that hand one byte to and fro through pipes. Prints round trips per second and the
 * nanoseconds of CPU that both need for half of one, which is a switch if they share a CPU; each
 * second. Ends after the seconds given, or never.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static double clock_now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void)
{
    return clock_now(CLOCK_MONOTONIC);
}

/* Of both. */
static double cpu_time(clockid_t other)
{
    return clock_now(CLOCK_PROCESS_CPUTIME_ID) + clock_now(other);
}

__attribute__((noinline)) static int pong(int in, int out)
{
    char c;

    while (read(in, &c, 1) == 1 && write(out, &c, 1) == 1)
        ;
    return 0;
}

__attribute__((noinline)) static long ping(int in, int out, double until)
{
    long rounds = 0;
    char c = 'x';

    while (write(out, &c, 1) == 1 && read(in, &c, 1) == 1)
        if (++rounds % 256 == 0 && now() >= until)
            break;
    return rounds;
}

int main(int argc, char **argv)
{
    int there[2], back[2];
    int seconds = argc > 1 ? atoi(argv[1]) : 0;
    clockid_t other;
    pid_t child;

    if (pipe(there) < 0 || pipe(back) < 0)
        return 1;
    child = fork();
    if (child < 0)
        return 1;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(there[1]);
        close(back[0]);
        return pong(there[0], back[1]);
    }
    if (clock_getcpuclockid(child, &other) != 0)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; !seconds || i < seconds; i++) {
        double begin = now(), used = cpu_time(other);
        long rounds = ping(back[0], there[1], begin + 1);

        used = cpu_time(other) - used;
        printf("%.0f %.0f\n", (double)rounds / (now() - begin), used / (double)rounds / 2 * 1e9);
    }
    return 0;
}
