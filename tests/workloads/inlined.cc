// SPDX-License-Identifier: Apache-2.0
//
// inlined: C++ at -O2, for tests of --inline: a template's member function, a function in a nameless
// namespace and a lambda, all inlined into mill::run(), which calls nothing.
#include <cstdint>

#define INLINE inline __attribute__((always_inline))

namespace mill
{
template <typename T> struct Wheel {
    T at;

    INLINE void turn(int times)
    {
        for (int i = 0; i < times; i++) {
            at = at * 69069 + 1;
            __asm__ volatile("" : "+r"(at));
        }
    }
};

namespace
{
INLINE uint64_t sift(uint64_t x, int times)
{
    auto shake = [](uint64_t y) __attribute__((always_inline)) { return (y << 13 | y >> 51) ^ 0x9e37; };

    for (int i = 0; i < times; i++) {
        x = shake(x);
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}
} // namespace

__attribute__((noinline, noclone)) uint64_t run(uint64_t x)
{
    Wheel<uint64_t> wheel{x};

    wheel.turn(2000);
    return sift(wheel.at, 2000);
}
} // namespace mill

int main()
{
    for (uint64_t x = 1;; x++)
        x = mill::run(x);
}
