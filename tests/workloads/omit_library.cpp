// SPDX-License-Identifier: Apache-2.0
// The library that omit.cpp opens while it runs: calls back.
namespace library {

template <int N> __attribute__((noinline, noclone)) int step(int (*f)(int), int x)
{
    volatile char room[N * 40];

    room[x & 7] = (char)x;
    return step<N - 1>(f, x + N) + room[x & 7];
}

template <> __attribute__((noinline, noclone)) int step<0>(int (*f)(int), int x)
{
    return f(x) + 1;
}

} // namespace library

extern "C" int library_enter(int (*f)(int), int x)
{
    return library::step<3>(f, x) + 2;
}
