/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One error as a person and a script see it: a code, a message, a remedy.
 *
 * Library code fills it and returns -errno; only the programs print it, once. The same codes travel
 * in the protocol's "error" objects and decide the exit status.
 */
#pragma once

#include "base/cleanup.h"

enum err_code {
    ERR_NONE = 0,
    ERR_FAILED,           /* something broke; exit 1 */
    ERR_USAGE,            /* wrong options or a wrong request; exit 2 */
    ERR_NO_AGENT,         /* the agent cannot be reached; exit 3 */
    ERR_TARGET_UNKNOWN,   /* exit 4 */
    ERR_TARGET_AMBIGUOUS, /* exit 4 */
    ERR_DENIED,           /* exit 5 */
    ERR_UNSUPPORTED,      /* this host cannot do that; exit 6 */
    ERR_VERSION,          /* the other side speaks other versions of the protocol; exit 1 */
    ERR_LIMIT,            /* a limit of the agent; exit 1 */
    ERR_INTERRUPTED,      /* before anything was captured; exit 130 */
    ERR_CODE_COUNT,
};

struct err {
    enum err_code code;
    char message[512]; /* lower case, no full stop, the thing in quotes */
    char remedy[512];  /* what to do, may be empty */
};

/* Fills e (NULL is fine) unless it is filled already. Returns the -errno that fits the code. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) _printf_(3, 4);

/* Adds what to do; no effect on an empty or NULL e. */
void err_remedy(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* The code's name in the protocol, such as "target-unknown". Never NULL. */
const char *err_code_name(enum err_code code);

/* The code of that name; ERR_FAILED for an unknown one. */
enum err_code err_code_from_name(const char *name);

/* The exit status that design and man page promise for this code. */
int err_exit_status(enum err_code code);
