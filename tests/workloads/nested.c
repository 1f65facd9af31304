/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nested: functions that the compiler inlines into each other, for tests of --inline. Of the time
 * in serve(), grind() and polish() take three quarters and one quarter; both stand in prepare(),
 * which is inlined, too. shape() has a copy of its own besides, called from main().
 */
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t shape(uint32_t x, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        x = x * 1103515245u + 12345u;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

INLINE uint32_t grind(uint32_t x)
{
    return shape(x, 3000);
}

INLINE uint32_t polish(uint32_t x)
{
    return shape(x ^ 7, 1000);
}

INLINE uint32_t prepare(uint32_t x)
{
    return grind(x) + polish(x);
}

__attribute__((noinline, noclone)) uint32_t serve(uint32_t x)
{
    return prepare(x) | 1;
}

int main(void)
{
    for (uint32_t x = 1;; x++)
        x = serve(x);
}
