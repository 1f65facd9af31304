/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CLI and agent agree on: version, limits, names. docs/protocol.md describes every field.
 */
#pragma once

#define PROTO_VERSION 1     /* the newest that is spoken */
#define PROTO_VERSION_MIN 1 /* the oldest */
#define PROTO_SOCKET "/run/porthole/porthole.sock"
#define PROTO_SOCKET_ENV "PORTHOLE_SOCKET"

#define PROTO_REQUEST_MAX 65536
#define PROTO_DEPTH_MAX 16
#define PROTO_TARGET_MAX 1024

#define PROTO_DURATION_MS_DEFAULT 10000
#define PROTO_DURATION_MS_MAX 86400000u
#define PROTO_FREQUENCY_DEFAULT 99
#define PROTO_FREQUENCY_MAX 10000
#define PROTO_CHAIN_DEPTH_MAX 8
#define PROTO_WAIT_US_MAX (86400ull * 1000000)
#define PROTO_OVERHEAD_MAX 100 /* percent */
#define PROTO_PERIOD_MAX (1ull << 53)
#define PROTO_STACK_DEFAULT 127 /* frames */
#define PROTO_STACK_MAX 1024

/* Frame kinds, in the order of PROTO_FRAME_KINDS. */
enum proto_frame_kind {
    FRAME_USER,
    FRAME_KERNEL,
    FRAME_JIT,
    FRAME_INLINED,
    FRAME_LABEL,
    FRAME_KIND_COUNT,
};
#define PROTO_FRAME_KINDS                           \
    {                                               \
        "user", "kernel", "jit", "inlined", "label" \
    }
