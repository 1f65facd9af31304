/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doctor_check.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define HOSTS_PID_NS 0xeffffffcl /* inode numbers that the kernel fixes (proc_ns.h) */
#define HOSTS_USER_NS 0xeffffffdl
#define HOSTS_CGROUP_NS 0xeffffffbl

#define MISSING .if_lost = DOCTOR_MISSING
#define LIMITED .if_lost = DOCTOR_LIMITED
#define INFO .if_lost = DOCTOR_INFO
#define VITAL .if_lost = DOCTOR_MISSING, .vital = true
#define WAITING "the views of waiting and waking (offcpu, wakeup, chain, runq, switches)"

static const struct {
    const char *group, *title;
} groups[] = {
    {"kernel", "kernel"},
    {"perf", "perf events"},
    {"bpf", "BPF program types"},
    {"feature", "BPF features"},
    {"tracepoint", "tracepoints (cpu needs none of them; other views do)"},
    {"capability", "capabilities of this process"},
    {"setting", "settings"},
    {"host", "containers, as this process sees them"},
    {"runtime", "container runtimes"},
    {"agent", "agent"},
};

/* Every need, in the order of the output. What a line costs is said from the user's side. */
static const struct check checks[] = {
    {"kernel", "btf", check_btf, VITAL, .costs = "everything: programs are fitted to the kernel"},
    {"kernel", "lockdown", check_lockdown, VITAL, .costs = "everything"},
    {"kernel", "openat2", check_openat2, MISSING, .costs = "names from files in containers"},
    {"kernel", "seccomp", check_seccomp, MISSING,
     .costs = "the agent, which does not run unjailed"},
    {"kernel", "kallsyms", check_kallsyms, LIMITED, .costs = "names of kernel functions"},
    {"kernel", "tracefs", check_tracefs, INFO},
    {"kernel", "user-namespaces", check_userns_create, LIMITED,
     .costs = "an empty root and network of its own for the parser; its seccomp filter stays"},

    {"perf", "cpu-clock", check_perf_event, VITAL, .costs = "cpu"},
    {"perf", "task-clock", check_perf_event, LIMITED, .costs = "-e task-clock"},
    {"perf", "page-faults", check_perf_event, LIMITED, .costs = "-e page-faults"},
    {"perf", "context-switches", check_perf_event, LIMITED, .costs = "-e context-switches"},
    {"perf", "cpu-migrations", check_perf_event, LIMITED, .costs = "-e cpu-migrations"},
    {"perf", "cycles", check_perf_event, LIMITED, .costs = "-e cycles"},
    {"perf", "instructions", check_perf_event, LIMITED, .costs = "-e instructions"},
    {"perf", "cache-misses", check_perf_event, LIMITED, .costs = "-e cache-misses"},
    {"perf", "branch-misses", check_perf_event, LIMITED, .costs = "-e branch-misses"},
    {"perf", "LLC-misses", check_perf_event, LIMITED, .costs = "-e LLC-misses"},
    {"perf", "side-band", check_side_band, VITAL, .costs = "names of user functions"},
    {"perf", "cgroup", check_perf_cgroup, LIMITED, .costs = "cheap side-band of one container"},
    {"perf", "buffers", check_perf_buffers, LIMITED, .costs = "side-band without losses"},
    {"perf", "max-stack", check_max_stack, LIMITED, .costs = "the outer ends of deep stacks"},

    {"bpf", "perf_event", check_program_perf_event, VITAL, .costs = "cpu"},
    {"bpf", "tp_btf", check_program_tp_btf, MISSING, .costs = "every view but cpu"},
    {"bpf", "iter_task", check_program_iter_task, MISSING, .costs = "every view but cpu"},
    {"bpf", "raw_tracepoint", check_program_raw_tracepoint, LIMITED,
     .costs = "-e with a tracepoint"},
    {"bpf", "tracepoint", check_program_tracepoint, INFO},
    {"bpf", "syscall", check_program_syscall, INFO},
    {"bpf", "fentry", check_program_fentry, INFO},
    {"bpf", "kprobe", check_program_kprobe, INFO},

    {"feature", "read_kernel", check_read_kernel, VITAL, .costs = "cpu: who a sample belongs to"},
    {"feature", "get_stack", check_get_stack, VITAL, .costs = "every stack"},
    {"feature", "cgroup_id", check_cgroup_id, LIMITED, .costs = "containers of cgroup v2"},
    {"feature", "batch", check_batch, LIMITED, .costs = "reading results in a few calls"},
    {"feature", "ring_buffer", check_ring_buffer, LIMITED, .costs = "single events of I/O and TCP"},
    {"feature", "loop", check_bpf_loop, LIMITED, .costs = "stacks without frame pointers"},
    {"feature", "task_pt_regs", check_task_pt_regs, LIMITED,
     .costs = "stacks without frame pointers, in system calls"},
    {"feature", "mmapable", check_mmapable, LIMITED, .costs = "stacks without frame pointers"},
    {"feature", "copy_from_user_task", check_copy_from_user_task, LIMITED,
     .costs = "user stacks of threads that slept before the capture began"},
    {"feature", "bpf_stats", check_bpf_stats, INFO},

    {"tracepoint", "sched_switch", check_tracepoint, MISSING, .costs = WAITING},
    {"tracepoint", "sched_waking", check_tracepoint, MISSING, .costs = WAITING},
    {"tracepoint", "sched_wakeup", check_tracepoint, MISSING, .costs = WAITING},
    {"tracepoint", "sched_wakeup_new", check_tracepoint, MISSING, .costs = WAITING},
    {"tracepoint", "sched_process_fork", check_tracepoint, LIMITED, .costs = "new threads at once"},
    {"tracepoint", "sched_process_exec", check_tracepoint, LIMITED, .costs = "new names at once"},
    {"tracepoint", "sched_process_exit", check_tracepoint, LIMITED,
     .costs = "waits that never end"},
    {"tracepoint", "block_io_start", check_tracepoint, LIMITED,
     .costs = "block: time before a request is put into a queue"},
    {"tracepoint", "block_io_done", check_tracepoint, LIMITED,
     .costs = "block: the end, which is that of the last bytes then"},
    {"tracepoint", "block_rq_insert", check_tracepoint, LIMITED, .costs = "block: time in queues"},
    {"tracepoint", "block_rq_issue", check_tracepoint, MISSING, .costs = "block"},
    {"tracepoint", "block_rq_complete", check_tracepoint, MISSING, .costs = "block"},
    {"tracepoint", "inet_sock_set_state", check_tracepoint, MISSING, .costs = "tcp"},
    {"tracepoint", "tcp_destroy_sock", check_tracepoint, MISSING,
     .costs = "tcp: connections whose process closes them last"},
    {"tracepoint", "tcp_retransmit_skb", check_tracepoint, LIMITED,
     .costs = "tcp --events, --stacks: retransmits"},
    {"tracepoint", "tcp_send_reset", check_tracepoint, LIMITED,
     .costs = "tcp --events: resets sent"},
    {"tracepoint", "tcp_receive_reset", check_tracepoint, LIMITED,
     .costs = "tcp --events: resets received"},
    {"tracepoint", "sock_send_length", check_tracepoint, LIMITED,
     .costs = "tcp --stacks: sends (Linux 6.3)"},
    {"tracepoint", "sock_recv_length", check_tracepoint, LIMITED,
     .costs = "tcp --stacks: receives (Linux 6.3)"},

    /* What the agent does without, and what it does not start without: agent/rights.c. */
    {"capability", "CAP_BPF", check_capability, VITAL, .number = CAP_BPF, .costs = "everything"},
    {"capability", "CAP_PERFMON", check_capability, VITAL, .number = CAP_PERFMON,
     .costs = "everything"},
    {"capability", "CAP_SYS_PTRACE", check_capability, VITAL, .number = CAP_SYS_PTRACE,
     .costs = "containers' files, and with them the names of what runs there"},
    {"capability", "CAP_DAC_READ_SEARCH", check_capability, LIMITED, .number = CAP_DAC_READ_SEARCH,
     .costs =
         "runtimes' state, which names containers, and programs that only their owners may read"},
    {"capability", "CAP_CHECKPOINT_RESTORE", check_capability, LIMITED,
     .number = CAP_CHECKPOINT_RESTORE,
     .costs = "the names of programs that were replaced or deleted while they run"},
    {"capability", "CAP_SETUID", check_capability, VITAL, .number = CAP_SETUID,
     .costs = "the agent, whose processes have uids of their own"},
    {"capability", "CAP_SETGID", check_capability, VITAL, .number = CAP_SETGID,
     .costs = "the agent, whose processes have gids of their own"},
    {"capability", "CAP_SETPCAP", check_capability, VITAL, .number = CAP_SETPCAP,
     .costs = "the agent, whose processes shut capabilities out for good"},
    {"capability", "CAP_KILL", check_capability, VITAL, .number = CAP_KILL,
     .costs = "the agent, whose monitor ends children of other uids"},
    {"capability", "CAP_CHOWN", check_capability, LIMITED, .number = CAP_CHOWN,
     .costs = "a group that may use the socket (portholed then needs group = 0)"},
    {"capability", "CAP_SYSLOG", check_capability, LIMITED, .number = CAP_SYSLOG,
     .costs = "names of kernel functions"},
    {"capability", "CAP_IPC_LOCK", check_capability, LIMITED, .number = CAP_IPC_LOCK,
     .costs = "perf buffers beyond perf_event_mlock_kb"},

    {"setting", "perf_event_paranoid", check_setting, INFO,
     .arg = "above -1, buffers beyond perf_event_mlock_kb need CAP_IPC_LOCK; at 3, "
            "on Debian and Ubuntu, opening events needs CAP_SYS_ADMIN"},
    {"setting", "kptr_restrict", check_setting, INFO,
     .arg = "at 2, kallsyms shows zeros to everybody"},
    {"setting", "perf_event_mlock_kb", check_setting, INFO,
     .arg = "perf buffers for each CPU and user that need no CAP_IPC_LOCK"},
    {"setting", "unprivileged_bpf_disabled", check_setting, INFO,
     .arg = "does not matter: Porthole's programs need CAP_BPF anyway"},

    {"host", "cgroups", check_cgroups, VITAL, .costs = "containers"},
    {"host", "user", check_namespace, VITAL, .number = HOSTS_USER_NS, .costs = "everything",
     .arg = "run outside user namespaces: capabilities inside one do not count"},
    {"host", "pid", check_namespace, MISSING, .number = HOSTS_PID_NS,
     .costs = "processes outside of this pid namespace",
     .arg = "share the host's: --pid=host, or hostPID: true"},
    {"host", "cgroup", check_namespace, LIMITED, .number = HOSTS_CGROUP_NS,
     .costs = "cgroups outside of this cgroup namespace",
     .arg = "share the host's: --cgroupns=host, and mount its /sys/fs/cgroup"},
    {"host", "hidepid", check_hidepid, MISSING, .costs = "containers of other users"},

    {"runtime", "docker", check_runtime, LIMITED, .costs = "names of docker's containers"},
    {"runtime", "containerd", check_runtime, LIMITED, .costs = "names of containerd's containers"},
    {"runtime", "podman", check_runtime, LIMITED, .costs = "names of podman's containers"},
    {"runtime", "cri-o", check_runtime, LIMITED, .costs = "names of CRI-O's containers"},
    {"runtime", "runc", check_runtime, LIMITED, .costs = "names of runc's containers"},
    {"runtime", "crun", check_runtime, LIMITED, .costs = "names of crun's containers"},

    {"agent", "socket", check_socket, INFO},
};

const char *doctor_status_name(enum doctor_status status)
{
    static const char *const names[DOCTOR_STATUS_COUNT] = {
        [DOCTOR_WORKS] = "works",
        [DOCTOR_LIMITED] = "limited",
        [DOCTOR_MISSING] = "missing",
        [DOCTOR_INFO] = "info",
    };

    return status < DOCTOR_STATUS_COUNT ? names[status] : "info";
}

#define SAY(f, what)                                          \
    do {                                                      \
        va_list ap;                                           \
        (f)->status = (what);                                 \
        va_start(ap, fmt);                                    \
        vsnprintf((f)->detail, sizeof((f)->detail), fmt, ap); \
        va_end(ap);                                           \
    } while (0)

void check_works(struct finding *f, const char *fmt, ...)
{
    SAY(f, DOCTOR_WORKS);
}

void check_limited(struct finding *f, const char *fmt, ...)
{
    SAY(f, DOCTOR_LIMITED);
}

void check_lost(struct finding *f, const char *fmt, ...)
{
    SAY(f, f->if_lost);
}

void check_info(struct finding *f, const char *fmt, ...)
{
    SAY(f, DOCTOR_INFO);
}

void check_remedy(struct finding *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f->remedy, sizeof(f->remedy), fmt, ap);
    va_end(ap);
}

static const char *group_title(const char *group)
{
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
        if (strcmp(groups[i].group, group) == 0)
            return groups[i].title;
    return group;
}

static void run_check(struct doctor *d, const struct check *c, struct finding *f)
{
    memset(f, 0, sizeof(*f));
    f->if_lost = c->if_lost;
    c->fn(d, c, f);
}

static bool is_lost(const struct finding *f)
{
    return f->status == DOCTOR_LIMITED || f->status == DOCTOR_MISSING;
}

/* libbpf writes why a load failed to stderr; here the finding says it. */
static libbpf_print_fn_t hush(void)
{
    return libbpf_set_print(NULL);
}

int doctor_run(const char *socket, doctor_fn fn, void *data, struct err *e)
{
    struct doctor d = {.socket = socket};
    libbpf_print_fn_t print = hush();
    int verdict = 0;

    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        const struct check *c = &checks[i];
        struct finding f;

        run_check(&d, c, &f);
        fn(data, &(struct doctor_result){
                     .group = c->group,
                     .title = group_title(c->group),
                     .name = c->name,
                     .status = f.status,
                     .detail = f.detail,
                     .remedy = f.remedy,
                     .costs = c->costs && is_lost(&f) ? c->costs : "",
                 });
        if (!c->vital || f.status != DOCTOR_MISSING || verdict < 0)
            continue;
        verdict =
            err_set(e, ERR_UNSUPPORTED, "this host cannot do 'cpu': %s: %s", c->name, f.detail);
        err_remedy(e, "%s", f.remedy);
    }
    btf__free(d.btf);
    libbpf_set_print(print);
    return verdict;
}

/* The check that a need names; NULL when none does, or several do. */
static const struct check *find_check(const char *need)
{
    const struct check *found = NULL;
    size_t matches = 0;

    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        size_t n = strlen(checks[i].group);

        if (strncmp(need, checks[i].group, n) == 0 && need[n] == ':' &&
            strcmp(need + n + 1, checks[i].name) == 0)
            return &checks[i];
        if (strcmp(need, checks[i].name) == 0) {
            found = &checks[i];
            matches++;
        }
    }
    return matches == 1 ? found : NULL;
}

bool doctor_is_vital(const char *need)
{
    const struct check *c = find_check(need);

    return c && c->vital;
}

int doctor_explain(const char *need, struct err *e)
{
    const struct check *c = find_check(need);
    struct doctor d = {.socket = ""};
    libbpf_print_fn_t print;
    struct finding f;
    int r;

    if (!c)
        return err_set(e, ERR_USAGE, "'%.64s' is not a need that can be tested", need);
    print = hush();
    run_check(&d, c, &f);
    btf__free(d.btf);
    libbpf_set_print(print);
    if (!is_lost(&f))
        return 0;
    r = err_set(e, ERR_UNSUPPORTED, "this host lacks '%s:%s': %s", c->group, c->name, f.detail);
    err_remedy(e, "%s", f.remedy);
    return r;
}
