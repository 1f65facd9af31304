/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the doctor: one entry of its table, what a check may say, and the checks themselves.
 *
 * Only doctor*.c include this. A check function calls exactly one of check_works, check_limited,
 * check_lost, check_info, at most one check_remedy after it, and leaves nothing behind.
 */
#pragma once

#include "agent/doctor.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/capability.h>

struct btf;
struct bpf_insn;

/* What the checks of one run share. */
struct doctor {
    const char *socket;
    struct btf *btf; /* the kernel's, loaded at the first need; NULL when it cannot be */
    int btf_error;   /* errno of that; 0: not tried or loaded */
};

struct finding {
    enum doctor_status if_lost; /* what "lost" means for this check, from the table */
    enum doctor_status status;
    char detail[384];
    char remedy[256];
};

struct check {
    const char *group, *name;
    void (*fn)(struct doctor *d, const struct check *c, struct finding *f);
    enum doctor_status if_lost;
    bool vital;      /* without it `cpu` cannot work */
    const char *arg; /* the function's own: what a setting means, what to do, … */
    long number;     /* the function's own: a capability, a namespace's inode, … */
    const char *costs;
};

/* Whether `cpu` cannot work without this need; false for unknown ones. For tests. */
bool doctor_is_vital(const char *need);

void check_works(struct finding *f, const char *fmt, ...) _printf_(2, 3);
void check_limited(struct finding *f, const char *fmt, ...) _printf_(2, 3);
void check_lost(struct finding *f, const char *fmt, ...) _printf_(2, 3);
void check_info(struct finding *f, const char *fmt, ...) _printf_(2, 3);
void check_remedy(struct finding *f, const char *fmt, ...) _printf_(2, 3);

/* The kernel's BTF or NULL; borrowed from d. */
struct btf *doctor_btf(struct doctor *d);

/* Whether this process holds the capability, effective and in the initial user namespace. */
bool doctor_capable(cap_value_t cap);
bool doctor_in_initial_userns(void);

/* Why the kernel may have refused a step of BPF or of perf, as detail and remedy. */
void doctor_explain_bpf(struct finding *f, const char *what, int error);
void doctor_explain_perf(struct finding *f, const char *what, int error);
/* The remedy "hold these capabilities", in words that fit whoever is asking. */
void doctor_grant(struct finding *f, const char *capabilities);

/* The first line of a small file without its newline. Returns the length or -errno. */
int doctor_read_line(const char *path, char *line, size_t size);
/* A whole number, maybe negative, in a file of its own. Returns 0 or -errno. */
int doctor_read_number(const char *path, long *ret);

/* Events and cgroups. */
struct perf_event_attr;
/* perf_event_open(2), CLOEXEC. Returns the fd or -errno. */
int doctor_perf_open(struct perf_event_attr *attr, int pid, int cpu, unsigned long flags);
/* The directory of this process's v2 cgroup. Returns 0 or -errno. */
int doctor_own_cgroup(char *path, size_t size);

/* A CPU that this process may run on. */
int doctor_cpu(void);

/* Loads instructions under a GPL-compatible licence. attach_btf_id 0: none. fd or -errno. */
int doctor_load(int type, int attach_type, uint32_t attach_btf_id, uint32_t flags,
                const struct bpf_insn *insns, size_t count);
/* The id of btf_trace_<name>, a tracepoint's signature. Returns > 0 or -errno. */
int doctor_tracepoint_btf_id(struct doctor *d, const char *name);
/* The id of what iterates over tasks. Returns > 0 or -errno. */
int doctor_iter_task_btf_id(struct doctor *d);
/* Runs a loaded program once in the kernel and takes its return value. Returns 0 or -errno. */
int doctor_run_program(int fd, uint32_t *ret);

#define CHECK(x) void check_##x(struct doctor *d, const struct check *c, struct finding *f)
/* doctor_kernel.c */
CHECK(btf);
CHECK(lockdown);
CHECK(kallsyms);
CHECK(openat2);
CHECK(seccomp);
CHECK(userns_create);
CHECK(setting);
/* doctor_bpf.c */
CHECK(program_perf_event);
CHECK(program_tp_btf);
CHECK(program_iter_task);
CHECK(program_raw_tracepoint);
CHECK(program_tracepoint);
CHECK(program_syscall);
CHECK(program_fentry);
CHECK(program_kprobe);
CHECK(tracepoint);
/* doctor_feature.c */
CHECK(get_stack);
CHECK(bpf_loop);
CHECK(read_kernel);
CHECK(task_pt_regs);
CHECK(cgroup_id);
CHECK(ring_buffer);
CHECK(mmapable);
CHECK(copy_from_user_task);
CHECK(batch);
CHECK(bpf_stats);
/* doctor_perf.c */
CHECK(perf_event);
CHECK(perf_cgroup);
CHECK(side_band);
CHECK(perf_buffers);
CHECK(max_stack);
/* doctor_host.c */
CHECK(capability);
CHECK(namespace);
CHECK(cgroups);
CHECK(hidepid);
CHECK(tracefs);
/* doctor_runtime.c */
CHECK(runtime);
CHECK(socket);
#undef CHECK
