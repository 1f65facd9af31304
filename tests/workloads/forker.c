/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short-lived processes: starts itself again and again, one after the other; each lives for some
 * milliseconds in short_work() or for the microseconds given. Prints nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long sink;

static long long now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

__attribute__((noinline)) static void short_work(long long us)
{
    long long end = now_us() + us;

    do {
        for (int i = 0; i < 20000; i++)
            sink = sink * 3 + 1;
    } while (now_us() < end);
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "child")) {
        short_work(atoi(argv[2]));
        return 0;
    }
    for (;;) {
        pid_t pid = vfork();

        if (pid == 0) {
            execl("/proc/self/exe", argc > 3 ? argv[3] : "short", "child",
                  argc > 1 ? argv[1] : "3000", NULL);
            _exit(127);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) < 0)
            return 1;
    }
}
