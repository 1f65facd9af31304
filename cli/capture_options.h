/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of the capture commands: one table a family of views, which rules go with them, and
 * the request that they make. For cmd_capture.c; the tables feed help and completion as well.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* As given on the command line; 0 and NULL where the agent is to choose. */
struct capture_options {
    uint64_t duration_ns; /* 0: until interrupted */
    uint64_t frequency, period, pid, max_stack;
    const char *event;
    uint64_t min_us, max_us, chain_depth, max_overhead;
    const char *state, *thread;
    const char *weight;
    bool per_process, per_thread, addresses, full_names, inlines, java, events, stacks;
    bool quiet, records;
};

/* Parses argv[1..] by the table of the command argv[0]; *target is borrowed from argv. Returns the
 * options, which are valid for good; NULL with e filled. */
const struct capture_options *capture_options_parse(int argc, char **argv, const char **target,
                                                    struct err *e);

/* Whether this command yields rows with these options, not stacks. */
bool capture_options_yield_rows(const struct capture_options *o, const char *view);

/* Appends the request's line without its newline. */
void capture_options_add_request(const struct capture_options *o, const char *view,
                                 const char *target, struct buf *b);
