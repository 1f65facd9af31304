/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line from a client, checked: every field has its type and lies within its bounds, or the
 * request is refused with the field's name. docs/protocol.md lists them.
 */
#pragma once

#include "agent/probe.h"
#include "base/buf.h"
#include "base/err.h"

enum request_op { REQUEST_LIST, REQUEST_STATUS, REQUEST_CAPTURE, REQUEST_STOP };

struct request {
    enum request_op op;
    struct buf ignored; /* names of fields that this agent does not know, as JSON between commas */

    /* capture */
    const struct probe_ops *probe;
    char *target; /* owned */
    char *event_word;
    struct perf_event_name event;
    uint64_t duration_ms, frequency, period, pid, max_stack;
    bool per_process, per_thread, addresses, full_names, inlines;
    bool java; /* ask JVMs for their perf maps */
    struct wait_filter wait;
    enum probe_weight weight;
    bool events; /* of I/O: each operation as it happens */
};

/* What the values of the stacks, or the taken of records, count. */
const char *request_unit(const struct request *r);

/* Returns 0, or -errno with e. */
int request_parse(const char *line, size_t size, struct request *ret, struct err *e);
void request_free(struct request *r); /* the contents */
