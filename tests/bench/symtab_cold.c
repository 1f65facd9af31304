/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the symbol table of a big binary takes: cold (its pages dropped from the cache), warm,
 * and cached (the table is there, only opened and asked). Each parse runs in a child, as it does in
 * the parser; the child's peak RSS is shown too. Usage: symtab_cold [FILE...].
 */
#include "base/loop.h"
#include "nsresolve/parse.h"
#include "nsresolve/symtab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define RUNS 5

static double ms_since(uint64_t start)
{
    return (double)(now_ns() - start) / (double)NS_PER_MS;
}

/* Parses in a child. Returns the child's peak RSS in KiB, or -1. */
static long parse_in_child(int in_fd, int out_fd)
{
    struct wire_parse_elf want = {0};
    struct rusage usage;
    int status, error;
    pid_t pid = fork();

    if (pid < 0)
        return -1;
    if (pid == 0)
        _exit((int)parse_request(WIRE_PARSE_ELF, &want, sizeof(want),
                                 &(struct parse_files){.in_fd = in_fd, .out_fd = out_fd}, &error));
    if (wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return -1;
    return usage.ru_maxrss;
}

static int seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

/* Opens the table and asks for its middle symbol: what a cached look-up costs at most. */
static int ask(int fd, double *ms, uint32_t *symbols, size_t *bytes)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    uint64_t start = now_ns();
    const char *name;
    uint64_t vaddr;
    int r;

    r = symtab_open(fd, &t);
    if (r < 0)
        return r;
    if (symtab_vaddr(t, 0x100000, &vaddr))
        symtab_find(t, vaddr, &name);
    *ms = ms_since(start);
    *symbols = symtab_header(t)->symbol_count;
    *bytes = symtab_bytes(t);
    return 0;
}

static int measure(const char *path)
{
    double cold = 1e9, warm = 1e9, cached = 1e9;
    _cleanup_close_ int in_fd = open(path, O_RDONLY | O_CLOEXEC);
    uint32_t symbols = 0;
    size_t bytes = 0;
    long rss = 0;

    if (in_fd < 0)
        return -errno;

    for (int run = 0; run < 2 * RUNS; run++) {
        _cleanup_close_ int out_fd = memfd_create("symtab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        bool is_cold = run % 2 == 0;
        double ms, asked;
        uint64_t start;
        long used;
        int r;

        if (is_cold)
            posix_fadvise(in_fd, 0, 0, POSIX_FADV_DONTNEED);
        start = now_ns();
        used = parse_in_child(in_fd, out_fd);
        ms = ms_since(start);
        if (used < 0 || seal(out_fd) < 0)
            return -EIO;
        r = ask(out_fd, &asked, &symbols, &bytes);
        if (r < 0)
            return r;
        *(is_cold ? &cold : &warm) = MIN(is_cold ? cold : warm, ms + asked);
        cached = MIN(cached, asked);
        rss = MAX(rss, used);
    }
    printf("%-46s cold %6.1f ms  warm %6.1f ms  cached %5.2f ms  %7u symbols  table %5.1f MB  "
           "child %5.1f MB\n",
           path, cold, warm, cached, symbols, (double)bytes / 1e6, (double)rss / 1024);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: symtab_cold FILE...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        int r = measure(argv[i]);

        if (r < 0) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
            failed = 1;
        }
    }
    return failed;
}
