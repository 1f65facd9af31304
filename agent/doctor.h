/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host can and cannot do for Porthole, found out by trying.
 *
 * Each need (a program type, a tracepoint, a perf event, a capability, …) is one entry of one table
 * in doctor.c and is tested for real: programs are loaded and attached, events opened, files read,
 * always with the rights of the calling process, and everything is undone before the call returns.
 * `porthole doctor` shows them all; portholed asks for single needs to refuse a view with a reason.
 *
 * It decides nothing about captures and keeps no state between calls.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

enum doctor_status {
    DOCTOR_WORKS,
    DOCTOR_LIMITED, /* something is lost; the rest works */
    DOCTOR_MISSING, /* a main feature is lost */
    DOCTOR_INFO,    /* good to know, costs nothing */
    DOCTOR_STATUS_COUNT,
};

/* What one check found. Strings are borrowed and valid during the call of doctor_fn. */
struct doctor_result {
    const char *group; /* one word, such as "perf" */
    const char *title; /* the group's heading */
    const char *name;  /* one word, unique within its group; "group:name" is the need */
    enum doctor_status status;
    const char *detail; /* what was seen */
    const char *remedy; /* how to get what is lost; empty when nothing is, or when nothing helps */
    const char *costs;  /* what Porthole loses where this does not work; may be empty */
};

typedef void (*doctor_fn)(void *data, const struct doctor_result *result);

/* Runs every check in the table's order. socket: the agent's. Returns 0 when the main job, `cpu`,
 * can work with the caller's rights; otherwise -EOPNOTSUPP with the first reason in e. Takes some
 * 100 ms; forks short-lived children. */
int doctor_run(const char *socket, doctor_fn fn, void *data, struct err *e);

/* Tests one need: "perf:cpu-clock", "tracepoint:sched_switch", …, or the bare name where only one
 * group has it ("btf"). Returns 0 when it works, -EOPNOTSUPP with ERR_UNSUPPORTED, reason and
 * remedy in e when anything of it is lost, -EINVAL with ERR_USAGE for a need that is not in the
 * table. Takes milliseconds ("get_stack" up to 2 s where nothing samples). The groups perf,
 * bpf, feature, tracepoint, capability and setting, and "btf" and "kallsyms", may be asked from
 * the agent's jail; the others fork, mount or connect. */
int doctor_explain(const char *need, struct err *e);

/* The word that outputs use: "works", "limited", "missing", "info". Never NULL. */
const char *doctor_status_name(enum doctor_status status);
