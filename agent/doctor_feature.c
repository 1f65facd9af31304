/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doctor_check.h"
#include "agent/doctor_insn.h"
#include "base/loop.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STACK_FRAMES 16
#define SAMPLE_PATIENCE_NS (2 * NS_PER_SEC)

/* Layout of the map value that the sampling program fills. */
struct sample_seen {
    uint64_t count;
    int64_t stack_bytes; /* what bpf_get_stack returned last */
    uint64_t frames[STACK_FRAMES];
};

/* Loads a program that takes the user stack of each sample. fd or -errno. */
static int load_sampler(int map)
{
    const struct bpf_insn insns[] = {
        MAP_VALUE(BPF_REG_6, map),
        MOV_REG(BPF_REG_2, BPF_REG_6),
        ADD_IMM(BPF_REG_2, offsetof(struct sample_seen, frames)),
        MOV_IMM(BPF_REG_3, STACK_FRAMES * 8),
        MOV_IMM(BPF_REG_4, BPF_F_USER_STACK),
        CALL(BPF_FUNC_get_stack),
        STORE(BPF_REG_6, offsetof(struct sample_seen, stack_bytes), BPF_REG_0),
        MOV_IMM(BPF_REG_1, 1),
        ATOMIC_ADD(BPF_REG_6, 0, BPF_REG_1),
        MOV_IMM(BPF_REG_0, 0),
        EXIT(),
    };

    /* The first argument, the context, is still in r1: loading the map's address leaves it. */
    return doctor_load(BPF_PROG_TYPE_PERF_EVENT, 0, 0, 0, insns, ARRAY_SIZE(insns));
}

/* Burns CPU time until a sample with a stack was seen. Returns 0 or -errno. */
static int spin_until_sampled(int map, struct sample_seen *seen)
{
    uint64_t end_ns = now_ns() + SAMPLE_PATIENCE_NS;
    uint32_t key = 0;

    do {
        if (bpf_map_lookup_elem(map, &key, seen) < 0)
            return -errno;
    } while (seen->stack_bytes <= 0 && now_ns() < end_ns);
    return 0;
}

void check_get_stack(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_CPU_CLOCK,
                                   .sample_freq = 999,
                                   .freq = 1,
                                   .disabled = 1};
    _cleanup_close_ int map = -1, program = -1, event = -1;
    struct sample_seen seen = {0};

    map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "doctor", 4, sizeof(seen), 1, NULL);
    program = map < 0 ? map : load_sampler(map);
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program that calls bpf_get_stack", -program);
        return;
    }
    event = doctor_perf_open(&attr, 0, -1, 0);
    if (event < 0 || ioctl(event, PERF_EVENT_IOC_SET_BPF, program) < 0 ||
        ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0) {
        doctor_explain_perf(f, "sampling this process", event < 0 ? -event : errno);
        return;
    }
    if (spin_until_sampled(map, &seen) < 0 || !seen.count)
        check_lost(f, "no sample of cpu-clock arrived in 2 s of CPU time");
    else if (seen.stack_bytes <= 0)
        check_lost(f, "samples arrive, but without a user stack: %s", strerror(-seen.stack_bytes));
    else
        check_works(f, "a sample of this process arrived, with its user stack");
}

/* Loads and runs a raw_tracepoint program; its answer or a finding. */
static bool run_small_program(struct finding *f, const char *what, const struct bpf_insn *insns,
                              size_t count, uint32_t *answer)
{
    _cleanup_close_ int program = -1;
    int r;

    program = doctor_load(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0, 0, insns, count);
    if (program < 0) {
        doctor_explain_bpf(f, what, -program);
        return false;
    }
    r = doctor_run_program(program, answer);
    if (r < 0)
        doctor_explain_bpf(f, "running a program that has it", -r);
    return r == 0;
}

/* BTF for two functions, the program and bpf_loop's callback (the kernel insists, and on "static"
 * for the second). The ids go to *main_id and *callback_id. */
static int make_function_btf(struct btf **ret, int *main_id, int *callback_id)
{
    struct btf *btf = btf__new_empty();
    int number, proto;

    if (!btf)
        return -ENOMEM;
    number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    proto = btf__add_func_proto(btf, number);
    *main_id = btf__add_func(btf, "on_test", BTF_FUNC_GLOBAL, proto);
    *callback_id = btf__add_func(btf, "on_step", BTF_FUNC_STATIC, proto);
    if (number < 0 || proto < 0 || *main_id < 0 || *callback_id < 0) {
        btf__free(btf);
        return -ENOMEM;
    }
    *ret = btf;
    return 0;
}

static int load_loop(const struct bpf_insn *insns, size_t count, uint32_t callback_at)
{
    struct bpf_func_info functions[2] = {{.insn_off = 0}, {.insn_off = callback_at}};
    int main_id, callback_id, r;
    struct btf *btf;

    r = make_function_btf(&btf, &main_id, &callback_id);
    if (r < 0)
        return r;
    functions[0].type_id = main_id;
    functions[1].type_id = callback_id;
    r = btf__load_into_kernel(btf);
    if (r == 0) {
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_btf_fd = btf__fd(btf), .func_info = functions,
                    .func_info_cnt = ARRAY_SIZE(functions),
                    .func_info_rec_size = sizeof(functions[0]));
        r = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "porthole_doctor", "Dual BSD/GPL", insns,
                          count, &opts);
    }
    btf__free(btf); /* closes its fd; the program keeps the kernel's side */
    return r;
}

void check_bpf_loop(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    enum { CALLBACK_AT = 7, STEPS = 500 };
    const struct bpf_insn insns[] = {
        MOV_IMM(BPF_REG_1, STEPS), FUNCTION(BPF_REG_2, CALLBACK_AT - 2), /* counted like a jump */
        MOV_IMM(BPF_REG_3, 0),     MOV_IMM(BPF_REG_4, 0),
        CALL(BPF_FUNC_loop),       EXIT(),
        MOV_IMM(BPF_REG_0, 0),     EXIT(),
    };
    _cleanup_close_ int program = -1;
    uint32_t steps = 0;

    program = load_loop(insns, ARRAY_SIZE(insns), CALLBACK_AT);
    if (program < 0) {
        doctor_explain_bpf(f, "loading a program that calls bpf_loop (Linux 5.17)", -program);
        return;
    }
    if (doctor_run_program(program, &steps) < 0 || steps != STEPS)
        check_lost(f, "bpf_loop made %u steps instead of %d", steps, STEPS);
    else
        check_works(f, "a loop of %d steps ran", STEPS);
}

void check_task_pt_regs(struct doctor *d, const struct check *c _unused_, struct finding *f)
{
    const struct bpf_insn insns[] = {
        CALL(BPF_FUNC_get_current_task_btf),
        MOV_REG(BPF_REG_1, BPF_REG_0),
        CALL(BPF_FUNC_task_pt_regs),
        MOV_IMM(BPF_REG_0, 0),
        EXIT(),
    };
    uint32_t answer;

    if (!doctor_btf(d)) {
        check_lost(f, "needs the kernel's BTF");
        check_remedy(f, "a kernel with CONFIG_DEBUG_INFO_BTF=y");
        return;
    }
    if (run_small_program(f, "a program that calls bpf_task_pt_regs (Linux 5.15)", insns,
                          ARRAY_SIZE(insns), &answer))
        check_works(f, "a program read its task's registers");
}

void check_read_kernel(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    const struct bpf_insn insns[] = {
        CALL(BPF_FUNC_get_current_task),
        MOV_REG(BPF_REG_3, BPF_REG_0),
        MOV_REG(BPF_REG_1, BPF_REG_10),
        ADD_IMM(BPF_REG_1, -8),
        MOV_IMM(BPF_REG_2, 8),
        CALL(BPF_FUNC_probe_read_kernel),
        EXIT(),
    };
    uint32_t answer = 0;

    if (!run_small_program(f, "a program that reads kernel memory", insns, ARRAY_SIZE(insns),
                           &answer)) {
        if (!*f->remedy)
            check_remedy(f, "boot with lockdown=integrity or without lockdown, into Linux 5.5 or "
                            "later");
        return;
    }
    if (answer != 0)
        check_lost(f, "a program could not read its own task: %s", strerror(-(int)answer));
    else
        check_works(f, "a program read its own task");
}

void check_cgroup_id(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    _cleanup_close_ int map = -1;
    uint32_t key = 0, answer;
    char path[4096];
    struct stat st;
    uint64_t id = 0;

    map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "doctor", 4, sizeof(id), 1, NULL);
    if (map < 0) {
        doctor_explain_bpf(f, "making a map", -map);
        return;
    }
    const struct bpf_insn insns[] = {
        CALL(BPF_FUNC_get_current_cgroup_id),
        MAP_VALUE(BPF_REG_6, map),
        STORE(BPF_REG_6, 0, BPF_REG_0),
        MOV_IMM(BPF_REG_0, 0),
        EXIT(),
    };
    if (!run_small_program(f, "a program that calls bpf_get_current_cgroup_id", insns,
                           ARRAY_SIZE(insns), &answer))
        return;
    if (bpf_map_lookup_elem(map, &key, &id) < 0 || id == 0)
        check_lost(f, "the helper gives no id: cgroup v2 is not in use");
    else if (doctor_own_cgroup(path, sizeof(path)) < 0 || stat(path, &st) < 0)
        check_info(f, "a program saw cgroup %llu, whose directory is not mounted here",
                   (unsigned long long)id);
    else if (st.st_ino != id)
        check_lost(f, "a program saw cgroup %llu, but '%.200s' is %llu", (unsigned long long)id,
                   path, (unsigned long long)st.st_ino);
    else
        check_works(f, "a program saw cgroup %llu, which is '%.200s'", (unsigned long long)id,
                    path);
}

void check_ring_buffer(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    _cleanup_close_ int map = -1;
    void *consumer;

    map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "doctor", 0, 0, page, NULL);
    if (map < 0) {
        doctor_explain_bpf(f, "making one (Linux 5.8)", -map);
        return;
    }
    consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (consumer == MAP_FAILED) {
        check_lost(f, "mapping one is refused: %s", strerror(errno));
        return;
    }
    munmap(consumer, page);
    check_works(f, "made and mapped");
}

/* Loading alone: it would read the memory of every task. */
void check_copy_from_user_task(struct doctor *d, const struct check *c _unused_, struct finding *f)
{
    const struct bpf_insn insns[] = {
        LOAD(BPF_REG_4, BPF_REG_1, 8), /* the task of struct bpf_iter__task */
        IF_ZERO(BPF_REG_4, 6),
        MOV_REG(BPF_REG_1, BPF_REG_10),
        ADD_IMM(BPF_REG_1, -8),
        MOV_IMM(BPF_REG_2, 8),
        MOV_IMM(BPF_REG_3, 0),
        MOV_IMM(BPF_REG_5, 0),
        CALL(BPF_FUNC_copy_from_user_task),
        MOV_IMM(BPF_REG_0, 0),
        EXIT(),
    };
    int id = doctor_iter_task_btf_id(d);
    _cleanup_close_ int program = -1;

    if (id < 0) {
        check_lost(f, "the kernel's BTF tells of no iterator over tasks: %s", strerror(-id));
        return;
    }
    program = doctor_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, (uint32_t)id, BPF_F_SLEEPABLE,
                          insns, ARRAY_SIZE(insns));
    if (program < 0)
        doctor_explain_bpf(f, "loading a program with it (Linux 5.18)", -program);
    else
        check_works(f, "a program with it loads");
}

void check_mmapable(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t value = 0, *memory;
    _cleanup_close_ int map = -1;
    uint32_t key = 0;

    map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "doctor", 4, sizeof(value), 1, &opts);
    if (map < 0) {
        doctor_explain_bpf(f, "making one (Linux 5.5)", -map);
        return;
    }
    memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (memory == MAP_FAILED) {
        check_lost(f, "mapping one is refused: %s", strerror(errno));
        return;
    }
    memory[0] = 4711;
    if (bpf_map_lookup_elem(map, &key, &value) < 0 || value != 4711)
        check_lost(f, "what is written to the mapping does not arrive");
    else
        check_works(f, "written through memory, read through the map");
    munmap(memory, page);
}

void check_batch(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    uint64_t keys[4] = {0}, values[4] = {0}, key = 7, value = 11;
    _cleanup_close_ int map = -1;
    uint32_t count = ARRAY_SIZE(keys), cursor;
    int r;

    map = bpf_map_create(BPF_MAP_TYPE_HASH, "doctor", sizeof(key), sizeof(value), 4, NULL);
    if (map < 0) {
        doctor_explain_bpf(f, "making a hash map", -map);
        return;
    }
    if (bpf_map_update_elem(map, &key, &value, BPF_ANY) < 0) {
        check_lost(f, "writing to a hash map is refused: %s", strerror(errno));
        return;
    }
    r = bpf_map_lookup_and_delete_batch(map, NULL, &cursor, keys, values, &count, NULL);
    if (r < 0 && r != -ENOENT) /* ENOENT: the end of the map was reached */
        doctor_explain_bpf(f, "reading many entries at once (Linux 5.6)", -r);
    else if (count != 1 || keys[0] != key || values[0] != value)
        check_lost(f, "reading many entries at once gave %u of 1", count);
    else
        check_works(f, "entries are read and deleted in one call");
}

void check_bpf_stats(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    _cleanup_close_ int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

    if (stats >= 0)
        check_works(f, "the kernel can count run times of BPF programs");
    else
        check_info(f, "the kernel does not count run times of BPF programs for us: %s",
                   strerror(-stats));
}
