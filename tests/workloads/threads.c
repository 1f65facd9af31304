/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two named threads, each busy in a function of its own, beside a main thread that waits.
 */
#include <pthread.h>
#include <unistd.h>

static volatile unsigned long sink[2];

__attribute__((noinline)) static void knead(volatile unsigned long *into)
{
    for (;;)
        *into = *into * 5 + 1;
}

__attribute__((noinline)) static void bake(volatile unsigned long *into)
{
    for (;;)
        *into = *into * 7 + 3;
}

static void *kneader(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "kneader");
    knead(&sink[0]);
    return NULL;
}

static void *baker(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "baker");
    bake(&sink[1]);
    return NULL;
}

int main(void)
{
    pthread_t a, b;

    if (pthread_create(&a, NULL, kneader, NULL) || pthread_create(&b, NULL, baker, NULL))
        return 1;
    for (;;)
        pause();
}
