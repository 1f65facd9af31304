/* SPDX-License-Identifier: Apache-2.0 */
/* Go's function table: names and unwind rows, of tables that tell the truth and of those that lie.
 */
#include "nsresolve/pclntab.h"
#include "tests/unit/craft_go.h"
#include "tests/unit/parse_elf.h"
#include "tests/unit/unwind_tables.h"

static struct symtab *names_of(const struct go_file *g)
{
    struct symtab *t = NULL;

    assert_int_equal(parse_bytes(g, GO_SIZE, &any, &t), 0);
    return t;
}

/* The rows of a file, which must be sound whatever they say. */
static struct unwindtab *rows_of(const struct go_file *g)
{
    return unwind_parsed(g, GO_SIZE);
}

static void assert_all_named(const struct go_file *g)
{
    _cleanup_(symtab_freep) struct symtab *t = names_of(g);
    char name[32];

    for (unsigned i = 0; i < GO_FUNCTIONS; i++) {
        assert_string_equal(name_at(t, go_at(i, 0)), go_name(i, name));
        assert_string_equal(name_at(t, go_at(i, GO_EACH - 1)), go_name(i, name));
    }
    assert_string_equal(name_at(t, go_at(GO_FUNCTIONS, 0)), "");
    assert_int_equal(symtab_header(t)->go_start, GO_TEXT);
    assert_int_equal(symtab_header(t)->go_end, go_at(GO_FUNCTIONS, 0));
}

static void assert_nothing(const struct go_file *g)
{
    _cleanup_(symtab_freep) struct symtab *t = names_of(g);
    _cleanup_(unwindtab_freep) struct unwindtab *rows = rows_of(g);
    uint32_t count;

    assert_int_equal(symtab_header(t)->symbol_count, 0);
    assert_int_equal(symtab_header(t)->go_start, symtab_header(t)->go_end);
    unwindtab_rows(rows, &count);
    assert_int_equal(count, 0);
}

static void functions_are_named_in_the_layout_of_every_version(void **state)
{
    struct go_file g;

    (void)state;
    for (enum go_version v = 0; v < GO_VERSIONS; v++) {
        go_craft(&g, v);
        assert_all_named(&g);
    }
}

static void the_table_is_found_without_section_headers(void **state)
{
    struct go_file g;

    (void)state;
    for (enum go_version v = 0; v < GO_VERSIONS; v++) {
        go_craft(&g, v);
        g.header.e_shoff = g.header.e_shnum = 0;
        assert_all_named(&g);
    }
}

static void where_the_code_starts_is_found_when_no_header_says_it(void **state)
{
    struct go_file g;

    (void)state;
    go_craft(&g, GO_120);
    go_set64(&g, 24, 0);
    assert_all_named(&g);

    /* C stands before it: the code itself tells. */
    memmove(g.text + 0x60, g.text, sizeof(g.text) - 0x60);
    g.segments[0].p_vaddr -= 0x60;
    g.sections[1].sh_addr -= 0x60;
    assert_all_named(&g);

    /* Code that does not fit is not Go's. */
    memset(g.text, 0xcc, sizeof(g.text));
    assert_nothing(&g);
}

static void a_symbol_table_is_left_to_say_the_names(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct go_file g;

    (void)state;
    go_craft(&g, GO_120);
    g.sections[1].sh_type = SHT_SYMTAB; /* empty */
    t = names_of(&g);
    assert_int_equal(symtab_header(t)->symbol_count, 0);
    assert_int_equal(symtab_header(t)->go_start, GO_TEXT);
}

static void rows_follow_the_stack_pointer(void **state)
{
    struct go_file g;

    (void)state;
    for (enum go_version v = 0; v < GO_VERSIONS; v++) {
        _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;

        go_craft(&g, v);
        t = rows_of(&g);
        assert_rule(t, go_at(0, 4), UNWIND_RSP, 1, 0);
        assert_rule(t, go_at(0, 5), UNWIND_RSP, 2, 0); /* rbp is the caller's still */
        assert_rule(t, go_at(0, 8), UNWIND_RSP, 13, 2);
        assert_rule(t, go_at(0, 96), UNWIND_RSP, 1, 0);
        assert_rule(t, go_at(GO_STORE, 3), UNWIND_RSP, 1, 0);
        assert_rule(t, go_at(GO_STORE, 13), UNWIND_RSP, 6, 0);
        assert_rule(t, go_at(GO_STORE, 14), UNWIND_RSP, 6, 2);
        assert_rule(t, go_at(GO_BIG, 20), UNWIND_RBP, 2, 2);
    }
}

static void stacks_end_and_go_on_where_go_switches_them(void **state)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct go_file g;

    (void)state;
    go_craft(&g, GO_120);
    t = rows_of(&g);
    assert_rule(t, go_at(GO_SYSTEMSTACK, 20), UNWIND_SWITCH, 2, 2);
    assert_rule(t, go_at(GO_GOEXIT, 1), UNWIND_END, 0, 0);
    assert_rule(t, go_at(GO_SYSTEMSTACK, 5), UNWIND_RSP, 2, 0);
    assert_rule(t, go_at(GO_MCALL, 20), UNWIND_RSP, 2, 2);
    assert_rule(t, go_at(GO_MCALL, 100), UNWIND_END, 0, 0);
    assert_rule(t, go_at(GO_MORESTACK, 67), UNWIND_RSP, 1, 0);
    assert_rule(t, go_at(GO_MORESTACK, 68), UNWIND_GO, 0xb8 / 8, 0x60 / 8);
}

static void what_is_not_known_is_not_guessed(void **state)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct go_file g;

    (void)state;
    go_craft(&g, GO_120);
    memset(g.text + GO_SYSTEMSTACK * GO_EACH, 0xcc, GO_EACH);
    t = rows_of(&g);
    assert_rule(t, go_at(GO_MORESTACK, 68), UNWIND_LOST, 0, 0);
    assert_int_equal(unwindtab_find(t, go_at(GO_GUESSED, 64))->kind, UNWIND_NONE);
}

static void headers_that_lie_are_no_tables(void **state)
{
    static const uint64_t lies[] = {0, 1ull << 40, UINT64_MAX, UINT64_MAX - 7, 0xfff};
    struct go_file g;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        static const size_t at[] = {8, 64}; /* functions; where their list is */

        for (size_t k = 0; k < ARRAY_SIZE(at); k++) {
            if (at[k] == 64 && lies[i] == 0)
                continue;
            go_craft(&g, GO_120);
            go_set64(&g, at[k], lies[i]);
            assert_nothing(&g);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        go_craft(&g, GO_118);
        g.table[i] ^= 0x40;
        assert_nothing(&g);
    }
}

static void functions_that_lie_are_left_out_alone(void **state)
{
    struct go_file g;
    uint32_t lie;

    (void)state;
    for (unsigned field = 0; field < 3; field++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;

        go_craft(&g, GO_120);
        /* Beyond the table, or with its end in the midst. */
        lie = field < 2 ? 0x7fffffff : (uint32_t)(sizeof(g.table) - g.list - 5);
        /* The name of main.f3, then where its entry is. */
        if (field == 0)
            memcpy(g.table + g.list + g.entries[3] + 4, &lie, sizeof(lie));
        else
            memcpy(g.table + g.list + 3 * 8 + 4, &lie, sizeof(lie));
        t = names_of(&g);
        assert_string_equal(name_at(t, go_at(3, 0)), "");
        assert_string_equal(name_at(t, go_at(4, 0)), "main.f4");
        assert_true(symtab_header(t)->flags & SYMTAB_TRUNCATED);
    }
}

static void a_list_that_goes_back_is_no_table(void **state)
{
    struct go_file g;

    (void)state;
    go_craft(&g, GO_12);
    go_set64(&g, g.list + 16 * 3, go_at(1, 0) - 1);
    assert_nothing(&g);
}

static void functions_beyond_the_code_are_left_out(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct go_file g;

    (void)state;
    go_craft(&g, GO_12);
    go_set64(&g, g.list + (GO_FUNCTIONS - 1) * 16, 0x7000000000);
    go_set64(&g, g.list + GO_FUNCTIONS * 16, 0x7000000100);
    t = names_of(&g);
    assert_string_equal(name_at(t, 0x7000000000), "");
    assert_string_equal(name_at(t, go_at(1, 0)), "main.f1");
}

static void steps_that_never_end_are_cut_off(void **state)
{
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct go_file g;

    (void)state;
    go_craft(&g, GO_120);
    memset(g.table + g.steps[0], 0xff, 64); /* numbers without an end */
    t = rows_of(&g);
    assert_rule(t, go_at(GO_GOEXIT, 1), UNWIND_END, 0, 0);
    assert_true(unwindtab_find(t, go_at(0, 5)) == NULL ||
                unwindtab_find(t, go_at(0, 5))->kind == UNWIND_NONE);
}

/* Whatever is wrong, the agent's checks must pass and nothing may be read that is not there. */
static void any_byte_may_be_any_other(void **state)
{
    uint32_t seed = 1;
    struct go_file g;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;

        go_craft(&g, i % GO_VERSIONS);
        if (i % 3 == 0)
            g.header.e_shoff = g.header.e_shnum = 0;
        for (unsigned k = 0; k < 4; k++) {
            seed = seed * 1664525 + 1013904223;
            g.table[(seed >> 8) % (k < 2 ? 0x60 : sizeof(g.table))] = (uint8_t)(seed >> 3);
        }
        t = names_of(&g);
        unwind_parse_result(&g, GO_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_named_in_the_layout_of_every_version),
        cmocka_unit_test(the_table_is_found_without_section_headers),
        cmocka_unit_test(where_the_code_starts_is_found_when_no_header_says_it),
        cmocka_unit_test(a_symbol_table_is_left_to_say_the_names),
        cmocka_unit_test(rows_follow_the_stack_pointer),
        cmocka_unit_test(stacks_end_and_go_on_where_go_switches_them),
        cmocka_unit_test(what_is_not_known_is_not_guessed),
        cmocka_unit_test(headers_that_lie_are_no_tables),
        cmocka_unit_test(functions_that_lie_are_left_out_alone),
        cmocka_unit_test(a_list_that_goes_back_is_no_table),
        cmocka_unit_test(functions_beyond_the_code_are_left_out),
        cmocka_unit_test(steps_that_never_end_are_cut_off),
        cmocka_unit_test(any_byte_may_be_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
