/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many waits.
 *
 *   crowd THREADS      so many threads, each of which sleeps for half a second at a time
 *   crowd THREADS maze each of which sleeps for no time at the end of another path of calls, one of
 *                      65,536, every time
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TURNS 16

static unsigned seed;

__attribute__((noinline)) static void nap(long ns)
{
    struct timespec t = {.tv_nsec = ns};

    nanosleep(&t, NULL);
}

static void walk(unsigned path, int turns);

__attribute__((noinline)) static void left(unsigned path, int turns)
{
    walk(path >> 1, turns - 1);
}

__attribute__((noinline)) static void right(unsigned path, int turns)
{
    walk(path >> 1, turns - 1);
}

__attribute__((noinline)) static void walk(unsigned path, int turns)
{
    if (turns == 0)
        nap(1);
    else if (path & 1)
        right(path, turns);
    else
        left(path, turns);
}

static void *sleeper(void *unused)
{
    for (;;)
        nap(500000000);
    return unused;
}

static void *lost(void *unused)
{
    for (;;)
        walk(__atomic_add_fetch(&seed, 1, __ATOMIC_RELAXED) * 40503u, TURNS);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_attr_t small;

    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) {
        pthread_t t;

        if (pthread_create(&t, &small, argc > 2 ? lost : sleeper, NULL))
            return 1;
    }
    for (;;)
        pause();
}
