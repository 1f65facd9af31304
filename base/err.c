/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_status;
    int error;
} codes[ERR_CODE_COUNT] = {
    [ERR_NONE] = {"none", 0, 0},
    [ERR_FAILED] = {"failed", 1, EIO},
    [ERR_USAGE] = {"usage", 2, EINVAL},
    [ERR_NO_AGENT] = {"no-agent", 3, ECONNREFUSED},
    [ERR_TARGET_UNKNOWN] = {"target-unknown", 4, ENOENT},
    [ERR_TARGET_AMBIGUOUS] = {"target-ambiguous", 4, ENOTUNIQ},
    [ERR_DENIED] = {"denied", 5, EPERM},
    [ERR_UNSUPPORTED] = {"unsupported", 6, EOPNOTSUPP},
    [ERR_VERSION] = {"version", 1, EPROTONOSUPPORT},
    [ERR_LIMIT] = {"limit", 1, EBUSY},
    [ERR_INTERRUPTED] = {"interrupted", 130, EINTR},
};

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    if (e && e->code == ERR_NONE) {
        e->code = code;
        e->remedy[0] = '\0';
        va_start(ap, fmt);
        vsnprintf(e->message, sizeof(e->message), fmt, ap);
        va_end(ap);
    }
    return -codes[code].error;
}

void err_remedy(struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (!e || e->code == ERR_NONE || e->remedy[0])
        return;
    va_start(ap, fmt);
    vsnprintf(e->remedy, sizeof(e->remedy), fmt, ap);
    va_end(ap);
}

const char *err_code_name(enum err_code code)
{
    return code < ERR_CODE_COUNT ? codes[code].name : codes[ERR_FAILED].name;
}

enum err_code err_code_from_name(const char *name)
{
    for (size_t i = 0; i < ERR_CODE_COUNT; i++)
        if (strcmp(codes[i].name, name) == 0)
            return i;
    return ERR_FAILED;
}

int err_exit_status(enum err_code code)
{
    return code < ERR_CODE_COUNT ? codes[code].exit_status : 1;
}
