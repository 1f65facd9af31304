/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/overhead.h"

#include "base/cleanup.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#define INTERVAL_MIN_NS 10000000u /* a shorter one tells little */

struct overhead {
    unsigned max_percent, every;
    uint64_t begun_ns, asked_ns;
    double percent; /* since the beginning */
    int cpus;
    uint64_t before[]; /* run_ns when asked last */
};

int overhead_new(unsigned max_percent, uint64_t now_ns, struct overhead **ret)
{
    int cpus = libbpf_num_possible_cpus();
    struct overhead *o;

    if (cpus < 0)
        return cpus;
    o = calloc(1, sizeof(*o) + (size_t)cpus * sizeof(o->before[0]));
    if (!o)
        return -ENOMEM;
    o->max_percent = max_percent;
    o->every = 1;
    o->begun_ns = o->asked_ns = now_ns;
    o->cpus = cpus;
    *ret = o;
    return 0;
}

void overhead_free(struct overhead *o)
{
    free(o);
}

/* Up at once by as much as it takes; down by halves, and only where that leaves room. */
unsigned overhead_every(unsigned every, double percent, unsigned max_percent)
{
    if (percent * 3 < max_percent && every > 1)
        return every / 2;
    while (percent > max_percent && every < OVERHEAD_EVERY_MAX) {
        percent /= 2;
        every *= 2;
    }
    return every;
}

unsigned overhead_adjust(struct overhead *o, const uint64_t *run_ns, int cpus, uint64_t now_ns)
{
    uint64_t most = 0, all = 0, passed = now_ns - o->asked_ns;

    if (passed < INTERVAL_MIN_NS)
        return o->every;
    for (int i = 0; i < MIN(cpus, o->cpus); i++) {
        most = MAX(most, run_ns[i] - MIN(o->before[i], run_ns[i]));
        all = MAX(all, run_ns[i]);
        o->before[i] = run_ns[i];
    }
    o->asked_ns = now_ns;
    o->percent = (double)all * 100 / (double)(now_ns - o->begun_ns);
    o->every = overhead_every(o->every, (double)most * 100 / (double)passed, o->max_percent);
    return o->every;
}

double overhead_percent(const struct overhead *o)
{
    return o->percent;
}
