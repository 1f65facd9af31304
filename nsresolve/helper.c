/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/helper.h"

#include "base/log.h"
#include "base/options.h"

#include <string.h>
#include <sys/prctl.h>

#define SOCKET_FD 3

static int start(struct helper *h, uint64_t uid, struct err *e)
{
    int keep[] = {SOCKET_FD}, r;

    jail_close_fds(keep, 1);
    r = jail_null_stdio();
    if (r < 0)
        return err_set(e, ERR_FAILED, "cannot open '/dev/null': %s", strerror(-r));
    if (h->prepare) {
        r = h->prepare(e);
        if (r < 0)
            return r;
    }
    h->jail.uid = (uid_t)uid;
    h->jail.gid = JAIL_SAME_ID;
    h->jail.parent = getppid();
    r = jail_enter(&h->jail, e);
    if (r > 0)
        log_info("this host refuses namespaces: %s has its seccomp filter alone", h->jail.who);
    return r;
}

int helper_main(struct helper *h, int argc, char **argv)
{
    uint64_t uid = 0;
    bool verbose = false;
    const struct option_spec options[] = {
        {.name = "uid",
         .kind = OPTION_NUMBER,
         .into = &uid,
         .arg = "UID",
         .min = 1,
         .max = 1u << 31},
        {.name = "verbose", .kind = OPTION_FLAG, .into = &verbose},
        {0},
    };
    struct err e = {0};
    size_t operands;
    int r = options_parse(options, argc, argv, NULL, 0, &operands, &e);

    prctl(PR_SET_NAME, h->name);
    log_setup(h->name, verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (r == 0 && !uid)
        r = err_set(&e, ERR_USAGE, "started by portholed only: --uid is missing");
    if (r == 0)
        r = start(h, uid, &e);
    if (r < 0) {
        log_error("%s%s%s", e.message, *e.remedy ? "; " : "", e.remedy);
        return err_exit_status(e.code);
    }
    r = workers_run(&h->workers, SOCKET_FD);
    if (r < 0)
        log_error("cannot go on: %s", strerror(-r));
    _exit(r < 0 ? 1 : 0);
}
