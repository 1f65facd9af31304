/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recurse N: works at the bottom of N calls of recurse_fall(), for ever.
 */
#include <stdlib.h>

static volatile unsigned long sink = 1;

__attribute__((noinline, noclone)) static void recurse_leaf(void)
{
    while (sink)
        sink = (sink * 2862933555777941757ul + 3037000493ul) | 1;
}

__attribute__((noinline, noclone)) static void recurse_fall(unsigned long n)
{
    if (n > 1)
        recurse_fall(n - 1);
    else
        recurse_leaf();
    sink ^= 1; /* so that the calls are calls */
}

int main(int argc, char **argv)
{
    recurse_fall(argc > 1 ? strtoul(argv[1], NULL, 10) : 100);
    return 0;
}
