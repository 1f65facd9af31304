/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/shorten.h"
#include "nsresolve/wire.h"
#include "tests/unit/tables.h"

/* As it is written, and as it is shown. */
struct row {
    const char *full, *shown;
};

static void assert_shown(enum demangle_language language, const struct row *row)
{
    char text[DEMANGLE_RESULT_MAX + 1];
    size_t size;

    strcpy(text, row->full);
    size = shorten_name(language, text, strlen(text));
    assert_string_equal(text, row->shown);
    assert_int_equal(size, strlen(row->shown));
}

#define ASSERT_ROWS(language, rows)                  \
    for (size_t i_ = 0; i_ < ARRAY_SIZE(rows); i_++) \
    assert_shown(language, &(rows)[i_])

static void cpp_names_are_as_people_write_them(void **state)
{
    static const struct row rows[] = {
        {"main", "main"},
        {"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >::append",
         "std::string::append"},
        {"std::vector<int, std::allocator<int> >::push_back", "std::vector<int>::push_back"},
        {"std::map<std::__cxx11::basic_string<char, std::char_traits<char>, "
         "std::allocator<char> >, int, std::less<std::__cxx11::basic_string<char, "
         "std::char_traits<char>, std::allocator<char> > >, "
         "std::allocator<std::pair<std::__cxx11::basic_string<char, std::char_traits<char>, "
         "std::allocator<char> > const, int> > >::find",
         "std::map<std::string, int>::find"},
        {"std::vector<int, mine::allocator<int> >::f", "std::vector<int, mine::allocator<int>>::f"},
        {"a::b<c::some_long_name<int>, c::another_long_name<long> >::f", "a::b<\u2026>::f"},
        {"(anonymous namespace)::helper", "(anonymous)::helper"},
        {"std::__1::vector<int, std::__1::allocator<int> >::f", "std::vector<int>::f"},
        {"f[abi:cxx11]", "f"},
        {"f<a,b>", "f<a,b>"},
        {"a::b(int, char const*)::c", "a::b::c"},
        {"main::{lambda(int, char)#1}::operator()(int, char) const::{lambda()#2}::operator()",
         "main::{lambda#1}::operator()::{lambda#2}::operator()"},
        {"operator<< <char, std::char_traits<char> >", "operator<< <char>"},
        {"a::operator<", "a::operator<"},
        {"a::operator-><int>", "a::operator-><int>"},
        {"a::operator()", "a::operator()"},
        {"a::cooperator<int>", "a::cooperator<int>"},
        {"std::function<void (int, char)>::f", "std::function<void (int, char)>::f"},
        {"virtual thunk to A::~A()", "virtual thunk to A::~A"},
    };

    (void)state;
    ASSERT_ROWS(DEMANGLE_CPP, rows);
}

static void rust_paths_in_angle_brackets_are_their_last_element(void **state)
{
    static const struct row rows[] = {
        {"core::fmt::Formatter::pad", "core::fmt::Formatter::pad"},
        {"<alloc::vec::Vec<T,A> as core::iter::traits::collect::Extend<T>>::extend",
         "<Vec<T,A> as Extend<T>>::extend"},
        {"<mycrate::Foo as core::fmt::Display>::fmt", "<Foo as Display>::fmt"},
        {"core::ops::function::impls::<impl core::ops::function::FnOnce<A> for &mut F>::call_once",
         "core::ops::function::impls::<impl FnOnce<A> for &mut F>::call_once"},
        {"core::iter::adapters::map::Map<a::very::long::path::Iterator, b::other::Function, "
         "c::AnotherEvenLongerName>::next",
         "core::iter::adapters::map::Map<\u2026>::next"},
        {"mycrate::map::<alloc::string::String>", "mycrate::map::<String>"},
        {"main::main::{{closure}}", "main::main::{closure}"},
        {"main::main::{closure#0}", "main::main::{closure#0}"},
        {"<fn(a::A) -> b::B as c::C>::d", "<fn(A) -> B as C>::d"},
        {"f::<[u8; 4]>", "f::<[u8; 4]>"},
    };

    (void)state;
    ASSERT_ROWS(DEMANGLE_RUST, rows);
}

static void go_packages_lose_their_path(void **state)
{
    static const struct row rows[] = {
        {"main.main", "main.main"},
        {"github.com/foo/bar/baz.(*T).Do", "baz.(*T).Do"},
        {"github.com/foo/bar/v2.(*T).Do", "bar.(*T).Do"},
        {"github.com/foo/bar/v2x.Do", "v2x.Do"},
        {"gopkg.in/yaml.v3.(*decoder).foo", "yaml.v3.(*decoder).foo"},
        {"main.Map[go.shape.int,go.shape.string]", "main.Map[\u2026]"},
        {"a/b.Map[a/b.T].func1", "b.Map[\u2026].func1"},
        {"a/b.(*T[go.shape.*uint8_0]).Do", "b.(*T[\u2026]).Do"},
        {"main.main.func1.2", "main.main.func1.2"},
        {"main.(*T).Do-fm", "main.(*T).Do-fm"},
        {"vendor/golang.org/x/net/http2.f", "http2.f"},
        {"type:.eq.a/b.T", "type:.eq.b.T"},
        {"type:.eq.[4]string", "type:.eq.[4]string"},
        {"runtime.gcDrain", "runtime.gcDrain"},
        {"glob..func1", "glob..func1"},
        {"v2.f", "v2.f"},
        {"a/", ""},
    };

    (void)state;
    ASSERT_ROWS(DEMANGLE_GO, rows);
}

static void go_escapes_are_undone(void **state)
{
    static const struct row rows[] = {
        {"gopkg.in/yaml%2ev3.f", "gopkg.in/yaml.v3.f"},
        {"runtime\u00b7f", "runtime.f"},
        {"net\u2215http\u00b7f", "net/http.f"},
        {"runtime.memmove.abi0", "runtime.memmove"},
        {"a%0ab", "a%0ab"},
        {"a%7fb%80%", "a%7fb%80%"},
        {"a%2", "a%2"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[64];

        strcpy(text, rows[i].full);
        assert_int_equal(shorten_decode_go(text, strlen(text)), strlen(rows[i].shown));
        assert_string_equal(text, rows[i].shown);
    }
}

static void what_compilers_append_is_its_word(void **state)
{
    static const struct {
        const char *symbol, *base, *shown;
    } rows[] = {
        {"f.isra.0", "f", ".isra"},
        {"f.constprop.0.isra.12", "f", ".constprop.isra"},
        {"f.part.0.cold", "f", ".part.cold"},
        {"f.cold", "f", ".cold"},
        {"f.llvm.1234567", "f", ""},
        {"f.lto_priv.0", "f", ""},
        {"f.c.isra.0", "f.c", ".isra"},
        {"f.israel", "f.israel", ""},
        {"f.isra.x", "f.isra.x", ""},
        {".cold", ".cold", ""},
        {"f.", "f.", ""},
        {"", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char shown[SHORTEN_SUFFIX_MAX];

        assert_int_equal(shorten_suffix(rows[i].symbol, strlen(rows[i].symbol), shown),
                         strlen(rows[i].base));
        assert_string_equal(shown, rows[i].shown);
    }
}

static void other_names_pass(void **state)
{
    static const struct row row = {"a<b>::c(d)", "a<b>::c(d)"};

    (void)state;
    assert_shown(DEMANGLE_PLAIN, &row);
}

/* No name may make the parser write beyond what it was given, or recurse without end. */
static void any_nesting_is_survived_and_never_grows(void **state)
{
    static const char *const pieces[] = {"<",        ">",     "(",
                                         ")",        "[",     "]",
                                         "{",        "}",     ", ",
                                         "::",       "a",     "operator",
                                         "{lambda(", "[abi:", "std::allocator<",
                                         "<impl ",   "%2e",   "/",
                                         "v2.",      "->",    " "};
    static const enum demangle_language languages[] = {DEMANGLE_CPP, DEMANGLE_RUST, DEMANGLE_GO};
    uint32_t seed = 7;

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        char *text = malloc(512), shown[SHORTEN_SUFFIX_MAX];
        size_t size = 0, got;

        assert_non_null(text);
        for (;;) {
            const char *piece;

            seed = seed * 1664525 + 1013904223;
            piece = pieces[round % 4 == 0 ? (seed >> 28) % 2 * round % 8 / 4 * 14
                                          : (seed >> 16) % ARRAY_SIZE(pieces)];
            if (size + strlen(piece) >= 20 + round % 480)
                break;
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        text[size] = '\0';
        text = realloc(text, size + 1); /* so that a byte beyond is seen */
        assert_non_null(text);
        got = shorten_name(languages[round % 3], text, size);
        assert_true(got <= size);
        assert_int_equal(strlen(text), got);
        shorten_suffix(text, got, shown);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpp_names_are_as_people_write_them),
        cmocka_unit_test(rust_paths_in_angle_brackets_are_their_last_element),
        cmocka_unit_test(go_packages_lose_their_path),
        cmocka_unit_test(go_escapes_are_undone),
        cmocka_unit_test(what_compilers_append_is_its_word),
        cmocka_unit_test(other_names_pass),
        cmocka_unit_test(any_nesting_is_survived_and_never_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
