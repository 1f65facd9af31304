/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/perfmap.h"
#include "tests/unit/tables.h"

#include <sys/resource.h>

static const struct wire_parse_perfmap whole = {.size = UINT64_MAX};

static struct symtab *parsed_fd(int fd)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;

    assert_int_equal(symtab_builder_new(&b), 0);
    assert_int_equal(perfmap_parse(fd, &whole, b), 0);
    return built(b);
}

static struct symtab *parsed_bytes(const void *data, size_t size)
{
    _cleanup_close_ int fd = memfd_of(data, size);

    return parsed_fd(fd);
}

static struct symtab *parsed(const char *text)
{
    return parsed_bytes(text, strlen(text));
}

static void names_keep_their_blanks_and_numbers_may_have_prefixes(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    t = parsed("7f0000001000 40 LazyCompile:*add /app/x y.js:3:1\n"
               "0x7f0000002000 0X20 Ljava/lang/String;::equals\n"
               "7F0000003000\t1f \t tabs\n");
    assert_string_equal(name_at(t, 0x7f0000001000), "LazyCompile:*add /app/x y.js:3:1");
    assert_string_equal(name_at(t, 0x7f000000103f), "LazyCompile:*add /app/x y.js:3:1");
    assert_string_equal(name_at(t, 0x7f0000001040), "");
    assert_string_equal(name_at(t, 0x7f000000201f), "Ljava/lang/String;::equals");
    assert_string_equal(name_at(t, 0x7f000000301e), "tabs");
    assert_int_equal(symtab_header(t)->bad_lines, 0);
    assert_int_equal(symtab_header(t)->flags, 0);
    assert_int_equal(symtab_header(t)->machine, 0);
}

static void the_last_line_that_covers_an_address_names_it(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    t = parsed("1000 100 old\n"
               "1080 20 inner\n"
               "1000 10 new\n"
               "1090 20 newest\n");
    assert_string_equal(name_at(t, 0x1000), "new");
    assert_string_equal(name_at(t, 0x1010), "old");
    assert_string_equal(name_at(t, 0x108f), "inner");
    assert_string_equal(name_at(t, 0x1090), "newest");
    assert_string_equal(name_at(t, 0x10b0), "old");

    symtab_free(t);
    t = parsed("1080 20 inner\n1000 100 later_and_bigger\n");
    assert_string_equal(name_at(t, 0x1080), "later_and_bigger");
}

static void lines_that_make_no_sense_are_dropped_and_counted(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    t = parsed("\n"
               "zzz 10 name\n"
               "1000\n"
               "1000 10\n"
               "1000 10 \n"
               "1000 0 empty\n"
               "1000 0x no_digits\n"
               "0x 10 no_digits\n"
               "1000 -10 negative\n"
               "1000 10name\n"
               " 1000 10 leading_blank\n"
               "11112222333344445 10 seventeen_digits\n"
               "ffffffffffffff00 200 wraps\n"
               "ffffffff81000000 10 kernel\n"
               "7fffffffffffff00 101 into_the_kernel\n"
               "1000 100000000 four_gigabytes\n"
               "1000 10 good\n");
    assert_int_equal(symtab_header(t)->bad_lines, 16);
    assert_int_equal(symtab_header(t)->symbol_count, 1);
    assert_string_equal(name_at(t, 0x1000), "good");
}

static void a_last_line_without_newline_is_not_taken_yet(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    t = parsed("1000 10 whole\n2000 10 Lazy");
    assert_string_equal(name_at(t, 0x1000), "whole");
    assert_string_equal(name_at(t, 0x2000), "");
    assert_int_equal(symtab_header(t)->bad_lines, 1);
    symtab_free(t);
    t = parsed("1000 10 Lazy");
    assert_int_equal(symtab_header(t)->symbol_count, 0);
    assert_int_equal(symtab_header(t)->bad_lines, 1);
    symtab_free(t);
    t = parsed("");
    assert_int_equal(symtab_header(t)->bad_lines, 0);
}

static void a_name_ends_at_a_nul_and_at_its_bound(void **state)
{
    static const char with_nul[] = "1000 10 a\0b\n2000 10 \0\n";
    _cleanup_(symtab_freep) struct symtab *t = parsed_bytes(with_nul, sizeof(with_nul) - 1);
    _cleanup_free_ char *line = malloc(100001);

    (void)state;
    assert_string_equal(name_at(t, 0x1000), "a");
    assert_string_equal(name_at(t, 0x2000), "");
    assert_int_equal(symtab_header(t)->bad_lines, 1);

    memset(line, 'x', 100000);
    memcpy(line, "1000 10 ", 8);
    memcpy(line + 100000 - 10, "\n2000 10 y\n", 11);
    symtab_free(t);
    t = parsed_bytes(line, 100001);
    assert_int_equal(strlen(name_at(t, 0x1000)), SYMTAB_NAME_MAX);
    assert_string_equal(name_at(t, 0x2000), "y");
    assert_int_equal(symtab_header(t)->bad_lines, 0);
}

/* Line lengths are chosen so that every kind of cut between chunks happens. */
static void lines_are_read_across_chunks(void **state)
{
    (void)state;
    for (unsigned padding = 0; padding < 40; padding++) {
        _cleanup_close_ int fd = memfd_empty();
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        char expected[160], name[160];

        for (unsigned i = 0; i < 2500; i++)
            dprintf(fd, "%x %x f%u%.*s\n", 0x10000 + i * 16, 16, i, (int)(padding + i % 64),
                    "........................................................................"
                    "........................................");
        t = parsed_fd(fd);
        assert_int_equal(symtab_header(t)->symbol_count, 2500);
        assert_int_equal(symtab_header(t)->bad_lines, 0);
        for (unsigned i = 0; i < 2500; i++) {
            snprintf(expected, sizeof(expected), "f%u", i);
            snprintf(name, sizeof(name), "%s", name_at(t, 0x10000 + i * 16));
            name[strcspn(name, ".")] = '\0';
            assert_string_equal(name, expected);
        }
    }
}

static long peak_rss_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void a_line_of_200_megabytes_keeps_memory_flat(void **state)
{
    _cleanup_close_ int fd = memfd_of("1000 10 good\n2000 10 ", 21);
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    long before = peak_rss_kib();

    (void)state;
    assert_int_equal(ftruncate(fd, 200 << 20), 0); /* NULs, not newlines */
    t = parsed_fd(fd);
    assert_string_equal(name_at(t, 0x1000), "good");
    assert_int_equal(symtab_header(t)->bad_lines, 1);
    assert_true(peak_rss_kib() - before < 16 << 10);
}

static void beyond_its_bounds_a_map_loses_its_oldest_lines(void **state)
{
    _cleanup_close_ int fd = memfd_empty();
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    _cleanup_fclose_ FILE *f = fdopen(dup(fd), "w");

    (void)state;
    fprintf(f, "500 10 oldest\n");
    for (unsigned i = 0; i < PERFMAP_MAX_SYMBOLS; i++)
        fprintf(f, "%x 10 f\n", 0x10000 + i * 16);
    fflush(f);
    t = parsed_fd(fd);
    assert_int_equal(symtab_header(t)->symbol_count, PERFMAP_MAX_SYMBOLS);
    assert_true(symtab_header(t)->flags & SYMTAB_TRUNCATED);
    assert_string_equal(name_at(t, 0x500), "");
    assert_string_equal(name_at(t, 0x10000), "f");

    /* and so does one that is too long: what is read starts in the middle of a line */
    symtab_free(t);
    assert_int_equal(ftruncate(fd, 0), 0);
    rewind(f);
    fprintf(f, "500 10 oldest\n600 10 cut");
    fflush(f);
    assert_int_equal(ftruncate(fd, PERFMAP_MAX_BYTES), 0);
    fseek(f, 0, SEEK_END);
    fprintf(f, "\n700 10 newest\n");
    fflush(f);
    t = parsed_fd(fd);
    assert_int_equal(symtab_header(t)->symbol_count, 1);
    assert_int_equal(symtab_header(t)->bad_lines, 0);
    assert_true(symtab_header(t)->flags & SYMTAB_TRUNCATED);
    assert_string_equal(name_at(t, 0x700), "newest");
}

/* The table of what is new since an earlier one, of a map that now has this text. */
static struct symtab *parsed_since(const struct symtab *before, const char *text, uint64_t size)
{
    const struct wire_parse_perfmap from = {symtab_header(before)->read_until,
                                            symtab_header(before)->fingerprint, size};
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    _cleanup_close_ int fd = memfd_of(text, strlen(text));

    assert_int_equal(symtab_builder_new(&b), 0);
    assert_int_equal(perfmap_parse(fd, &from, b), 0);
    return built(b);
}

static void of_a_map_that_grew_only_the_new_lines_are_read(void **state)
{
    _cleanup_(symtab_freep) struct symtab *first = parsed("1000 10 old\n2000 10 begu");
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    assert_int_equal(symtab_header(first)->flags, SYMTAB_UNFINISHED);
    assert_int_equal(symtab_header(first)->read_until, 12);
    t = parsed_since(first, "1000 10 old\n2000 10 begun\n3000 10 c\n", UINT64_MAX);
    assert_int_equal(symtab_header(t)->flags, 0);
    assert_int_equal(symtab_header(t)->symbol_count, 2);
    assert_string_equal(name_at(t, 0x2000), "begun");
    symtab_free(t);
    t = parsed_since(first, "1000 10 old\n", UINT64_MAX);
    assert_int_equal(symtab_header(t)->symbol_count, 0);
    assert_int_equal(symtab_header(t)->read_until, 12);
    symtab_free(t);

    /* Lines that came after the file was looked at have a later date. */
    t = parsed_since(first, "1000 10 old\n2000 10 begun\n3000 10 c\n", 26);
    assert_int_equal(symtab_header(t)->symbol_count, 1);
    assert_int_equal(symtab_header(t)->read_until, 26);
}

static void a_map_that_was_written_anew_is_read_as_a_whole(void **state)
{
    static const char *const texts[] = {"1000 10 new\n2000 10 begun\n", "9 9 x\n", ""};
    _cleanup_(symtab_freep) struct symtab *first = parsed("1000 10 old\n2000 10 begu");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(symtab_freep) struct symtab *t = parsed_since(first, texts[i], UINT64_MAX);

        assert_int_equal(symtab_header(t)->flags, SYMTAB_REWRITTEN);
        assert_int_equal(symtab_header(t)->read_until, strlen(texts[i]));
        assert_string_equal(name_at(t, 0x1000), i == 0 ? "new" : "");
    }
}

static void any_bytes_at_all_make_a_table(void **state)
{
    static const char alphabet[] = "0123456789abcdef xX\n\n\t\0\377fn;";
    unsigned seed = 7;

    (void)state;
    for (unsigned round = 0; round < 500; round++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        char text[600];

        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
        t = parsed_bytes(text, sizeof(text));
        assert_true(symtab_header(t)->bad_lines > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_keep_their_blanks_and_numbers_may_have_prefixes),
        cmocka_unit_test(the_last_line_that_covers_an_address_names_it),
        cmocka_unit_test(lines_that_make_no_sense_are_dropped_and_counted),
        cmocka_unit_test(a_last_line_without_newline_is_not_taken_yet),
        cmocka_unit_test(a_name_ends_at_a_nul_and_at_its_bound),
        cmocka_unit_test(lines_are_read_across_chunks),
        cmocka_unit_test(a_line_of_200_megabytes_keeps_memory_flat),
        cmocka_unit_test(beyond_its_bounds_a_map_loses_its_oldest_lines),
        cmocka_unit_test(of_a_map_that_grew_only_the_new_lines_are_read),
        cmocka_unit_test(a_map_that_was_written_anew_is_read_as_a_whole),
        cmocka_unit_test(any_bytes_at_all_make_a_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
