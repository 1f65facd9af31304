/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths of instructions, against objdump's. */
#include "nsresolve/x86.h"
#include "tests/unit/tables.h"

#include <ctype.h>
#include <stdlib.h>

struct truth {
    uint8_t bytes[64];
    size_t size;
    char text[128]; /* as objdump has it */
    size_t checked, odd;
};

/* objdump says so itself, or calls prefixes without an instruction one; fwait is one of its own. */
static bool is_odd(const struct truth *t)
{
    return strstr(t->text, "(bad)") || strncmp(t->text, "rex", 3) == 0 || t->bytes[0] == 0x9b;
}

static void check_one(struct truth *t, const char *path)
{
    struct x86_insn insn = {0};

    if (t->size == 0)
        return;
    t->checked++;
    if (!x86_decode(t->bytes, t->size, &insn) || insn.length != t->size) {
        t->odd++;
        if (!is_odd(t))
            fail_msg("%s: %u bytes instead of %zu: %s", path, insn.length, t->size, t->text);
    }
    t->size = 0;
}

/* "   28b10:\t48 89 c3             \tmov    %rax,%rbx", or without the text when it goes on. */
static void read_line(struct truth *t, const char *line, const char *path)
{
    const char *at = strchr(line, '\t'), *text = at ? strchr(at + 1, '\t') : NULL;

    if (line[0] != ' ' || !at)
        return;
    if (text) {
        check_one(t, path);
        snprintf(t->text, sizeof(t->text), "%.127s", text + 1);
    }
    for (at++; isxdigit((unsigned char)at[0]) && isxdigit((unsigned char)at[1]); at += 3) {
        assert_true(t->size < sizeof(t->bytes));
        t->bytes[t->size++] = (uint8_t)strtoul((char[]){at[0], at[1], '\0'}, NULL, 16);
    }
}

static size_t check_file(const char *path)
{
    char command[600], line[512];
    struct truth t = {0};
    FILE *pipe;

    if (access(path, R_OK) < 0)
        return 0;
    snprintf(command, sizeof(command), "objdump -d '%s' 2>/dev/null", path);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof(line), pipe))
        read_line(&t, line, path);
    check_one(&t, path);
    pclose(pipe);
    print_message("%s: %zu instructions, %zu odd\n", path, t.checked, t.odd);
    assert_true(t.odd * 1000 <= t.checked);
    return t.checked;
}

static void instructions_are_as_long_as_objdump_says(void **state)
{
    static const char *const paths[] = {
        "/usr/lib/x86_64-linux-musl/libc.a",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/libm.so.6",
        "/bin/busybox",
        "/usr/bin/redis-server",
    };
    size_t checked = 0;
    char self[512] = "";

    (void)state;
    if (system("objdump --version > /dev/null 2>&1") != 0)
        skip();
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        checked += check_file(paths[i]);
    checked += check_file(self);
    assert_true(checked > 10000);
}

#define assert_length(expected, ...)                           \
    do {                                                       \
        const uint8_t code_[] = {__VA_ARGS__};                 \
        struct x86_insn insn_;                                 \
        for (size_t cut_ = 0; cut_ < (expected); cut_++)       \
            assert_false(x86_decode(code_, cut_, &insn_));     \
        assert_true(x86_decode(code_, sizeof(code_), &insn_)); \
        assert_int_equal(insn_.length, expected);              \
    } while (0)

static void what_is_cut_is_no_instruction(void **state)
{
    (void)state;
    assert_length(1, 0xc3);
    assert_length(4, 0x48, 0x83, 0xec, 0x28);
    assert_length(10, 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8);         /* movabs */
    assert_length(9, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8);                /* an absolute address */
    assert_length(10, 0x66, 0xc7, 0x84, 0x24, 1, 2, 3, 4, 5, 6);   /* movw $0x605,0x4030201(%rsp) */
    assert_length(8, 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x44, 0x24, 1); /* EVEX, disp8 */
    assert_length(6, 0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1);             /* VEX, an immediate */
}

static void what_64_bit_code_does_not_have_is_none(void **state)
{
    static const uint8_t codes[] = {0x06, 0x27, 0x60, 0x82, 0x9a, 0xce, 0xd4, 0xea};
    uint8_t prefixes[16];
    struct x86_insn insn;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        assert_false(x86_decode((const uint8_t[16]){codes[i]}, 16, &insn));
    memset(prefixes, 0x66, sizeof(prefixes));
    prefixes[15] = 0x90;
    assert_false(x86_decode(prefixes, sizeof(prefixes), &insn)); /* longer than 15 bytes */
    assert_true(x86_decode(prefixes + 1, sizeof(prefixes) - 1, &insn));
}

#define assert_writes(expected, reg, ...)                                      \
    do {                                                                       \
        struct x86_insn insn_;                                                 \
        assert_true(x86_decode((const uint8_t[16]){__VA_ARGS__}, 16, &insn_)); \
        assert_int_equal(x86_writes(&insn_, reg), expected);                   \
    } while (0)

static void it_is_known_what_changes_a_register(void **state)
{
    (void)state;
    assert_writes(true, X86_RBP, 0x89, 0xc5);                   /* mov %eax,%ebp */
    assert_writes(false, X86_RBP, 0x89, 0xe8);                  /* mov %ebp,%eax */
    assert_writes(false, X86_RBP, 0x41, 0x89, 0xc5);            /* mov %eax,%r13d */
    assert_writes(false, X86_RBP, 0x89, 0x45, 0);               /* mov %eax,(%rbp) */
    assert_writes(false, X86_RBP, 0x39, 0xc5);                  /* cmp %eax,%ebp */
    assert_writes(true, X86_RSP, 0x48, 0x29, 0xc4);             /* sub %rax,%rsp */
    assert_writes(false, X86_RSP, 0x48, 0x83, 0xfc, 0);         /* cmp $0,%rsp */
    assert_writes(true, X86_RBP, 0xbd, 1, 0, 0, 0);             /* mov $1,%ebp */
    assert_writes(false, X86_RBP, 0xb5, 1);                     /* mov $1,%ch */
    assert_writes(true, X86_RBP, 0x40, 0xb5, 1);                /* mov $1,%bpl */
    assert_writes(true, X86_RBP, 0x0f, 0xb6, 0xe8);             /* movzbl %al,%ebp */
    assert_writes(false, X86_RBP, 0x0f, 0x28, 0xe8);            /* movaps %xmm0,%xmm5 */
    assert_writes(true, X86_RBP, 0xc4, 0xe2, 0xd0, 0xf3, 0xc9); /* blsr %rcx,%rbp */
    assert_writes(true, X86_RBP, 0x95);                         /* xchg %eax,%ebp */
    assert_writes(false, X86_RBP, 0x0f, 0x94, 0xc5);            /* sete %ch */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_are_as_long_as_objdump_says),
        cmocka_unit_test(what_is_cut_is_no_instruction),
        cmocka_unit_test(what_64_bit_code_does_not_have_is_none),
        cmocka_unit_test(it_is_known_what_changes_a_register),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
