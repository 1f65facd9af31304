/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and processes that are made and end all the time, some hundred a second: "breeder" makes
 * threads that nap 1 ms and end, "forker" processes that do so as another program, which is this
 * one with the argument "nap".
 */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline)) static void nap_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void *brief(void *unused)
{
    nap_ms(1);
    return unused;
}

static void *breeder(void *unused)
{
    for (;;) {
        pthread_t t[4];

        for (int i = 0; i < 4; i++)
            if (pthread_create(&t[i], NULL, brief, NULL))
                return unused;
        for (int i = 0; i < 4; i++)
            pthread_join(t[i], NULL);
    }
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t t;

    if (argc == 2 && strcmp(argv[1], "nap") == 0) {
        nap_ms(1);
        return 0;
    }
    if (pthread_create(&t, NULL, breeder, NULL))
        return 1;
    pthread_setname_np(t, "breeder");
    for (;;) {
        if (vfork() == 0) {
            execl("/proc/self/exe", "nap", "nap", (char *)NULL);
            _exit(1);
        }
        wait(NULL);
    }
}
