/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    const char *name;
    enum log_level level;
    bool journal;
} config = {.name = "porthole", .level = LOG_LEVEL_INFO};

void log_setup(const char *name, enum log_level level)
{
    config.name = name;
    config.level = level;
    config.journal = getenv("JOURNAL_STREAM") && !isatty(STDERR_FILENO);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char priority[] = {'3', '4', '6', '7'};
    char line[1024];
    size_t n = 0;
    va_list ap;
    int r;

    if (level > config.level)
        return;
    if (config.journal)
        n = (size_t)snprintf(line, sizeof(line), "<%c>", priority[level]);
    n += (size_t)snprintf(line + n, sizeof(line) - n, "%s: ", config.name);
    va_start(ap, fmt);
    r = vsnprintf(line + n, sizeof(line) - n, fmt, ap);
    va_end(ap);
    if (r < 0)
        return;
    n = MIN(n + (size_t)r, sizeof(line) - 2);

    /* Names from containers pass through here: no control byte may reach a terminal. */
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[n++] = '\n';

    /* One write per line, so that lines of our processes do not mix. Nothing to do if it fails. */
    if (write(STDERR_FILENO, line, n) < 0)
        return;
}
