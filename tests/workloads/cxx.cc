// SPDX-License-Identifier: Apache-2.0
// Mangled names: a namespace, a template, a class, an operator, a map of strings. Runs until it is
// killed.
#include <cstddef>
#include <map>
#include <string>
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

template <typename Map>
__attribute__((noinline)) unsigned long weigh(const Map &map, const std::string &key)
{
    unsigned long sum = 0;

    for (int round = 0; round < 800; round++)
        sum += map.find(key)->second + map.size();
    return sum;
}

} // namespace shop

int main()
{
    shop::Basket<unsigned long> basket(1000);
    const std::map<std::string, int> stock = {{"apples", 3}, {"pears", 4}};
    volatile unsigned long sink = 0;

    for (;;)
        sink = sink + basket(10) + shop::weigh(stock, "pears");
}
