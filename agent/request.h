/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line from a client, checked: every field has its type and lies within its bounds, or the
 * request is refused with the field's name. docs/protocol.md lists them.
 */
#pragma once

#include "agent/probe.h"
#include "base/err.h"

enum request_op { REQUEST_LIST, REQUEST_STATUS, REQUEST_CAPTURE, REQUEST_STOP };

struct request {
    enum request_op op;

    /* capture */
    const struct probe_ops *probe;
    char *target; /* owned */
    char *event_word;
    struct perf_event_name event;
    uint64_t duration_ms, frequency, period, pid;
    bool per_process, per_thread, addresses;
};

/* Returns 0, or -errno with e. */
int request_parse(const char *line, size_t size, struct request *ret, struct err *e);
void request_free(struct request *r); /* the contents */
