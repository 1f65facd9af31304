/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF programs that do nothing: what every program costs at a hook before it does anything. Usage:
 * empty_hooks raw_tp|tp_btf HOOK…; prints "attached", ends with its stdin.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* r0 = 0; exit */
static const struct bpf_insn nothing[] = {
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
    {.code = BPF_JMP | BPF_EXIT},
};

static int attach(const char *hook, bool typed)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    enum bpf_prog_type type = BPF_PROG_TYPE_RAW_TRACEPOINT;
    int id, fd;

    if (typed) {
        type = BPF_PROG_TYPE_TRACING;
        opts.expected_attach_type = BPF_TRACE_RAW_TP;
        id = libbpf_find_vmlinux_btf_id(hook, BPF_TRACE_RAW_TP);
        if (id < 0)
            return id;
        opts.attach_btf_id = (__u32)id;
    }
    fd = bpf_prog_load(type, "empty_hook", "GPL", nothing, 2, &opts);
    return fd < 0 ? fd : bpf_raw_tracepoint_open(typed ? NULL : hook, fd);
}

int main(int argc, char **argv)
{
    bool typed = argc > 1 && strcmp(argv[1], "tp_btf") == 0;
    char end;

    for (int i = 2; i < argc; i++)
        if (attach(argv[i], typed) < 0) {
            perror(argv[i]);
            return 1;
        }
    puts("attached");
    fflush(stdout);
    return read(0, &end, 1) < 0;
}
