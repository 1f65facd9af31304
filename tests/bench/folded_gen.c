/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes folded stacks that look like a big program's: folded_gen LINES. The same on every run;
 * about 1 KB a line, 20 to 60 frames deep, with common outer frames and a long tail.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252ull;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state % n);
}

int main(int argc, char **argv)
{
    static const char *const modules[] = {"net", "store", "index", "query", "codec", "sched"};
    long lines = argc > 1 ? atol(argv[1]) : 1000;

    for (long i = 0; i < lines; i++) {
        unsigned depth = 20 + below(40);
        /* The further in, the more ways there are to go. */
        unsigned ways = 2;

        fputs("server;_start;main", stdout);
        for (unsigned d = 0; d < depth; d++) {
            printf(";%s::handler_%u::step_%u", modules[below(6) % (1 + ways / 8)], d, below(ways));
            if (ways < 48)
                ways++;
        }
        printf(" %u\n", 1 + below(20));
    }
    return ferror(stdout) ? 1 : 0;
}
