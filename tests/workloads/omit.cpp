// SPDX-License-Identifier: Apache-2.0
// What is hard to unwind without frame pointers: one thread for each case, each with a known call
// tree whose innermost function, leaf_CASE, takes nearly all of the thread's time.
//
//   omit [CASE…]     runs until it is killed; without words, all cases
//
// "plugin" waits for the file /tmp/load, opens /bin/libomit.so then, and is called back from there.
// Nothing of the C++ library is used, so that it can be linked with any libc.
#include <alloca.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define NOINLINE __attribute__((noinline, noclone))

namespace omit {

volatile int sink;

// Some milliseconds at most, without a call.
#define BURN(rounds)                                                                               \
    do {                                                                                           \
        unsigned burn = (unsigned)sink;                                                            \
        for (int burnt = 0; burnt < (rounds); burnt++) {                                           \
            burn = burn * 1664525u + 1013904223u;                                                  \
            __asm__ volatile("" : "+r"(burn));                                                     \
        }                                                                                          \
        sink = (int)burn;                                                                          \
    } while (0)

using leaf = int (*)(int);

// Frames of all sizes: what is saved, and how much room there is, differs from step to step.
template <int N> NOINLINE int step(leaf f, int x)
{
    volatile char room[N * 24];
    int a = x * N, b = x ^ N;

    room[x & 7] = (char)x;
    int r = step<N - 1>(f, x + N);
    return r * N + room[x & 7] + a + b;
}

template <> NOINLINE int step<0>(leaf f, int x)
{
    return f(x) + 1;
}

// ---- plain ----

NOINLINE int leaf_tree(int x)
{
    BURN(1000000);
    return x + sink;
}

void tree()
{
    sink = step<12>(leaf_tree, 1);
}

// ---- a stack that is aligned anew, with arguments on it, and one of variable size ----

NOINLINE int leaf_aligned(int x)
{
    BURN(1000000);
    return x + sink;
}

NOINLINE int aligned(int a, int b, int c, int d, int e, int f, int g, int h)
{
    alignas(64) volatile int room[32];
    volatile char *more = (volatile char *)alloca((size_t)a * 16 + 16);

    more[a] = (char)h;
    room[a & 31] = b + c + d + e;
    int r = leaf_aligned(room[a & 31] + more[a]);
    return r + room[b & 31] + f + g + h;
}

NOINLINE int grown(int n)
{
    volatile char *room = (volatile char *)alloca((size_t)n * 48 + 16);

    room[n] = (char)n;
    int r = aligned(n, 2, 3, 4, 5, 6, 7, 8);
    return r + room[n];
}

__attribute__((force_align_arg_pointer)) NOINLINE int forced(int n)
{
    alignas(32) volatile int room[8];

    room[n & 7] = n;
    int r = grown(n + 1);
    return r + room[n & 7];
}

void realigned()
{
    sink = step<2>(forced, sink & 15);
}

// ---- a signal's handler, on the thread's stack and on one of its own ----

NOINLINE int leaf_handler(int x)
{
    BURN(1000000);
    return x + sink;
}

NOINLINE void on_signal(int number)
{
    sink = leaf_handler(number) + 1;
}

NOINLINE int leaf_interrupted(int x)
{
    BURN(8000000);
    return x + sink;
}

void arm(int flags)
{
    struct sigaction action;
    struct sigevent event;
    struct itimerspec every;
    timer_t timer;

    memset(&action, 0, sizeof(action));
    memset(&event, 0, sizeof(event));
    memset(&every, 0, sizeof(every));
    action.sa_handler = on_signal;
    action.sa_flags = flags | SA_RESTART;
    sigaction(flags ? SIGUSR1 : SIGPROF, &action, NULL);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = flags ? SIGUSR1 : SIGPROF;
    event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
    every.it_interval.tv_nsec = every.it_value.tv_nsec = 4000000;
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) < 0 ||
        timer_settime(timer, 0, &every, NULL) < 0)
        _exit(3);
}

void handler()
{
    static bool armed;

    if (!armed)
        arm(0);
    armed = true;
    sink = step<3>(leaf_interrupted, 2);
}

void altstack()
{
    static bool armed;
    static char room[65536];
    stack_t stack;

    memset(&stack, 0, sizeof(stack));
    stack.ss_sp = room;
    stack.ss_size = sizeof(room);
    if (!armed && sigaltstack(&stack, NULL) == 0)
        arm(SA_ONSTACK);
    armed = true;
    sink = step<3>(leaf_interrupted, 3);
}

// ---- through libc, through the PLT, into the vdso and the kernel ----

NOINLINE int leaf_compare(int x)
{
    BURN(100000);
    return x;
}

NOINLINE int compare(const void *a, const void *b)
{
    return leaf_compare(*(const int *)a) - *(const int *)b;
}

NOINLINE int sorted(int x)
{
    int room[3] = {x + 3, x + 1, x + 2};

    qsort(room, 3, sizeof(room[0]), compare);
    return room[0];
}

void callback()
{
    sink = step<2>(sorted, 4);
}

NOINLINE int leaf_plt(int x)
{
    unsigned seed = (unsigned)x;

    for (int i = 0; i < 100000; i++)
        x += rand_r(&seed);
    return x;
}

void plt()
{
    sink = step<2>(leaf_plt, 5);
}

NOINLINE int leaf_clock(int x)
{
    struct timespec now;

    for (int i = 0; i < 100000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        x += (int)now.tv_nsec;
    }
    return x;
}

void clock()
{
    sink = step<2>(leaf_clock, 6);
}

NOINLINE int leaf_read(int x)
{
    static char room[1 << 16];
    static int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    for (int i = 0; i < 100; i++)
        x += (int)read(zeros, room, sizeof(room));
    return x;
}

void kernel()
{
    sink = step<2>(leaf_read, 7);
}

// ---- deep, and a call that is its function's last instruction ----

NOINLINE int leaf_deep(int x)
{
    BURN(1000000);
    return x + sink;
}

NOINLINE int fall(int depth)
{
    volatile int here = depth;

    return (depth ? fall(depth - 1) : leaf_deep(depth)) + here;
}

void deep()
{
    sink = fall(109);
}

[[noreturn]] NOINLINE void leaf_last(int x)
{
    for (;;) {
        BURN(1000000);
        sink = sink + x;
    }
}

[[noreturn]] NOINLINE void last_call(int x)
{
    volatile int room[5];

    room[x & 3] = x;
    leaf_last(room[x & 3]);
}

// What stands behind last_call(), of another shape.
NOINLINE int bystander(int x)
{
    volatile int room[99];

    room[x & 63] = x;
    return step<1>(leaf_tree, room[x & 31]);
}

void last()
{
    if (sink == 123456789)
        sink = bystander(sink);
    last_call(8);
}

// ---- a library that comes later ----

NOINLINE int leaf_plugin(int x)
{
    BURN(1000000);
    return x + sink;
}

void plugin()
{
#ifndef OMIT_STATIC
    using entry = int (*)(leaf, int);
    static entry enter;

    while (access("/tmp/load", F_OK) < 0)
        usleep(10000);
    if (!enter)
        enter = (entry)dlsym(dlopen("/bin/libomit.so", RTLD_NOW), "library_enter");
    sink = enter(leaf_plugin, 9);
#else
    pause();
#endif
}

// ---- the threads ----

const struct scene {
    const char *name;
    void (*run)();
} scenes[] = {
    {"tree", tree},         {"realigned", realigned}, {"handler", handler}, {"altstack", altstack},
    {"callback", callback}, {"plt", plt},             {"clock", clock},     {"kernel", kernel},
    {"deep", deep},         {"last", last},           {"plugin", plugin},
};

NOINLINE void *run_thread(void *argument)
{
    const scene *s = (const scene *)argument;

    prctl(PR_SET_NAME, s->name);
    for (;;)
        s->run();
    return NULL;
}

NOINLINE bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

// The first thread has its own start.
NOINLINE int leaf_main(int x)
{
    BURN(1000000);
    return x + sink;
}

} // namespace omit

int main(int argc, char **argv)
{
    pthread_t thread;

    for (const omit::scene &s : omit::scenes)
        if (omit::wanted(s.name, argc, argv))
            pthread_create(&thread, NULL, omit::run_thread, (void *)&s);
    if (!omit::wanted("main", argc, argv))
        pause();
    for (;;)
        omit::sink = omit::step<12>(omit::leaf_main, 1);
}
