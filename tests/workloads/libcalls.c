// SPDX-License-Identifier: Apache-2.0
// Spends nearly all of its time in functions of libc, one thread for each kind, until it is killed:
//   memory  malloc(), memcpy(), memset(), free()
//   text    snprintf(), strtod(), strlen(), strchr()
//   sort    qsort() with a callback
//   files   write(), read(), pread() of /dev/zero and /dev/null
//   locks   a mutex and a condition between two threads
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile unsigned long sink;

__attribute__((noinline)) static void memory_work(void)
{
    static __thread char from[4096];

    for (size_t size = 16; size < sizeof(from); size += 37) {
        char *to = malloc(size);

        memcpy(to, from, size);
        memset(from, to[size / 2] + 1, size);
        sink += (unsigned long)from[size / 3];
        free(to);
    }
}

__attribute__((noinline)) static void text_work(void)
{
    char text[256];

    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%d %s %#lx %.7f %-20s|", i, "of many", sink, i / 3.0, "left");
        sink += strlen(text) + (unsigned long)(strchr(text, '|') - text);
        sink += (unsigned long)strtod(strchr(text, '.') - 1, NULL);
    }
}

__attribute__((noinline)) static int compare(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return x < y ? -1 : x > y;
}

__attribute__((noinline)) static void sort_work(void)
{
    int numbers[1000];

    for (int i = 0; i < 1000; i++)
        numbers[i] = i * 7919 % 1009;
    qsort(numbers, 1000, sizeof(numbers[0]), compare);
    sink += (unsigned long)numbers[5];
}

__attribute__((noinline)) static void files_work(void)
{
    static int zero = -1, null = -1;
    char bytes[512];

    if (zero < 0) {
        zero = open("/dev/zero", O_RDONLY);
        null = open("/dev/null", O_WRONLY);
    }
    for (int i = 0; i < 100; i++) {
        if (read(zero, bytes, sizeof(bytes)) < 0 || pread(zero, bytes, 16, 0) < 0 ||
            write(null, bytes, sizeof(bytes)) < 0)
            sink++;
    }
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

__attribute__((noinline)) static void locks_work(void)
{
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&lock);
        turn++;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
}

static const struct {
    const char *name;
    void (*work)(void);
} kinds[] = {
    {"memory", memory_work}, {"text", text_work},   {"sort", sort_work},
    {"files", files_work},   {"locks", locks_work}, {"locks", locks_work},
};

__attribute__((noinline)) static void *run_thread(void *arg)
{
    size_t i = (size_t)arg;

    prctl(PR_SET_NAME, kinds[i].name);
    for (;;)
        kinds[i].work();
    return NULL;
}

int main(void)
{
    pthread_t thread;

    for (size_t i = 1; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (pthread_create(&thread, NULL, run_thread, (void *)i) != 0)
            return 1;
    run_thread(NULL);
    return 0;
}
