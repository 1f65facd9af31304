/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs in functions whose unwind rules lie so that a naive walk would never end:
 *
 *   signal    a signal frame that was interrupted by itself
 *   climb     each frame is one word large, so that a walk reads the whole stack as return
 * addresses chain     no rules at all, and frame pointers that lead in a circle
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Each sets up the registers that the lie needs, and burns. The first argument is a block of memory
 * to use as the stack. */
void liar_signal(void *stack);
void liar_climb(void *stack);
void liar_chain(void *stack);

__asm__(".text\n"
        ".globl liar_signal\n"
        ".type liar_signal, @function\n"
        "liar_signal:\n"
        "    .cfi_startproc\n"
        "    .cfi_signal_frame\n"
        "    mov %rdi, %rsp\n"
        "    lea 1f(%rip), %rax\n"
        "    mov %rax, 168(%rsp)\n" /* rip */
        "    mov %rsp, 160(%rsp)\n"
        "    mov %rbp, 120(%rsp)\n"
        "1:  nop\n"
        "    jmp 1b\n"
        "    .cfi_endproc\n"
        ".size liar_signal, . - liar_signal\n"

        ".globl liar_climb\n"
        ".type liar_climb, @function\n"
        "liar_climb:\n"
        "    .cfi_startproc\n"
        "    mov %rdi, %rsp\n"
        "    lea 2f(%rip), %rax\n"
        "    mov $4096, %ecx\n"
        "    cld\n"
        "    rep stosq\n"
        "2:  nop\n"
        "    jmp 2b\n"
        "    .cfi_endproc\n"
        ".size liar_climb, . - liar_climb\n"

        ".globl liar_chain\n"
        ".type liar_chain, @function\n"
        "liar_chain:\n"
        "    mov %rdi, %rsp\n"
        "    lea 64(%rsp), %rbp\n"
        "    lea 3f(%rip), %rax\n"
        "    mov %rax, 8(%rbp)\n"
        "    mov %rbp, (%rbp)\n"
        "3:  nop\n"
        "    jmp 3b\n"
        ".size liar_chain, . - liar_chain\n");

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void *);
    } lies[] = {{"signal", liar_signal}, {"climb", liar_climb}, {"chain", liar_chain}};
    static uint64_t stack[8192];

    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        if (argc > 1 && strcmp(argv[1], lies[i].name) == 0)
            lies[i].run(stack);
    fprintf(stderr, "usage: liar signal|climb|chain\n");
    return 2;
}
