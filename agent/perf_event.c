/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/perf_event.h"

#include "base/jail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CACHE(level, op, result)                                        \
    (PERF_COUNT_HW_CACHE_##level | (PERF_COUNT_HW_CACHE_OP_##op << 8) | \
     (PERF_COUNT_HW_CACHE_RESULT_##result << 16))

/* Names and aliases of perf-list(1). */
static const struct {
    const char *name;
    uint32_t type;
    uint64_t config;
} events[] = {
    {"cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"minor-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {"major-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cs", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
    {"migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
    {"alignment-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_ALIGNMENT_FAULTS},
    {"emulation-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_EMULATION_FAULTS},
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"cpu-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"ref-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES},
    {"bus-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {"branch-instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {"stalled-cycles-frontend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
    {"stalled-cycles-backend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
    {"L1-dcache-loads", PERF_TYPE_HW_CACHE, CACHE(L1D, READ, ACCESS)},
    {"L1-dcache-load-misses", PERF_TYPE_HW_CACHE, CACHE(L1D, READ, MISS)},
    {"L1-dcache-stores", PERF_TYPE_HW_CACHE, CACHE(L1D, WRITE, ACCESS)},
    {"L1-icache-load-misses", PERF_TYPE_HW_CACHE, CACHE(L1I, READ, MISS)},
    {"LLC-loads", PERF_TYPE_HW_CACHE, CACHE(LL, READ, ACCESS)},
    {"LLC-load-misses", PERF_TYPE_HW_CACHE, CACHE(LL, READ, MISS)},
    {"LLC-misses", PERF_TYPE_HW_CACHE, CACHE(LL, READ, MISS)},
    {"LLC-stores", PERF_TYPE_HW_CACHE, CACHE(LL, WRITE, ACCESS)},
    {"LLC-store-misses", PERF_TYPE_HW_CACHE, CACHE(LL, WRITE, MISS)},
    {"dTLB-loads", PERF_TYPE_HW_CACHE, CACHE(DTLB, READ, ACCESS)},
    {"dTLB-load-misses", PERF_TYPE_HW_CACHE, CACHE(DTLB, READ, MISS)},
    {"iTLB-load-misses", PERF_TYPE_HW_CACHE, CACHE(ITLB, READ, MISS)},
    {"node-loads", PERF_TYPE_HW_CACHE, CACHE(NODE, READ, ACCESS)},
    {"node-load-misses", PERF_TYPE_HW_CACHE, CACHE(NODE, READ, MISS)},
};

/* "rN": N is the raw configuration of the CPU's own event, in hex. */
static bool parse_raw(const char *word, struct perf_event_name *ret)
{
    size_t digits = *word == 'r' ? strspn(word + 1, "0123456789abcdefABCDEF") : 0;

    if (digits == 0 || digits > 16 || word[1 + digits])
        return false;
    ret->type = PERF_TYPE_RAW;
    ret->config = strtoull(word + 1, NULL, 16);
    return true;
}

/* "subsystem:name"; the kernel knows tracepoints by the name alone. */
static bool parse_tracepoint(const char *word, struct perf_event_name *ret)
{
    static const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789_";
    const char *colon = strchr(word, ':');
    size_t n;

    if (!colon || colon == word || strspn(word, letters) != (size_t)(colon - word))
        return false;
    n = strlen(colon + 1);
    if (n == 0 || n >= sizeof(ret->tracepoint) || strspn(colon + 1, letters) != n)
        return false;
    memcpy(ret->tracepoint, colon + 1, n + 1);
    return true;
}

int perf_event_parse(const char *word, struct perf_event_name *ret, struct err *e)
{
    *ret = (struct perf_event_name){0};
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        if (strcmp(events[i].name, word) == 0) {
            ret->type = events[i].type;
            ret->config = events[i].config;
            ret->clock = ret->type == PERF_TYPE_SOFTWARE && ret->config <= PERF_COUNT_SW_TASK_CLOCK;
            return 0;
        }
    if (parse_raw(word, ret) || parse_tracepoint(word, ret))
        return 0;
    err_set(e, ERR_USAGE, "there is no event '%.64s'", word);
    err_remedy(e, "give one such as cpu-clock, page-faults, context-switches, cycles, "
                  "LLC-misses, r01c2 or sched:sched_switch; perf list shows more");
    return -EINVAL;
}

bool perf_event_wants_admin(void)
{
    _cleanup_fclose_ FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
    int level;

    return f && fscanf(f, "%d", &level) == 1 && level > 2;
}

int perf_event_open(struct perf_event_attr *attr, int pid, int cpu, unsigned long flags)
{
    long fd = syscall(SYS_perf_event_open, attr, pid, cpu, -1, flags | PERF_FLAG_FD_CLOEXEC);
    int error = errno;

    /* perf_event_wants_admin(); agent/rights.c says who may. */
    if (fd < 0 && error == EACCES && jail_raise(CAP_SYS_ADMIN) == 0) {
        fd = syscall(SYS_perf_event_open, attr, pid, cpu, -1, flags | PERF_FLAG_FD_CLOEXEC);
        error = errno;
        jail_lower(CAP_SYS_ADMIN);
    }
    return fd < 0 ? -error : (int)fd;
}

int perf_event_open_cpu(struct perf_event_attr *attr, int cpu, int cgroup_fd)
{
    return perf_event_open(attr, cgroup_fd, cpu, cgroup_fd >= 0 ? PERF_FLAG_PID_CGROUP : 0);
}

int perf_event_explain(const char *word, int error, struct err *e)
{
    switch (-error) {
    case ENOENT:
    case EOPNOTSUPP:
    case ENODEV:
    case EINVAL:
        err_set(e, ERR_UNSUPPORTED, "this host cannot count '%.64s': %s", word, strerror(-error));
        err_remedy(e, "hardware events need a PMU, which virtual machines often hide; use "
                      "cpu-clock, and see porthole doctor");
        return -EOPNOTSUPP;
    case EACCES:
    case EPERM:
        err_set(e, ERR_UNSUPPORTED, "the kernel refuses the perf event '%.64s' to the agent", word);
        err_remedy(e, "it needs CAP_PERFMON; see porthole doctor");
        return -EOPNOTSUPP;
    default:
        return err_set(e, ERR_FAILED, "cannot open the perf event '%.64s': %s", word,
                       strerror(-error));
    }
}

/* "0-3,5", see the kernel's Documentation/admin-guide/cputopology.rst. */
int perf_event_cpus(int *cpus, int max)
{
    _cleanup_fclose_ FILE *f = fopen("/sys/devices/system/cpu/online", "re");
    int count = 0, first, last;
    char after;

    if (!f)
        return -errno;
    while (fscanf(f, "%d", &first) == 1) {
        last = first;
        if (fscanf(f, "%c", &after) == 1 && after == '-') {
            if (fscanf(f, "%d", &last) != 1)
                return -EIO;
            after = (char)fgetc(f);
        }
        for (; first <= last && count < max; first++)
            cpus[count++] = first;
        if (after != ',')
            break;
    }
    return count ? count : -EIO;
}
