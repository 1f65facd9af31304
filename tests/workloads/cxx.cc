// SPDX-License-Identifier: Apache-2.0
// Mangled names: a namespace, a template, a class and an operator. Runs until it is killed.
#include <cstddef>
#include <vector>

namespace shop {

template <typename T> class Basket {
public:
    explicit Basket(std::size_t n) : items(n, T(3)) {}

    __attribute__((noinline)) T total() const
    {
        T sum = 0;
        for (int round = 0; round < 200; round++)
            for (const T &item : items)
                sum = sum * T(5) + item;
        return sum;
    }

    __attribute__((noinline)) T operator()(int times) const
    {
        T sum = 0;
        for (int i = 0; i < times; i++)
            sum += total();
        return sum;
    }

private:
    std::vector<T> items;
};

} // namespace shop

int main()
{
    shop::Basket<unsigned long> basket(1000);
    volatile unsigned long sink = 0;

    for (;;)
        sink = sink + basket(10);
}
