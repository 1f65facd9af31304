/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/attach_check.h"

#include "base/process.h"
#include "nsresolve/arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAPS_BYTES_MAX (16u << 20)

enum attach_outcome attach_check_status(const char *status, int ns_pid, struct attach_target *ret)
{
    const char *uid = process_status_line(status, "\nUid:"),
               *gid = process_status_line(status, "\nGid:");
    const char *ns = process_status_line(status, "\nNSpid:"),
               *caught = process_status_line(status, "\nSigCgt:");
    unsigned long long mask;

    if (!uid || !gid || !ns || !caught || sscanf(uid, "%*u %u", &ret->uid) != 1 ||
        sscanf(gid, "%*u %u", &ret->gid) != 1 || sscanf(caught, "%llx", &mask) != 1 ||
        process_last_number(ns) != ns_pid)
        return ATTACH_GONE;
    return mask & (1ull << (SIGQUIT - 1)) ? ATTACH_DONE : ATTACH_NO_HANDLER;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);

    return n >= m && memcmp(path + n - m, end, m) == 0;
}

enum attach_mapping attach_check_mapping(const char *line)
{
    unsigned long long inode;
    char executable;
    int path = 0;

    if (sscanf(line, "%*x-%*x %*c%*c%c%*c %*x %*x:%*x %llu %n", &executable, &inode, &path) != 2 ||
        !path || !inode)
        return ATTACH_MAPPING_OTHER;
    if (strstr(line + path, "/libj9vm"))
        return ATTACH_MAPPING_FOREIGN;
    if (executable == 'x' &&
        (ends_with(line + path, "/libjvm.so") || ends_with(line + path, "/libjvm.so (deleted)")))
        return ATTACH_MAPPING_HOTSPOT;
    return ATTACH_MAPPING_OTHER;
}

/* Line by line, within bounds; a line that is longer than any path says nothing. */
static enum attach_outcome check_maps(int proc_fd)
{
    _cleanup_close_ int fd = openat(proc_fd, "maps", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *f = NULL;
    enum attach_outcome outcome = ATTACH_NOT_HOTSPOT;
    static char line[8192];
    size_t total = 0;

    if (fd < 0)
        return errno == ESRCH ? ATTACH_GONE : ATTACH_DENIED;
    f = fdopen(fd, "r");
    if (!f)
        return ATTACH_DENIED;
    TAKE_FD(fd);
    while (total < MAPS_BYTES_MAX && fgets(line, sizeof(line), f)) {
        total += strlen(line);
        line[strcspn(line, "\n")] = '\0';
        switch (attach_check_mapping(line)) {
        case ATTACH_MAPPING_HOTSPOT:
            outcome = ATTACH_DONE;
            break;
        case ATTACH_MAPPING_FOREIGN:
            return ATTACH_NOT_HOTSPOT;
        case ATTACH_MAPPING_OTHER:
            break;
        }
    }
    return outcome;
}

enum attach_outcome attach_check_options(int proc_fd)
{
    static char cmdline[ARGUMENTS_MAX + 1], environment[ARGUMENTS_MAX + 1];
    ssize_t n = process_read(proc_fd, "cmdline", cmdline, sizeof(cmdline));
    ssize_t m = process_read(proc_fd, "environ", environment, sizeof(environment));
    uint32_t found;

    if (n < 0 || m < 0)
        return n == -ESRCH || m == -ESRCH ? ATTACH_GONE : ATTACH_DENIED;
    found = arguments_find(cmdline, (size_t)n, environment, (size_t)m);
    if (found & ARGUMENT_NO_ATTACH)
        return ATTACH_DISABLED;
    /* Cut short, the rest may say no as well. */
    if (found & ARGUMENT_FILE || n == ARGUMENTS_MAX || m == ARGUMENTS_MAX)
        return ATTACH_OPTIONS;
    return ATTACH_DONE;
}

enum attach_outcome attach_check(int proc_fd, int ns_pid, struct attach_target *ret)
{
    enum attach_outcome outcome = check_maps(proc_fd);
    char status[4096];

    if (outcome != ATTACH_DONE)
        return outcome;
    if (process_read(proc_fd, "status", status, sizeof(status)) < 0)
        return ATTACH_GONE;
    return attach_check_status(status, ns_pid, ret);
}
