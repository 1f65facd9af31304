/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON among the runtimes' state files, strictly and within bounds. Used by runtimes.c alone.
 *
 * Each fills a claim whose runtime and id are set; texts that are too long or hold a NUL are left
 * out. Returns 0, -EBADMSG or -ENOMEM; the claim stays the caller's in any case.
 */
#pragma once

#include "agent/runtimes.h"

int runtimes_json_docker_config(const char *data, size_t size, struct claim *c);
int runtimes_json_oci_config(const char *data, size_t size, struct claim *c);
int runtimes_json_runc_state(const char *data, size_t size, struct claim *c);
int runtimes_json_crun_status(const char *data, size_t size, struct claim *c);
int runtimes_json_podman_containers(const char *data, size_t size, struct claims *ret);

/* A new, empty claim at the end, or NULL: out of memory, or beyond RUNTIMES_CLAIMS_MAX. */
struct claim *claims_add(struct claims *cs);

/* A component of a path, counted from the end; empty when there are not so many. */
const char *path_component(const char *path, unsigned from_end, size_t *size);
