/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/demangle.h"
#include "nsresolve/wire.h"
#include "tests/unit/tables.h"

#include <errno.h>
#include <time.h>

static void assert_name(const char *mangled, enum demangle_language language, const char *name)
{
    char text[DEMANGLE_RESULT_MAX + 1];
    size_t size = 0;

    assert_int_equal(demangle_name(mangled, false, text, &size), language);
    if (language == DEMANGLE_PLAIN)
        return;
    assert_string_equal(text, name);
    assert_int_equal(size, strlen(name));
}

static void cpp_names_lose_their_parameters(void **state)
{
    (void)state;
    assert_name("_Z3addii", DEMANGLE_CPP, "add");
    assert_name("_ZNSt6vectorIiSaIiEE9push_backEOi", DEMANGLE_CPP,
                "std::vector<int, std::allocator<int> >::push_back");
    assert_name("_ZN2v88internal7Isolate4InitEPNS0_12SnapshotDataES3_S3_b", DEMANGLE_CPP,
                "v8::internal::Isolate::Init");
    assert_name("_Z3fooIiEvT_", DEMANGLE_CPP, "foo<int>");
    assert_name("_ZTv0_n24_N1AD0Ev", DEMANGLE_CPP, "virtual thunk to A::~A()");
    assert_name("_ZN3fooC1Ev.constprop.0", DEMANGLE_CPP, "foo::foo");
}

static void rust_names_lose_their_hash(void **state)
{
    (void)state;
    assert_name("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", DEMANGLE_RUST,
                "core::fmt::Formatter::pad");
    assert_name("_ZN55_$LT$X$u20$as$u20$core..fmt..Debug$GT$3fmt17h05af221e174051e9E",
                DEMANGLE_PLAIN, NULL); /* the length lies */
    assert_name("_ZN33_$LT$X$u20$as$u20$core..Debug$GT$3fmt17h05af221e174051e9E", DEMANGLE_RUST,
                "<X as core::Debug>::fmt");
    assert_name("_RNvC6_123foo3bar", DEMANGLE_RUST, "123foo::bar");
    assert_name("_RNvNtCs1234_7mycrate3foo3bar", DEMANGLE_RUST, "mycrate::foo::bar");
    assert_name("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE.llvm.1234", DEMANGLE_RUST,
                "core::fmt::Formatter::pad");
}

static void other_names_stay_as_they_are(void **state)
{
    const char *names[] = {
        "main",  "",         "_",       "_Z",    "_R",       "_ZN",       "runtime.mallocgc",
        "Zebra", "add(int)", "_ZZZZZZ", "_RNvC", "\033[31m", "_Z\377\377"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_name(names[i], DEMANGLE_PLAIN, NULL);
}

/* f<A<int, int>, A<that, that>, A<that, that>...>: each argument is twice as long as the one before
 * it. S_ stands for f, S0_ for A, S1_ and so on for the arguments. */
static void put_bomb(char *at, unsigned levels)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    at += sprintf(at, "_Z1fI1AIiiE");
    for (unsigned i = 1; i <= levels; i++) {
        char last[8];

        if (i < 36)
            snprintf(last, sizeof(last), "S%c_", digits[i]);
        else
            snprintf(last, sizeof(last), "S1%c_", digits[i % 36]);
        at += sprintf(at, "S0_I%s%sE", last, last);
    }
    strcpy(at, "Evv");
}

static void a_name_that_explodes_stays_as_it_is(void **state)
{
    struct timespec start, end;
    char name[1024];

    (void)state;
    put_bomb(name, 1);
    assert_name(name, DEMANGLE_CPP, "f<A<int, int>, A<A<int, int>, A<int, int> > >");
    put_bomb(name, 60);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    assert_name(name, DEMANGLE_PLAIN, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    assert_true(end.tv_sec - start.tv_sec <= 1);
}

static void a_name_that_nests_deeply_does_not_exhaust_the_stack(void **state)
{
    char name[WIRE_DEMANGLE_NAME_MAX + 1];

    (void)state;
    memset(name, 'P', sizeof(name));
    memcpy(name, "_Z1f", 4);
    strcpy(name + 1000, "i");
    assert_name(name, DEMANGLE_CPP, "f");
    memset(name + 1000, 'P', sizeof(name) - 1000);
    strcpy(name + sizeof(name) - 2, "i");
    assert_name(name, DEMANGLE_PLAIN, NULL);
    memset(name + 5, 'N', sizeof(name) - 6);
    memcpy(name, "_RNvC1a", 7);
    assert_name(name, DEMANGLE_PLAIN, NULL);
    memset(name, 'I', sizeof(name) - 1);
    memcpy(name, "_ZN1a", 5);
    assert_name(name, DEMANGLE_PLAIN, NULL);
}

static char *streamed(const char *names, size_t size, size_t *ret_size)
{
    _cleanup_close_ int in_fd = memfd_of(names, size);
    _cleanup_close_ int out_fd = memfd_empty();

    assert_int_equal(demangle_stream(in_fd, out_fd, false), 0);
    return contents(out_fd, ret_size);
}

static void names_come_back_in_order_each_with_its_language(void **state)
{
    static const char names[] = "main\0_Z3addii\0\0_ZN1a1b17h0123456789abcdefE";
    static const char expected[] = "cmain\0+add\0c\0ra::b";
    _cleanup_free_ char *got = NULL;
    size_t size;

    (void)state;
    got = streamed(names, sizeof(names), &size);
    assert_int_equal(size, sizeof(expected));
    assert_memory_equal(got, expected, size);
    free(got);
    got = streamed("", 0, &size);
    assert_int_equal(size, 0);
}

static void what_follows_the_names_of_stubs_and_resolvers_stays_behind_them(void **state)
{
    static const char names[] = "_Z3addii@plt\0puts@plt\0@plt\0_ZN1a1bEv@ifunc";
    static const char expected[] = "+add@plt\0cputs@plt\0c@plt\0+a::b@ifunc";
    _cleanup_free_ char *got = NULL;
    size_t size;

    (void)state;
    got = streamed(names, sizeof(names), &size);
    assert_int_equal(size, sizeof(expected));
    assert_memory_equal(got, expected, size);
}

static void a_name_beyond_the_bound_passes_untouched(void **state)
{
    const unsigned lengths[] = {4000, WIRE_DEMANGLE_NAME_MAX, 65500, 65510, 65511, 200000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        _cleanup_free_ char *name = malloc(lengths[i] + 100), *got = NULL;
        size_t size, length;
        char *at = name;

        at += sprintf(at, "_ZN%u", lengths[i]);
        at = (char *)memset(at, 'i', lengths[i]) + lengths[i];
        at += sprintf(at, "17h0123456789abcdefE");
        length = (size_t)(at - name);
        memcpy(at, "\0_Z1gv", 7);
        got = streamed(name, length + 7, &size);
        if (length <= WIRE_DEMANGLE_NAME_MAX) {
            assert_int_equal(strlen(got), 1 + lengths[i]);
            assert_int_equal(got[0], 'r');
        } else {
            assert_int_equal(got[0], 'c');
            assert_memory_equal(got + 1, name, length + 1);
        }
        assert_string_equal(got + strlen(got) + 1, "+g");
        assert_int_equal(size, strlen(got) + 1 + 3);
    }
}

static void names_without_a_nul_at_the_end_are_malformed(void **state)
{
    _cleanup_close_ int in_fd = memfd_of("main\0half", 9);
    _cleanup_close_ int out_fd = memfd_empty();

    (void)state;
    assert_int_equal(demangle_stream(in_fd, out_fd, false), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpp_names_lose_their_parameters),
        cmocka_unit_test(rust_names_lose_their_hash),
        cmocka_unit_test(other_names_stay_as_they_are),
        cmocka_unit_test(a_name_that_explodes_stays_as_it_is),
        cmocka_unit_test(a_name_that_nests_deeply_does_not_exhaust_the_stack),
        cmocka_unit_test(names_come_back_in_order_each_with_its_language),
        cmocka_unit_test(what_follows_the_names_of_stubs_and_resolvers_stays_behind_them),
        cmocka_unit_test(a_name_beyond_the_bound_passes_untouched),
        cmocka_unit_test(names_without_a_nul_at_the_end_are_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
