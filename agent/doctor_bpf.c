/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doctor_check.h"
#include "agent/doctor_insn.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PROBED_FUNCTION "bpf_fentry_test1" /* exists for tests, is never called otherwise */

static const struct bpf_insn nothing[] = {MOV_IMM(BPF_REG_0, 0), EXIT()};

int doctor_load(int type, int attach_type, uint32_t attach_btf_id, uint32_t flags,
                const struct bpf_insn *insns, size_t count)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type,
                .attach_btf_id = attach_btf_id, .prog_flags = flags);

    return bpf_prog_load(type, "porthole_doctor", "Dual BSD/GPL", insns, count, &opts);
}

int doctor_run_program(int fd, uint32_t *ret)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts);
    int r = bpf_prog_test_run_opts(fd, &opts);

    if (r < 0)
        return r;
    *ret = opts.retval;
    return 0;
}

int doctor_tracepoint_btf_id(struct doctor *d, const char *name)
{
    struct btf *btf = doctor_btf(d);
    char type[96];

    if (!btf)
        return -d->btf_error;
    snprintf(type, sizeof(type), "btf_trace_%s", name);
    return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF);
}

int doctor_iter_task_btf_id(struct doctor *d)
{
    struct btf *btf = doctor_btf(d);

    if (!btf)
        return -d->btf_error;
    return btf__find_by_name_kind(btf, "bpf_iter_task", BTF_KIND_FUNC);
}

void check_program_perf_event(struct doctor *d _unused_, const struct check *c _unused_,
                              struct finding *f)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_CPU_CLOCK,
                                   .sample_freq = 99,
                                   .freq = 1,
                                   .disabled = 1};
    _cleanup_close_ int program = -1, event = -1;

    program = doctor_load(BPF_PROG_TYPE_PERF_EVENT, 0, 0, 0, nothing, ARRAY_SIZE(nothing));
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program", -program);
        return;
    }
    event = doctor_perf_open(&attr, -1, doctor_cpu(), 0);
    if (event < 0)
        doctor_explain_perf(f, "a perf event for it", -event);
    else if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) < 0)
        doctor_explain_perf(f, "attaching to cpu-clock", errno);
    else
        check_works(f, "loads and attaches to cpu-clock");
}

/* Lets the scheduler switch until the counter moved; false after a second without a switch. */
static bool counts_switches(int map)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    uint32_t key = 0;
    uint64_t count = 0;

    for (int i = 0; i < 1000 && count == 0; i++) {
        nanosleep(&nap, NULL);
        if (bpf_map_lookup_elem(map, &key, &count) < 0)
            return false;
    }
    return count > 0;
}

/* Attaches a counter to sched_switch and waits for it to count. */
static void check_switch_counter(struct finding *f, int type, int attach_type, uint32_t btf_id,
                                 const char *name)
{
    _cleanup_close_ int map = -1, program = -1, link = -1;

    map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "doctor", 4, 8, 1, NULL);
    if (map < 0) {
        doctor_explain_bpf(f, "making a map", -map);
        return;
    }
    const struct bpf_insn insns[] = {
        MAP_VALUE(BPF_REG_1, map),
        MOV_IMM(BPF_REG_2, 1),
        ATOMIC_ADD(BPF_REG_1, 0, BPF_REG_2),
        MOV_IMM(BPF_REG_0, 0),
        EXIT(),
    };
    program = doctor_load(type, attach_type, btf_id, 0, insns, ARRAY_SIZE(insns));
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program", -program);
        return;
    }
    link = bpf_raw_tracepoint_open(name, program);
    if (link < 0)
        doctor_explain_bpf(f, "attaching to sched_switch", -link);
    else if (!counts_switches(map))
        check_lost(f, "attaches to sched_switch, but never runs");
    else
        check_works(f, "loads, attaches to sched_switch, and runs");
}

void check_program_tp_btf(struct doctor *d, const struct check *c _unused_, struct finding *f)
{
    int id = doctor_tracepoint_btf_id(d, "sched_switch");

    if (id < 0) {
        check_lost(f, "needs the kernel's BTF with sched_switch in it: %s", strerror(-id));
        check_remedy(f, "a kernel with CONFIG_DEBUG_INFO_BTF=y");
        return;
    }
    check_switch_counter(f, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, id, NULL);
}

void check_program_iter_task(struct doctor *d, const struct check *c _unused_, struct finding *f)
{
    _cleanup_close_ int program = -1, link = -1, iter = -1;
    int id = doctor_iter_task_btf_id(d);
    char unused[8];

    if (id < 0) {
        check_lost(f, "the kernel's BTF tells of no iterator over tasks: %s", strerror(-id));
        check_remedy(f, "Linux 5.8 or newer with CONFIG_DEBUG_INFO_BTF=y");
        return;
    }
    program =
        doctor_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, id, 0, nothing, ARRAY_SIZE(nothing));
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program", -program);
        return;
    }
    link = bpf_link_create(program, 0, BPF_TRACE_ITER, NULL);
    iter = link < 0 ? link : bpf_iter_create(link);
    if (iter < 0)
        doctor_explain_bpf(f, "iterating over tasks", -iter);
    else if (read(iter, unused, sizeof(unused)) < 0)
        check_lost(f, "loads and attaches, but does not run: %s", strerror(errno));
    else
        check_works(f, "loads, attaches to tasks, and runs");
}

void check_program_raw_tracepoint(struct doctor *d _unused_, const struct check *c _unused_,
                                  struct finding *f)
{
    check_switch_counter(f, BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0, "sched_switch");
}

/* The id that perf_event_open wants; 0 when tracefs is not there to tell. */
static long tracepoint_id(const char *event)
{
    static const char *const roots[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
    char path[160];
    long id;

    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        snprintf(path, sizeof(path), "%s/events/%s/id", roots[i], event);
        if (doctor_read_number(path, &id) == 0 && id > 0)
            return id;
    }
    return 0;
}

void check_program_tracepoint(struct doctor *d _unused_, const struct check *c _unused_,
                              struct finding *f)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .sample_period = 1, .disabled = 1};
    _cleanup_close_ int program = -1, event = -1;

    program = doctor_load(BPF_PROG_TYPE_TRACEPOINT, 0, 0, 0, nothing, ARRAY_SIZE(nothing));
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program", -program);
        return;
    }
    attr.config = tracepoint_id("sched/sched_switch");
    if (!attr.config) {
        check_info(f, "loads; not attached, since tracefs cannot be read for its ids");
        check_remedy(f, "mount -t tracefs tracefs /sys/kernel/tracing, and run as root");
        return;
    }
    event = doctor_perf_open(&attr, -1, doctor_cpu(), 0);
    if (event < 0)
        doctor_explain_perf(f, "a perf event for it", -event);
    else if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) < 0)
        doctor_explain_bpf(f, "attaching to sched_switch", errno);
    else
        check_works(f, "loads and attaches to sched:sched_switch");
}

void check_program_syscall(struct doctor *d _unused_, const struct check *c _unused_,
                           struct finding *f)
{
    const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_0, 42), EXIT()};
    _cleanup_close_ int program = -1;
    uint32_t answer = 0;
    int r;

    program = doctor_load(BPF_PROG_TYPE_SYSCALL, 0, 0, BPF_F_SLEEPABLE, insns, ARRAY_SIZE(insns));
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program", -program);
        return;
    }
    r = doctor_run_program(program, &answer);
    if (r < 0)
        doctor_explain_bpf(f, "running it", -r);
    else if (answer != 42)
        check_lost(f, "runs, but answers %u instead of 42", answer);
    else
        check_works(f, "loads and runs");
}

void check_program_fentry(struct doctor *d, const struct check *c _unused_, struct finding *f)
{
    struct btf *btf = doctor_btf(d);
    _cleanup_close_ int program = -1, link = -1;
    int id = btf ? btf__find_by_name_kind(btf, PROBED_FUNCTION, BTF_KIND_FUNC) : -d->btf_error;

    if (id < 0) {
        check_lost(f, "no BTF of a kernel function to try it on");
        return;
    }
    program =
        doctor_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, id, 0, nothing, ARRAY_SIZE(nothing));
    if (program < 0) {
        check_lost(f, "loading is refused: %s", strerror(-program));
        return;
    }
    link = bpf_raw_tracepoint_open(NULL, program);
    if (link < 0)
        check_lost(f, "loads, attaching is refused: %s", strerror(-link));
    else
        check_works(f, "loads and attaches");
}

void check_program_kprobe(struct doctor *d _unused_, const struct check *c _unused_,
                          struct finding *f)
{
    struct perf_event_attr attr = {.size = sizeof(attr),
                                   .sample_period = 1,
                                   .disabled = 1,
                                   .config1 = (uintptr_t)PROBED_FUNCTION};
    _cleanup_close_ int program = -1, event = -1;
    long type;

    program = doctor_load(BPF_PROG_TYPE_KPROBE, 0, 0, 0, nothing, ARRAY_SIZE(nothing));
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program", -program);
        return;
    }
    if (doctor_read_number("/sys/bus/event_source/devices/kprobe/type", &type) < 0) {
        check_lost(f, "loads, but this kernel has no kprobe events (CONFIG_KPROBE_EVENTS)");
        return;
    }
    attr.type = type;
    event = doctor_perf_open(&attr, -1, doctor_cpu(), 0);
    if (event < 0)
        check_lost(f, "loads, a kprobe event is refused: %s", strerror(-event));
    else if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) < 0)
        check_lost(f, "loads, attaching is refused: %s", strerror(errno));
    else
        check_works(f, "loads and attaches");
}

void check_tracepoint(struct doctor *d, const struct check *c, struct finding *f)
{
    int id = doctor_tracepoint_btf_id(d, c->name);
    _cleanup_close_ int program = -1, link = -1;

    if (id < 0 && !d->btf) {
        check_lost(f, "cannot be looked up without the kernel's BTF");
        check_remedy(f, "a kernel with CONFIG_DEBUG_INFO_BTF=y");
        return;
    }
    if (id < 0) {
        check_lost(f, "this kernel has no such tracepoint");
        check_remedy(f, "a newer kernel, or one with the subsystem built in");
        return;
    }
    program =
        doctor_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, id, 0, nothing, ARRAY_SIZE(nothing));
    if (program < 0) {
        doctor_explain_bpf(f, "it exists; loading a program", -program);
        return;
    }
    link = bpf_raw_tracepoint_open(NULL, program);
    if (link < 0)
        doctor_explain_bpf(f, "it exists; attaching", -link);
    else
        check_works(f, "attaches");
}
