/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A just-in-time compiler that replaces and moves its code: jitmove map|dump|both SECONDS
 *
 * Rounds of SECONDS each, with other code at the same two addresses: below even_round() "even_hot"
 * and "even_cool", below odd_round(), the other way round, "odd_cool" and "odd_hot". The hot one
 * takes 48 % of the time, the cool one 16 %, "stays" 20 %, and "wanders", which moves to another
 * address with every round, 16 %. With "dump", jit-PID.dump in the working directory tells all of
 * it with times; with "map", /tmp/perf-PID.map tells it by lines that are appended.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define COPY 512
#define PLACES 8

struct record {
    uint32_t id, size;
    uint64_t time;
};

struct load {
    struct record record;
    uint32_t pid, tid;
    uint64_t vma, address, size, index;
};

struct move {
    struct record record;
    uint32_t pid, tid;
    uint64_t vma, from, to, size, index;
};

static FILE *map;
static int dump = -1;
static unsigned char *code;
static uint64_t next_index;

/* Position-independent, calls nothing, touches no global. */
__attribute__((noinline, noclone, aligned(64))) static unsigned long template_loop(unsigned long n)
{
    unsigned long x = n;

    for (unsigned long i = 0; i < n; i++)
        x = x * 2862933555777941757ul + 3037000493ul;
    return x;
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put(const void *data, size_t size)
{
    if (write(dump, data, size) != (ssize_t)size)
        exit(1);
}

static void open_dump(void)
{
    struct {
        uint32_t magic, version, size, machine, padding, pid;
        uint64_t time, flags;
    } header = {0x4A695444, 1, 40, 62, 0, (uint32_t)getpid(), now(), 0};
    char path[64];

    snprintf(path, sizeof(path), "jit-%d.dump", (int)getpid());
    dump = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);
    if (dump < 0)
        exit(1);
    put(&header, sizeof(header));
    /* This is how a profiler learns of the file. */
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, dump, 0) == MAP_FAILED)
        exit(1);
}

static void open_map(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    map = fopen(path, "w");
    if (!map)
        exit(1);
    setlinebuf(map);
}

static uint64_t load(unsigned place, const char *name)
{
    unsigned char *at = code + place * COPY;
    struct load l = {.record = {0, (uint32_t)(sizeof(l) + strlen(name) + 1 + COPY), now()},
                     .pid = (uint32_t)getpid(),
                     .tid = (uint32_t)getpid(),
                     .vma = (uint64_t)(uintptr_t)at,
                     .address = (uint64_t)(uintptr_t)at,
                     .size = COPY,
                     .index = next_index++};

    memcpy(at, (const void *)template_loop, COPY);
    if (dump >= 0) {
        put(&l, sizeof(l));
        put(name, strlen(name) + 1);
        put(at, COPY);
    }
    if (map)
        fprintf(map, "%lx %x %s\n", (unsigned long)(uintptr_t)at, COPY, name);
    return l.index;
}

static void move(unsigned from, unsigned to, uint64_t index, const char *name)
{
    struct move m = {.record = {1, sizeof(m), now()},
                     .pid = (uint32_t)getpid(),
                     .tid = (uint32_t)getpid(),
                     .vma = (uint64_t)(uintptr_t)(code + to * COPY),
                     .from = (uint64_t)(uintptr_t)(code + from * COPY),
                     .to = (uint64_t)(uintptr_t)(code + to * COPY),
                     .size = COPY,
                     .index = index};

    memcpy(code + to * COPY, (const void *)template_loop, COPY);
    if (dump >= 0)
        put(&m, sizeof(m));
    if (map)
        fprintf(map, "%lx %x %s\n", (unsigned long)(uintptr_t)(code + to * COPY), COPY, name);
}

static unsigned long run(unsigned place, unsigned long n)
{
    return ((unsigned long (*)(unsigned long))(code + place * COPY))(n);
}

/* One round. The hot place changes with every round, so that a name of another round is seen. */
static inline __attribute__((always_inline)) void loop(unsigned hot, unsigned place, uint64_t until)
{
    volatile unsigned long sink = 0;

    while (now() < until)
        sink += run(hot, 120000) + run(!hot, 40000) + run(2, 50000) + run(place, 40000);
}

__attribute__((noinline)) static void even_round(unsigned place, uint64_t until)
{
    loop(0, place, until);
}

__attribute__((noinline)) static void odd_round(unsigned place, uint64_t until)
{
    loop(1, place, until);
}

int main(int argc, char **argv)
{
    uint64_t length = (uint64_t)(argc > 2 ? atof(argv[2]) * 1e9 : 3e9), wanderer;
    unsigned place = 3, to;

    code = mmap(NULL, PLACES * COPY, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (argc < 2 || code == MAP_FAILED)
        return 1;
    if (strcmp(argv[1], "map") != 0)
        open_dump();
    if (strcmp(argv[1], "dump") != 0)
        open_map();
    load(2, "stays");
    wanderer = load(place, "wanders");
    for (unsigned round = 0;; round++) {
        load(0, round % 2 ? "odd_cool" : "even_hot");
        load(1, round % 2 ? "odd_hot" : "even_cool");
        if (round % 2)
            odd_round(place, now() + length);
        else
            even_round(place, now() + length);
        to = place == 3 ? 5 : 3;
        move(place, to, wanderer, "wanders");
        place = to;
    }
}
