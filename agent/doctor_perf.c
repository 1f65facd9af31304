/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/doctor_check.h"
#include "agent/perf_event.h"
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define SIDE_BAND_PAGES 64 /* per CPU, what a capture maps; a power of two */
#define BUFFERS_MAX 4096   /* CPUs tried */

int doctor_perf_open(struct perf_event_attr *attr, int pid, int cpu, unsigned long flags)
{
    return perf_event_open(attr, pid, cpu, flags);
}

int doctor_cpu(void)
{
    int cpu = sched_getcpu();

    return cpu < 0 ? 0 : cpu;
}

void check_perf_event(struct doctor *d _unused_, const struct check *c, struct finding *f)
{
    struct perf_event_attr attr = {.size = sizeof(attr), .sample_period = 1000000, .disabled = 1};
    _cleanup_close_ int fd = -1;
    struct perf_event_name event;

    if (perf_event_parse(c->name, &event, NULL) < 0) {
        check_lost(f, "not an event that this build knows");
        return;
    }
    attr.type = event.type;
    attr.config = event.config;
    fd = doctor_perf_open(&attr, -1, doctor_cpu(), 0);
    if (fd >= 0) {
        check_works(f, "can be sampled on every process of a CPU");
    } else if (fd == -ENOENT || fd == -EOPNOTSUPP || fd == -ENODEV) {
        check_lost(f, "this CPU (or virtual machine) has no such counter: %s", strerror(-fd));
        check_remedy(f, "hardware, or a virtual machine with a virtual PMU");
    } else {
        doctor_explain_perf(f, "opening it for all processes", -fd);
    }
}

void check_perf_cgroup(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_DUMMY,
                                   .disabled = 1};
    _cleanup_close_ int directory = -1, event = -1;
    char path[4096];
    int r = doctor_own_cgroup(path, sizeof(path));

    if (r < 0) {
        check_lost(f, "no directory of this process's v2 cgroup found");
        check_remedy(f, "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified");
        return;
    }
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        check_lost(f, "'%.200s' cannot be opened: %s", path, strerror(errno));
        return;
    }
    event = doctor_perf_open(&attr, directory, doctor_cpu(), PERF_FLAG_PID_CGROUP);
    if (event >= 0)
        check_works(f, "events can be bound to a cgroup ('%.200s' tried)", path);
    else
        doctor_explain_perf(f, "binding an event to a cgroup", -event);
}

static void side_band_attr(struct perf_event_attr *attr, bool build_id)
{
    *attr = (struct perf_event_attr){
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(*attr),
        .config = PERF_COUNT_SW_DUMMY,
        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
        .disabled = 1,
        .mmap = 1,
        .mmap2 = 1,
        .comm = 1,
        .comm_exec = 1,
        .task = 1,
        .sample_id_all = 1,
        .build_id = build_id,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
        .watermark = 1,
        .wakeup_watermark = 1,
    };
}

/* Whether a COMM record of this process arrives: it names itself what it is named already. */
static bool record_arrives(int fd, struct perf_event_mmap_page *page)
{
    char comm[32];

    if (doctor_read_line("/proc/self/comm", comm, sizeof(comm)) < 0 ||
        ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
        return false;
    prctl(PR_SET_NAME, comm);
    return __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE) > 0;
}

/* Opens and tries side-band on one CPU after the other, until this process was on the one that was
 * listening. Returns 0, -ENODATA when no record came, or why it could not be opened. */
static int try_side_band(bool build_id)
{
    size_t size = 2 * (size_t)sysconf(_SC_PAGESIZE);
    struct perf_event_attr attr;

    side_band_attr(&attr, build_id);
    for (int tries = 0; tries < 100; tries++) {
        _cleanup_close_ int fd = doctor_perf_open(&attr, -1, doctor_cpu(), 0);
        bool arrived;
        void *page;

        if (fd < 0)
            return fd;
        page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED)
            return -errno;
        arrived = record_arrives(fd, page);
        munmap(page, size);
        if (arrived)
            return 0;
    }
    return -ENODATA;
}

void check_side_band(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    int r = try_side_band(true);

    if (r == 0) {
        check_works(f, "records of mappings, with build IDs and CLOCK_MONOTONIC, arrive");
        return;
    }
    if (r == -EINVAL && try_side_band(false) == 0) {
        check_limited(f, "records of mappings arrive, but without build IDs");
        check_remedy(f, "Linux 5.12 or newer");
        return;
    }
    if (r == -ENODATA)
        check_lost(f, "accepted, but no record arrives");
    else
        doctor_explain_perf(f, "listening to mappings of all processes", -r);
}

/* Maps a capture's buffers for all CPUs at once, as a capture does. Returns 0 or -errno. */
static int map_all_buffers(long cpus)
{
    size_t size = (1 + SIDE_BAND_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    _cleanup_free_ int *fds = calloc(cpus, sizeof(*fds));
    _cleanup_free_ void **maps = calloc(cpus, sizeof(*maps));
    struct perf_event_attr attr;
    int r = 0;

    if (!fds || !maps)
        return -ENOMEM;
    side_band_attr(&attr, false);
    for (long i = 0; i < cpus; i++) {
        fds[i] = r < 0 ? -1 : doctor_perf_open(&attr, -1, i, 0);
        maps[i] = MAP_FAILED;
        if (fds[i] == -ENODEV || r < 0) /* ENODEV: the CPU is offline */
            continue;
        if (fds[i] < 0) {
            r = fds[i];
            continue;
        }
        maps[i] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
        if (maps[i] == MAP_FAILED)
            r = -errno;
    }
    for (long i = 0; i < cpus; i++) {
        if (maps[i] != MAP_FAILED)
            munmap(maps[i], size);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return r;
}

void check_perf_buffers(struct doctor *d _unused_, const struct check *c _unused_,
                        struct finding *f)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF), mlock_kb = -1;
    struct rlimit limit = {0};
    char locked[32] = "unlimited";
    int r;

    cpus = MAX(1, MIN(cpus, BUFFERS_MAX));
    doctor_read_number("/proc/sys/kernel/perf_event_mlock_kb", &mlock_kb);
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur != RLIM_INFINITY)
        snprintf(locked, sizeof(locked), "%llu kB", (unsigned long long)limit.rlim_cur / 1024);
    r = map_all_buffers(cpus);
    if (r == 0) {
        check_works(f, "%ld x %ld kB mapped (perf_event_mlock_kb %ld, RLIMIT_MEMLOCK %s)", cpus,
                    SIDE_BAND_PAGES * sysconf(_SC_PAGESIZE) / 1024, mlock_kb, locked);
    } else if (r == -EPERM && doctor_capable(CAP_PERFMON)) {
        check_lost(f, "%ld x %ld kB are too much for perf_event_mlock_kb %ld, RLIMIT_MEMLOCK %s",
                   cpus, SIDE_BAND_PAGES * sysconf(_SC_PAGESIZE) / 1024, mlock_kb, locked);
        check_remedy(f, "start portholed with CAP_IPC_LOCK, or raise kernel.perf_event_mlock_kb");
    } else {
        doctor_explain_perf(f, "mapping a capture's buffers", -r);
    }
}

void check_max_stack(struct doctor *d _unused_, const struct check *c _unused_, struct finding *f)
{
    long depth;
    int r = doctor_read_number("/proc/sys/kernel/perf_event_max_stack", &depth);

    if (r < 0) {
        check_info(f, "unknown: %s", strerror(-r));
    } else if (depth < PERF_MAX_STACK_DEPTH) {
        check_lost(f, "stacks are cut after %ld frames", depth);
        check_remedy(f, "sysctl kernel.perf_event_max_stack=%d", PERF_MAX_STACK_DEPTH);
    } else {
        check_works(f, "%ld frames", depth);
    }
}
