/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spins where no unwinder can lead to the thread's start, for one known reason:
 *
 *   broken ended|unreadable|backwards|norule|unsupported|astray|jit
 *
 * Prints "ready" when it is about to.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096

/* All of them take the stack to stand on, and keep no frame pointer. */
#define SPINS(name, cfi)                                                        \
    __asm__(".p2align 6\n\t.skip 64, 0x90\n\t"                                  \
            ".globl " #name "\n\t.type " #name ",@function\n" #name ":\n\t" cfi \
            "mov %rdi,%rsp\n\tmov $1,%ebp\n"                                    \
            "1:\tpause\n\tjmp 1b\n\t.skip 64, 0x90\n\t"                         \
            ".size " #name ", . - " #name "\n");                                \
    void name(void *stack)

SPINS(by_rule, ".cfi_startproc\n\t");
__asm__(".cfi_endproc");
SPINS(by_low_rule, ".cfi_startproc\n\t.cfi_def_cfa_offset -8\n\t");
__asm__(".cfi_endproc");
/* DW_CFA_def_cfa_expression: DW_OP_lit0 */
SPINS(by_odd_rule, ".cfi_startproc\n\t.cfi_escape 0x0f,0x01,0x30\n\t");
__asm__(".cfi_endproc");
SPINS(by_no_rule, "");

/* mov %rdi,%rsp; mov $1,%ebp; pause; jmp to the pause */
static const uint8_t code[] = {0x48, 0x89, 0xfc, 0xbd, 1, 0, 0, 0, 0xf3, 0x90, 0xeb, 0xfc};

static void *pages(int protection)
{
    void *p = mmap(NULL, 4 * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        err(1, "mmap");
    return p;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    char *stack = (char *)pages(PROT_READ | PROT_WRITE) + 2 * PAGE;
    union {
        void *memory;
        void (*run)(void *stack);
    } jit = {.memory = pages(PROT_READ | PROT_WRITE | PROT_EXEC)};

    memcpy(jit.memory, code, sizeof(code));
    memset(stack - PAGE, 0, 2 * PAGE); /* there, not only mapped */
    puts("ready");
    fflush(stdout);
    if (strcmp(how, "ended") == 0)
        by_rule(stack);
    if (strcmp(how, "unreadable") == 0)
        by_rule((char *)pages(PROT_NONE) + 2 * PAGE);
    if (strcmp(how, "astray") == 0) {
        *(uint64_t *)stack = 0x123456789000;
        by_rule(stack);
    }
    if (strcmp(how, "backwards") == 0)
        by_low_rule(stack);
    if (strcmp(how, "unsupported") == 0)
        by_odd_rule(stack);
    if (strcmp(how, "norule") == 0)
        by_no_rule(stack);
    if (strcmp(how, "jit") == 0)
        jit.run(stack);
    errx(2, "how? see the source");
}
