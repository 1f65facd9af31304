/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talk on stderr, with systemd's priority prefixes when stderr is its journal.
 *
 * Only programs log; libraries return errors (and may log_debug).
 */
#pragma once

#include "base/cleanup.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The name stands before every line; borrowed for ever. */
void log_setup(const char *name, enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
