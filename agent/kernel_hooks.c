/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kernel_hooks.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

/* Of sched_switch with the state, and what all tracepoints get first. */
#define SWITCH_ARGUMENTS 5
/* Of tcp_retransmit_skb with the error, likewise. */
#define RETRANSMIT_ARGUMENTS 4

struct hook {
    const char *section, *name; /* of the program, in the kernel's types */
    uint32_t kind, flags;
    int id; /* or negative: the kernel has none */
};

/* libbpf's handlers are the whole process's, and so is this. */
static struct hook hooks[] = {
    {"tp_btf/sched_switch", "btf_trace_sched_switch", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/sched_waking", "btf_trace_sched_waking", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/sched_wakeup", "btf_trace_sched_wakeup", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/sched_wakeup_new", "btf_trace_sched_wakeup_new", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_io_start", "btf_trace_block_io_start", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_io_done", "btf_trace_block_io_done", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_rq_insert", "btf_trace_block_rq_insert", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_rq_issue", "btf_trace_block_rq_issue", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_rq_complete", "btf_trace_block_rq_complete", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_rq_error", "btf_trace_block_rq_error", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_rq_requeue", "btf_trace_block_rq_requeue", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/block_rq_merge", "btf_trace_block_rq_merge", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/inet_sock_set_state", "btf_trace_inet_sock_set_state", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/tcp_destroy_sock", "btf_trace_tcp_destroy_sock", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/tcp_retransmit_skb", "btf_trace_tcp_retransmit_skb", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/tcp_send_reset", "btf_trace_tcp_send_reset", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/tcp_receive_reset", "btf_trace_tcp_receive_reset", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/sock_send_length", "btf_trace_sock_send_length", BTF_KIND_TYPEDEF, 0, 0},
    {"tp_btf/sock_recv_length", "btf_trace_sock_recv_length", BTF_KIND_TYPEDEF, 0, 0},
    {"iter/task", "bpf_iter_task", BTF_KIND_FUNC, 0, 0},
    {"iter/task_file", "bpf_iter_task_file", BTF_KIND_FUNC, 0, 0},
    {"iter.s/task", "bpf_iter_task", BTF_KIND_FUNC, BPF_F_SLEEPABLE, 0},
};

static bool switch_tells_state, retransmit_tells_error;
static bool registered;

static int id_of(const char *section, uint32_t *flags)
{
    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
        if (strcmp(hooks[i].section, section) != 0)
            continue;
        *flags = hooks[i].flags;
        return hooks[i].id;
    }
    return -ESRCH;
}

/* A program that says from the beginning that it is of this type makes libbpf read the kernel's
 * types, whether or not it needs them. */
static int prepare(struct bpf_program *program, struct bpf_prog_load_opts *opts, long attach_type)
{
    uint32_t flags = 0;
    int id = id_of(bpf_program__section_name(program), &flags);

    if (id <= 0)
        return id < 0 ? id : -ESRCH;
    opts->attach_btf_id = (uint32_t)id;
    opts->expected_attach_type = (enum bpf_attach_type)attach_type;
    opts->prog_flags |= flags;
    return bpf_program__set_type(program, BPF_PROG_TYPE_TRACING);
}

static int attach(const struct bpf_program *program, long attach_type, struct bpf_link **link)
{
    if (attach_type == BPF_TRACE_ITER)
        *link = bpf_program__attach_iter(program, NULL);
    else
        *link = bpf_program__attach_trace(program);
    return *link ? 0 : -errno;
}

static int handle(const char *section, enum bpf_attach_type type)
{
    LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .cookie = type, .prog_prepare_load_fn = prepare,
                .prog_attach_fn = attach);
    int r = libbpf_register_prog_handler(section, BPF_PROG_TYPE_RAW_TRACEPOINT, type, &opts);

    return r < 0 ? r : 0;
}

/* Whether a tracepoint has so many arguments. */
static bool tells(const struct btf *kernel, const char *name, int arguments)
{
    int id = btf__find_by_name_kind(kernel, name, BTF_KIND_TYPEDEF);
    const struct btf_type *t = id > 0 ? btf__type_by_id(kernel, (uint32_t)id) : NULL;

    t = t ? btf__type_by_id(kernel, t->type) : NULL; /* pointer */
    t = t ? btf__type_by_id(kernel, t->type) : NULL; /* function */
    return t && btf_is_func_proto(t) && btf_vlen(t) >= arguments;
}

int kernel_hooks_learn(const struct btf *kernel)
{
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
        hooks[i].id = btf__find_by_name_kind(kernel, hooks[i].name, hooks[i].kind);
    switch_tells_state = tells(kernel, "btf_trace_sched_switch", SWITCH_ARGUMENTS);
    retransmit_tells_error = tells(kernel, "btf_trace_tcp_retransmit_skb", RETRANSMIT_ARGUMENTS);
    if (registered)
        return 0;
    registered = true;
    r = handle("tp_btf+", BPF_TRACE_RAW_TP);
    if (r == 0)
        r = handle("iter+", BPF_TRACE_ITER);
    if (r == 0)
        r = handle("iter.s+", BPF_TRACE_ITER);
    return r;
}

bool kernel_hooks_has(const char *section)
{
    uint32_t flags;

    return id_of(section, &flags) > 0;
}

bool kernel_hooks_switch_tells_state(void)
{
    return switch_tells_state;
}

bool kernel_hooks_retransmit_tells_error(void)
{
    return retransmit_tells_error;
}
