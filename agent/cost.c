/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cost.h"

#include "base/process.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* User and system time with those of dead children: fields 14 to 17 of stat, proc(5). */
static uint64_t children_us(int pid)
{
    _cleanup_close_ int fd = -1;
    unsigned long long user, system;
    long long child_user, child_system;
    char path[32], text[1024], *p;

    snprintf(path, sizeof(path), "/proc/%d", pid);
    fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (fd < 0 || process_read(fd, "stat", text, sizeof(text)) < 0)
        return 0;
    p = strrchr(text, ')');
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld",
                     &user, &system, &child_user, &child_system) != 4)
        return 0;
    return (user + system + (uint64_t)child_user + (uint64_t)child_system) * 1000000 /
           (uint64_t)sysconf(_SC_CLK_TCK);
}

void cost_read(const struct agent_setup *setup, struct cost *ret)
{
    struct timespec ts = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    ret->agent_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
    ret->children_us = 0;
    for (size_t i = 0; i < CLIENT_PEER_COUNT; i++)
        if (setup->helper_pids[i])
            ret->children_us += children_us(setup->helper_pids[i]);
}

void cost_subtract(struct cost *c, const struct cost *before)
{
    c->agent_us -= MIN(c->agent_us, before->agent_us);
    c->children_us -= MIN(c->children_us, before->children_us);
}

uint64_t cost_rss_kb(int pid)
{
    _cleanup_close_ int fd = -1;
    unsigned long long pages;
    char path[32], text[128];

    snprintf(path, sizeof(path), "/proc/%d", pid);
    fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (fd < 0 || process_read(fd, "statm", text, sizeof(text)) < 0 ||
        sscanf(text, "%*u %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}
