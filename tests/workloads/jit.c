/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A minimal just-in-time compiler: copies one function twice into anonymous executable memory,
 * names the copies in /tmp/perf-PID.map and spends a quarter of its time in the first, the rest in
 * the second. The map names the second one wrongly at first: the last line must win.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COPY 512

/* Position-independent, calls nothing, touches no global. */
__attribute__((noinline, noclone, aligned(64))) static unsigned long template_loop(unsigned long n)
{
    unsigned long x = n;

    for (unsigned long i = 0; i < n; i++)
        x = x * 2862933555777941757ul + 3037000493ul;
    return x;
}

static int write_map(const unsigned char *code)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    f = fopen(path, "w");
    if (!f)
        return -1;
    fprintf(f, "%lx %x jit_before_recompilation\n", (unsigned long)(code + COPY), COPY);
    fprintf(f, "%lx %x jit_quarter\n", (unsigned long)code, COPY);
    fprintf(f, "0x%lx 0x%x jit three; quarters\n", (unsigned long)(code + COPY), COPY);
    return fclose(f);
}

int main(void)
{
    unsigned char *code;
    unsigned long (*first)(unsigned long), (*second)(unsigned long);
    volatile unsigned long sink = 0;

    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        return 1;
    memcpy(code, (const void *)template_loop, COPY);
    memcpy(code + COPY, (const void *)template_loop, COPY);
    if (mprotect(code, 4096, PROT_READ | PROT_EXEC) < 0 || write_map(code) < 0)
        return 1;
    first = (unsigned long (*)(unsigned long))code;
    second = (unsigned long (*)(unsigned long))(code + COPY);
    for (;;)
        sink += first(100000) + second(300000);
}
