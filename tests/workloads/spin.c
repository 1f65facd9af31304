/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call tree whose shares of the CPU time are known: serve() spends 50 % below parse(), 30 % below
 * render() and 20 % in checksum(). Runs until it is killed, or for the seconds given.
 *
 * Built twice with names of the same length, so that both programs have the same layout: "spin" has
 * spin_parse() where its twin has twin_parse().
 */
#include <stdlib.h>
#include <time.h>

#ifndef FAMILY
#define FAMILY spin
#endif
#define JOIN(a, b) a##_##b
#define JOIN2(a, b) JOIN(a, b)
#define NAME(x) JOIN2(FAMILY, x)

#define UNIT 20000
#define noinline __attribute__((noinline, noclone))

static volatile unsigned long sink;

/* The sum lives in memory: gcc gives a leaf function without locals on its stack no frame, and then
 * its caller is missing from stacks that are walked by frame pointers. */
noinline unsigned long NAME(burn)(unsigned long units)
{
    volatile unsigned long x = units;

    for (unsigned long i = 0; i < units * UNIT; i++)
        x = x * 2862933555777941757ul + 3037000493ul;
    return x;
}

noinline unsigned long NAME(parse)(void)
{
    return NAME(burn)(5) + 1;
}

noinline unsigned long NAME(render)(void)
{
    return NAME(burn)(3) + 2;
}

noinline unsigned long NAME(checksum)(void)
{
    volatile unsigned long x = 2;

    for (unsigned long i = 0; i < 2ul * UNIT; i++)
        x = x * 2862933555777941757ul + 3037000493ul;
    return x;
}

noinline unsigned long NAME(serve)(void)
{
    return NAME(parse)() + NAME(render)() + NAME(checksum)();
}

int main(int argc, char **argv)
{
    time_t end = argc > 1 ? time(NULL) + atoi(argv[1]) : 0;

    while (!end || time(NULL) < end)
        sink += NAME(serve)();
    return 0;
}
