/* SPDX-License-Identifier: Apache-2.0 */
/* Code without unwind tables: what is found in the code, against what tables say of it. */
#include "nsresolve/codeflow.h"
#include "nsresolve/uncovered.h"
#include "tests/unit/unwind_tables.h"

#include <stdlib.h>

#define SHOWN_MAX 5

static char **given;

/* What the code alone says of the whole file. */
static struct unwindtab *from_code(int fd, uint64_t base)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_close_ int out_fd = memfd_empty();
    struct unwindtab *t = NULL;
    struct elf_file f;

    assert_int_equal(unwindtab_builder_new(&b), 0);
    assert_int_equal(elf_file_open(&f, fd), 0);
    unwindtab_builder_header(b)->machine = EM_X86_64;
    unwindtab_builder_header(b)->base_vaddr = base;
    assert_int_equal(uncovered_add(&f, b), 0);
    elf_file_close(&f);
    assert_int_equal(unwindtab_builder_write(b, out_fd), 0);
    seal(out_fd);
    assert_int_equal(unwindtab_open(out_fd, &t), 0);
    return t;
}

struct tally {
    size_t both, agree, silent, shown;
};

/* Whether both lead to the same caller. Compilers do not note that rbp is restored by an epilogue:
 * where it was saved is below rsp then, and still has it. */
static bool same_caller(uint64_t at, const struct unwind_row *table, const struct unwind_row *code)
{
    struct unwind_row x = *table;

    if (x.kind == UNWIND_PLT) {
        x.offset = 1 + ((int16_t)(at & 15) >= x.offset);
        x.kind = UNWIND_RSP;
    }
    if (x.kind != code->kind || (x.kind != UNWIND_END && x.offset != code->offset))
        return false;
    return x.rbp == code->rbp || x.kind == UNWIND_END ||
           (code->rbp == 0 && code->kind == UNWIND_RSP && x.rbp > code->offset);
}

static void compare(const char *path, uint64_t at, const struct unwind_row *table,
                    const struct unwind_row *code, struct tally *n)
{
    /* How a signal's frame looks is nothing that code says. */
    if (!table || table->kind == UNWIND_NONE || table->kind == UNWIND_UNSUPPORTED ||
        table->kind == UNWIND_SIGNAL)
        return;
    if (!code || code->kind == UNWIND_NONE) {
        n->silent++;
        return;
    }
    n->both++;
    if (same_caller(at, table, code)) {
        n->agree++;
        return;
    }
    if (n->shown++ < SHOWN_MAX)
        print_message("%s: %#lx: table %d %+d rbp %d, code %d %+d rbp %d\n", path,
                      (unsigned long)at, table->kind, table->offset, table->rbp, code->kind,
                      code->offset, code->rbp);
}

static struct tally compare_file(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(unwindtab_freep) struct unwindtab *table = NULL, *code = NULL;
    const struct unwind_row *rows;
    struct tally n = {0};
    uint32_t count;

    if (fd < 0)
        return n;
    assert_int_equal(unwind_parse_fd(fd, &table), 0);
    code = from_code(fd, unwindtab_base(table));
    rows = unwindtab_rows(table, &count);
    for (uint32_t i = 0; i + 1 < count; i++)
        for (uint32_t pc = rows[i].pc; pc < rows[i + 1].pc; pc++)
            compare(path, unwindtab_base(table) + pc, &rows[i],
                    unwindtab_find(code, unwindtab_base(table) + pc), &n);
    print_message("%s: %zu of %zu addresses agree, code says nothing of %zu\n", path, n.agree,
                  n.both, n.silent);
    return n;
}

/* Where they do not agree is mostly code behind a call from which nothing ever returns, in another
 * file or by way of a pointer; that some code has is unknown to itself (_start). */
static void code_says_what_tables_say(void **state)
{
    static const char *const paths[] = {
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "build/tests/workloads/omit-static-pie",
    };
    size_t compared = 0;

    (void)state;
    for (int i = 0; given[i]; i++)
        compare_file(given[i]);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct tally n = compare_file(paths[i]);

        assert_true(n.agree * 1000 >= n.both * 999);
        assert_true(n.silent * 6 <= n.both);
        compared += n.both;
    }
    if (compared == 0)
        skip();
}

/* ---- code made by hand ---- */

#define CODE 0x401000u
#define SECOND 0x20u /* where a second function starts */

static struct unwindtab *flow(const uint8_t *bytes, size_t size)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_(codeflow_freep) struct codeflow *c = NULL;
    _cleanup_close_ int fd = memfd_empty();
    struct unwindtab *t = NULL;
    uint8_t *at;

    assert_int_equal(unwindtab_builder_new(&b), 0);
    assert_int_equal(codeflow_new(&c), 0);
    assert_int_equal(codeflow_add(c, CODE, (uint32_t)size, &at), 0);
    memcpy(at, bytes, size);
    assert_int_equal(codeflow_ready(c), 0);
    codeflow_start(c, CODE);
    codeflow_run(c);
    unwindtab_builder_header(b)->machine = EM_X86_64;
    unwindtab_builder_header(b)->base_vaddr = CODE - 0x1000;
    assert_int_equal(codeflow_rows(c, b), 0);
    assert_int_equal(unwindtab_builder_write(b, fd), 0);
    seal(fd);
    assert_int_equal(unwindtab_open(fd, &t), 0);
    return t;
}

#define FLOW(name, ...)                               \
    const uint8_t name##_bytes[0x40] = {__VA_ARGS__}; \
    _cleanup_(unwindtab_freep) struct unwindtab *name = flow(name##_bytes, sizeof(name##_bytes))

static void pushes_and_pops_move_the_frame(void **state)
{
    /* push %rbp; push %rbx; sub $0x28,%rsp; add $0x28,%rsp; pop %rbx; pop %rbp; ret */
    FLOW(t, 0x55, 0x53, 0x48, 0x83, 0xec, 0x28, 0x48, 0x83, 0xc4, 0x28, 0x5b, 0x5d, 0xc3);

    (void)state;
    assert_rule(t, CODE, UNWIND_RSP, 1, 0);
    assert_rule(t, CODE + 1, UNWIND_RSP, 2, 2);
    assert_rule(t, CODE + 2, UNWIND_RSP, 3, 2);
    assert_rule(t, CODE + 6, UNWIND_RSP, 8, 2);
    assert_rule(t, CODE + 10, UNWIND_RSP, 3, 2);
    assert_rule(t, CODE + 12, UNWIND_RSP, 1, 0);
    assert_rule(t, CODE + 13, UNWIND_NONE, 0, 0);
}

static void a_frame_pointer_outlives_a_stack_of_unknown_size(void **state)
{
    /* push %rbp; mov %rsp,%rbp; sub %rax,%rsp; leave; ret */
    FLOW(t, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x29, 0xc4, 0xc9, 0xc3);

    (void)state;
    assert_rule(t, CODE + 1, UNWIND_RSP, 2, 2);
    assert_rule(t, CODE + 4, UNWIND_RBP, 2, 2);
    assert_rule(t, CODE + 7, UNWIND_RBP, 2, 2);
    assert_rule(t, CODE + 8, UNWIND_RSP, 1, 0);
}

static void where_two_ways_disagree_there_is_no_rule(void **state)
{
    /* je +1; push %rbx; nop; ret */
    FLOW(t, 0x74, 0x01, 0x53, 0x90, 0xc3);

    (void)state;
    assert_rule(t, CODE + 2, UNWIND_RSP, 1, 0);
    assert_rule(t, CODE + 3, UNWIND_NONE, 0, 0);
    assert_rule(t, CODE + 4, UNWIND_NONE, 0, 0);
}

static void who_clears_the_callers_rbp_has_no_caller(void **state)
{
    /* test %eax,%eax; jne to ret; xor %ebp,%ebp; pop %rdi; call *%r9; hlt; ret: as clone() */
    FLOW(start, 0x85, 0xc0, 0x75, 0x07, 0x31, 0xed, 0x5f, 0x41, 0xff, 0xd1, 0xf4, 0xc3);
    /* push %rbp; xor %ebp,%ebp; pop %rbp; ret */
    FLOW(plain, 0x55, 0x31, 0xed, 0x5d, 0xc3);

    (void)state;
    assert_rule(start, CODE + 4, UNWIND_RSP, 1, 0);
    assert_rule(start, CODE + 6, UNWIND_END, 0, 0);
    assert_rule(start, CODE + 7, UNWIND_END, 0, 0);
    assert_rule(start, CODE + 11, UNWIND_RSP, 1, 0);
    assert_rule(plain, CODE + 3, UNWIND_RSP, 2, 2);
}

static void the_cases_of_a_switch_have_the_frame_of_its_jump(void **state)
{
    /* push %rbx; jmp *%rax; nop x3; inc %eax; pop %rbx; ret */
    FLOW(t, 0x53, 0xff, 0xe0, 0x90, 0x90, 0x90, 0xff, 0xc0, 0x5b, 0xc3);

    (void)state;
    assert_rule(t, CODE + 6, UNWIND_RSP, 2, 0);
    assert_rule(t, CODE + 9, UNWIND_RSP, 1, 0);
}

static void nothing_is_behind_a_call_that_never_returns(void **state)
{
    /* push %rbx; je to ret's pop; sub $0x10,%rsp; call SECOND; pop %rbx; ret ... SECOND: hlt */
    FLOW(t, 0x53, 0x74, 0x09, 0x48, 0x83, 0xec, 0x10, 0xe8, 0x14, 0, 0, 0, 0x5b,
         0xc3, [SECOND] = 0xf4);
    /* The same, but that SECOND returns: the ways disagree. */
    FLOW(back, 0x53, 0x74, 0x09, 0x48, 0x83, 0xec, 0x10, 0xe8, 0x14, 0, 0, 0, 0x5b,
         0xc3, [SECOND] = 0xc3);

    (void)state;
    assert_rule(t, CODE + 12, UNWIND_RSP, 2, 0);
    assert_rule(t, CODE + 13, UNWIND_RSP, 1, 0);
    assert_rule(t, CODE + SECOND, UNWIND_RSP, 1, 0);
    assert_rule(back, CODE + 12, UNWIND_NONE, 0, 0);
}

static void a_functions_start_has_its_frame_whatever_runs_into_it(void **state)
{
    /* push %rbx; call SECOND; nop … SECOND: ret */
    FLOW(t, 0x53, 0xe8, SECOND - 6, 0, 0, 0, [6 ... SECOND - 1] = 0x90, [SECOND] = 0xc3);

    (void)state;
    assert_rule(t, CODE + SECOND - 1, UNWIND_RSP, 2, 0);
    assert_rule(t, CODE + SECOND, UNWIND_RSP, 1, 0);
}

static void code_that_jumps_everywhere_comes_to_an_end(void **state)
{
    static uint8_t bytes[1 << 18];
    uint32_t seed = 1;

    (void)state;
    /* push %rax and conditional jumps: every place is reached with many depths. */
    for (size_t i = 0; i < sizeof(bytes); i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = i % 3 == 0 ? 0x50 : i % 3 == 1 ? 0x75 : (uint8_t)(seed >> 24);
    }
    unwindtab_free(flow(bytes, sizeof(bytes)));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
    unwindtab_free(flow(bytes, sizeof(bytes)));
}

/* Takes more files as arguments. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_says_what_tables_say),
        cmocka_unit_test(pushes_and_pops_move_the_frame),
        cmocka_unit_test(a_frame_pointer_outlives_a_stack_of_unknown_size),
        cmocka_unit_test(where_two_ways_disagree_there_is_no_rule),
        cmocka_unit_test(who_clears_the_callers_rbp_has_no_caller),
        cmocka_unit_test(the_cases_of_a_switch_have_the_frame_of_its_jump),
        cmocka_unit_test(nothing_is_behind_a_call_that_never_returns),
        cmocka_unit_test(a_functions_start_has_its_frame_whatever_runs_into_it),
        cmocka_unit_test(code_that_jumps_everywhere_comes_to_an_end),
    };

    given = argv + MIN(argc, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
