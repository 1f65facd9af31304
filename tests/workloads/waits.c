/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads whose time goes where their names say: a sleeper (90 of 100 ms), a spinner, a locker that
 * waits for a lock which a holder keeps (60 of 80 ms), a diskman that has every write reach the
 * disk, a never that never wakes, and short-lived briefs, one after the other (20 ms each).
 *
 *   waits [NAME…]      only these threads
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long sink;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned long now_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

__attribute__((noinline)) static void spin_ms(unsigned long ms)
{
    unsigned long end = now_ms(CLOCK_THREAD_CPUTIME_ID) + ms;

    while (now_ms(CLOCK_THREAD_CPUTIME_ID) < end)
        for (int i = 0; i < 10000; i++)
            sink = sink * 3 + 1;
}

__attribute__((noinline)) static void nap_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

__attribute__((noinline)) static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void *sleeper(void *unused)
{
    for (;;) {
        nap_ms(90);
        spin_ms(10);
    }
    return unused;
}

static void *spinner(void *unused)
{
    for (;;)
        spin_ms(1000);
    return unused;
}

static void *holder(void *unused)
{
    for (;;) {
        take_lock();
        nap_ms(60);
        pthread_mutex_unlock(&lock);
        nap_ms(20);
    }
    return unused;
}

static void *locker(void *unused)
{
    for (;;) {
        take_lock();
        pthread_mutex_unlock(&lock);
        nap_ms(1);
    }
    return unused;
}

static void *diskman(void *unused)
{
    char block[4096] = {1};
    int fd = open("/waits.data", O_RDWR | O_CREAT | O_TRUNC, 0600);

    for (off_t at = 0; fd >= 0; at = (at + (off_t)sizeof(block)) % (1 << 20)) {
        if (pwrite(fd, block, sizeof(block), at) < 0 || fdatasync(fd) < 0)
            return unused;
    }
    return unused;
}

static void *never(void *unused)
{
    int ends[2];
    char c;

    if (pipe(ends) == 0 && read(ends[0], &c, 1) == 0)
        return NULL;
    return unused;
}

static void *brief(void *unused)
{
    spin_ms(20);
    return unused;
}

static void *breeder(void *unused)
{
    for (;;) {
        pthread_t t;

        if (pthread_create(&t, NULL, brief, NULL))
            return unused;
        pthread_setname_np(t, "brief");
        pthread_join(t, NULL);
        nap_ms(20);
    }
    return unused;
}

static const struct {
    const char *name;
    void *(*run)(void *);
} kinds[] = {
    {"sleeper", sleeper}, {"spinner", spinner}, {"holder", holder},   {"locker", locker},
    {"diskman", diskman}, {"never", never},     {"breeder", breeder},
};

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        pthread_t t;

        if (!wanted(kinds[i].name, argc, argv))
            continue;
        if (pthread_create(&t, NULL, kinds[i].run, NULL))
            return 1;
        pthread_setname_np(t, kinds[i].name);
    }
    for (;;)
        pause();
}
