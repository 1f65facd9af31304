/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes do while a capture runs: fork, exec, exit, map code. Perf's side-band records from
 * one ring per CPU, merged by time and fed to a scene.
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "nsresolve/resolve.h"

struct sideband;

/* cgroup_dir: only processes of this v2 cgroup, or NULL for the whole host. Where the kernel cannot
 * narrow it down, the whole host is followed. Recording starts at once. full is called from the
 * loop when the rings want to be read: as they fill, or (prompt) within milliseconds of any record.
 */
int sideband_new(struct loop *loop, const char *cgroup_dir, bool prompt, void (*full)(void *data),
                 void *data, struct sideband **ret, struct err *e);
void sideband_free(struct sideband *sb);
DEFINE_FREEP(struct sideband, sideband_free)

/* True when it follows the target's processes only. */
bool sideband_is_narrow(const struct sideband *sb);

/* True when it sees code of the kernel come and go, such as BPF programs; older kernels do not say.
 */
bool sideband_has_ksymbols(const struct sideband *sb);

/* Feeds all records up to about now into the scene, in time order. Returns the time up to which
 * nothing is missing. */
uint64_t sideband_read(struct sideband *sb, struct scene *scene);

/* Records that the kernel could not store. */
uint64_t sideband_lost(const struct sideband *sb);
