/* SPDX-License-Identifier: Apache-2.0 */
/* Inlined functions of programs that are built on the spot, against addr2line's reading. */
#include "tests/unit/inlines.h"

#define CHAIN_MAX 64

static const char in_c[] =
    "#define INLINE static inline __attribute__((always_inline))\n"
    "INLINE unsigned innermost(unsigned x)\n"
    "{ for (int i = 0; i < 100; i++) x = x * 1103515245u + 12345u; return x; }\n"
    "INLINE unsigned between(unsigned x)\n"
    "{ return innermost(x) ^ innermost(x + 1); }\n"
    "__attribute__((noinline)) unsigned outer(unsigned x)\n"
    "{ if (x & 1) return between(x); return between(x + 3) + x / 3; }\n"
    "int main(int argc, char **argv)\n"
    "{ (void)argv; return (int)outer((unsigned)argc); }\n";

static const char in_cxx[] =
    "#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n"
    "namespace shop {\n"
    "template <class T> struct basket {\n"
    "  std::vector<T> items;\n"
    "  explicit basket(T n) { for (T i = 0; i < n; i++) items.push_back(i * 7 % 11); }\n"
    "  T total() const { T t = 0; for (auto i : items) t += i; return t; }\n"
    "};\n"
    "namespace { inline int hidden(int x) { return x * x + 1; } }\n"
    "static int apply(int x) {\n"
    "  auto f = [x](int y) { return hidden(x) + hidden(y); }; return f(x + 1); }\n"
    "}\n"
    "int main(int argc, char **argv)\n"
    "{ shop::basket<int> b(argc * 10); std::map<std::string, int> m; m[argv[0]] = argc;\n"
    "  std::sort(b.items.begin(), b.items.end());\n"
    "  return b.total() + shop::apply(argc) + (int)m.size(); }\n";

/* One address as addr2line shows it. */
struct truth {
    uint64_t address;
    char names[CHAIN_MAX][512];
    unsigned count;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Ours may say more: the class of a function without a linkage name. */
static bool same_name(const char *ours, const char *theirs)
{
    return strcmp(ours, theirs) == 0 ||
           (ends_with(ours, theirs) && ends_with(ours, "::") == 0 && strstr(ours, "::"));
}

static bool agrees(const struct inlinetab *t, const struct truth *truth)
{
    const struct inline_address *a = inlinetab_find(t, truth->address);
    unsigned inlined = truth->count ? truth->count - 1 : 0;
    bool same;

    assert_non_null(a);
    same = a->count == inlined;
    for (unsigned i = 0; i < inlined && same; i++)
        same = same_name(inlinetab_name(t, a, i), truth->names[i]);
    if (!same) {
        print_message("at %#lx we say %u functions (state %u), addr2line %u\n",
                      (unsigned long)truth->address, a->count, a->state, inlined);
        for (unsigned i = 0; i < a->count; i++)
            print_message("  ours: %s\n", inlinetab_name(t, a, i));
        for (unsigned i = 0; i < truth->count; i++)
            print_message("  theirs: %s\n", truth->names[i]);
    }
    return same;
}

/* Next address of addr2line's output; line holds the line read last. */
static bool read_truth(FILE *pipe, char *line, size_t size, struct truth *ret)
{
    char *end;

    if (strncmp(line, "0x", 2) != 0)
        return false;
    ret->address = strtoull(line, NULL, 16);
    ret->count = 0;
    while (fgets(line, (int)size, pipe) && strncmp(line, "0x", 2) != 0) {
        end = strchr(line, '\n');
        if (end)
            *end = '\0';
        if (ret->count < CHAIN_MAX)
            snprintf(ret->names[ret->count++], sizeof(ret->names[0]), "%.511s", line);
        if (!fgets(line, (int)size, pipe)) /* file and line */
            break;
    }
    if (feof(pipe))
        line[0] = '\0';
    return true;
}

/* Compares each of the addresses; returns how many differ. */
static size_t compare(const char *path, const struct inlinetab *t, const uint64_t *addresses,
                      size_t count, size_t *inlined)
{
    char list[] = "/tmp/porthole-addresses.XXXXXX", command[1024], line[4096] = "";
    _cleanup_close_ int fd = mkstemp(list);
    static struct truth truth;
    size_t different = 0, seen = 0;
    FILE *pipe;

    assert_true(fd >= 0);
    for (size_t i = 0; i < count; i++)
        dprintf(fd, "%#lx\n", (unsigned long)addresses[i]);
    snprintf(command, sizeof(command), "addr2line -i -f -a -e '%s' < '%s'", path, list);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    for (*inlined = 0; read_truth(pipe, line, sizeof(line), &truth); seen++) {
        *inlined += truth.count > 1;
        different += !agrees(t, &truth);
    }
    pclose(pipe);
    unlink(list);
    assert_int_equal(seen, count);
    return different;
}

/* The file at path and addr2line must agree on at least 99 of 100 addresses, and some of them must
 * lie in inlined functions. */
static void check_file(const char *path, unsigned step, const char *alt)
{
    _cleanup_(inlinetab_freep) struct inlinetab *t = NULL;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC), alt_fd = -1;
    _cleanup_free_ uint64_t *addresses = NULL;
    struct wire_parse_inlines want = {0};
    size_t count, inlined, different;

    assert_true(fd >= 0);
    (void)alt;
    addresses = text_addresses(fd, step, &count);
    want.address_count = (uint32_t)count;
    assert_int_equal(inlines_of(fd, alt_fd, &want, addresses, &t), 0);
    different = compare(path, t, addresses, count, &inlined);
    print_message("%s: %zu addresses, %zu in inlined functions, %zu told otherwise\n", path, count,
                  inlined, different);
    assert_true(inlined > 20);
    assert_true(different * 100 <= count);
}

static void inlined_functions_are_those_that_addr2line_shows(void **state)
{
    const struct {
        const char *name, *command;
    } builds[] = {
        {"c", "gcc -O2 -g -o c c.c"},
        {"c4", "gcc -O2 -gdwarf-4 -o c4 c.c"},
        {"cxx", "g++ -O2 -g -o cxx cxx.cc"},
        {"types", "g++ -O2 -gdwarf-4 -fdebug-types-section -o types cxx.cc"},
        {"clang", "clang -O2 -g -o clang c.c"},
        {"packed", "gcc -O2 -g -gz -o packed c.c"},
        {"lto", "gcc -O2 -g -flto -o lto c.c"},
    };
    char path[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(builds); i++) {
        assert_true(run("%s", builds[i].command));
        snprintf(path, sizeof(path), "%s/%s", scratch, builds[i].name);
        check_file(path, 1, NULL);
    }
}

static void inlined_functions_of_this_very_program_are_known(void **state)
{
    char path[512] = "";

    (void)state;
    assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
    check_file(path, 64, NULL);
}

static int set_up(void **state)
{
    int r = make_scratch(state);

    if (r == 0) {
        write_text("c.c", in_c);
        write_text("cxx.cc", in_cxx);
    }
    return r;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inlined_functions_are_those_that_addr2line_shows),
        cmocka_unit_test(inlined_functions_of_this_very_program_are_known),
    };

    return cmocka_run_group_tests(tests, set_up, remove_scratch);
}
