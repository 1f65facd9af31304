/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spends its CPU time in phases of known kind, and writes to /tmp/truth how much each has had: a
 * line "NAME NANOSECONDS" a phase, all in one write. `truth LIBRARY EXPORTED HIDDEN`: a stripped
 * library and the file offsets (hex) of its two functions; it is mapped by hand, as a static
 * program has no loader.
 *
 *   named      a function of this program's symbol table
 *   exported   one of the library's dynamic symbols
 *   hidden     one of the library that stripping left without a name
 *   listed     code in anonymous memory that the perf map has
 *   unlisted   code in anonymous memory that it lacks
 *   deep       a recursion deeper than is ever walked
 *   lost       code without unwind rules that clears the frame pointer
 *
 * Phases come in random order and length, so that no sampling rate can fall into step with them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define noinline __attribute__((noinline, noclone))
#define COPY 512
#define DEEP 1500

typedef unsigned long burn_fn(unsigned long n);

/* Position-independent, calls nothing, touches no global. */
noinline __attribute__((aligned(64))) unsigned long template_burn(unsigned long n)
{
    volatile unsigned long x = n;

    for (unsigned long i = 0; i < n; i++)
        x = x * 2862933555777941757ul + 3037000493ul;
    return x;
}

noinline unsigned long truth_named(unsigned long n)
{
    return template_burn(n) + 1;
}

noinline unsigned long truth_deep(unsigned long depth, unsigned long n)
{
    return depth ? truth_deep(depth - 1, n) + 1 : template_burn(n);
}

/* No .cfi directive, so no rules; and none can be made from code that moves the stack by a number
 * that it computes. */
unsigned long truth_lost(unsigned long n);
__asm__(".text\n"
        ".globl truth_lost\n"
        ".type truth_lost, @function\n"
        "truth_lost:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    mov %rsp, %rbx\n"
        "    mov %rdi, %rax\n"
        "    and $64, %rax\n"
        "    sub %rax, %rsp\n"
        "    xor %ebp, %ebp\n"
        "    mov %rdi, %rax\n"
        "1:  imul $1103515245, %rax, %rax\n"
        "    imul $1103515245, %rax, %rax\n"
        "    imul $1103515245, %rax, %rax\n"
        "    dec %rdi\n"
        "    jnz 1b\n"
        "    mov %rbx, %rsp\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size truth_lost, . - truth_lost\n");

static burn_fn *listed, *unlisted, *exported, *hidden;
static volatile unsigned long sink;

static burn_fn *to_function(const void *p)
{
    burn_fn *f;

    memcpy(&f, &p, sizeof(f));
    return f;
}

static int compile(void)
{
    unsigned char *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char path[64];
    FILE *f;

    if (code == MAP_FAILED)
        return -1;
    memcpy(code, (const void *)template_burn, COPY);
    memcpy(code + COPY, (const void *)template_burn, COPY);
    listed = to_function(code);
    unlisted = to_function(code + COPY);
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    f = fopen(path, "w");
    if (!f)
        return -1;
    fprintf(f, "%lx %x truth_listed\n", (unsigned long)code, COPY);
    return fclose(f) == 0 ? mprotect(code, 4096, PROT_READ | PROT_EXEC) : -1;
}

static int map_library(char **argv)
{
    int fd = open(argv[1], O_RDONLY);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    char *image;

    if (size <= 0)
        return -1;
    image = mmap(NULL, (size_t)size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (image == MAP_FAILED)
        return -1;
    exported = to_function(image + strtoul(argv[2], NULL, 16));
    hidden = to_function(image + strtoul(argv[3], NULL, 16));
    return 0;
}

/* ---- phases ---- */

static struct {
    const char *name;
    unsigned weight;
    unsigned long long ns;
} phases[] = {
    {"named", 30, 0},   {"exported", 10, 0}, {"hidden", 20, 0}, {"listed", 15, 0},
    {"unlisted", 8, 0}, {"deep", 7, 0},      {"lost", 10, 0},
};
#define PHASES (sizeof(phases) / sizeof(phases[0]))

static unsigned long run(unsigned phase, unsigned long n)
{
    switch (phase) {
    case 0:
        return truth_named(n) + 1;
    case 1:
        return exported(n) + 1;
    case 2:
        return hidden(n) + 1;
    case 3:
        return listed(n) + 1;
    case 4:
        return unlisted(n) + 1;
    case 5:
        return truth_deep(DEEP, n) + 1;
    default:
        return truth_lost(n) + 1;
    }
}

static unsigned long long cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
}

static void tell(int fd)
{
    char text[1024];
    size_t at = 0;

    for (unsigned i = 0; i < PHASES; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%-10s %20llu\n", phases[i].name,
                               phases[i].ns);
    if (pwrite(fd, text, at, 0) < 0)
        exit(1);
}

int main(int argc, char **argv)
{
    int fd = open("/tmp/truth", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    unsigned seed = 1;

    if (argc < 4 || fd < 0 || compile() < 0 || map_library(argv) < 0)
        return 1;
    for (unsigned round = 0;; round++) {
        unsigned phase = (unsigned)rand_r(&seed) % PHASES;
        unsigned long n = phases[phase].weight * (5000ul + (unsigned)rand_r(&seed) % 5000);
        unsigned long long before = cpu_ns();

        sink += run(phase, n);
        phases[phase].ns += cpu_ns() - before;
        if (round % 64 == 0)
            tell(fd);
    }
}
