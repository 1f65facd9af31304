/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which options of a fixed list are among a program's arguments and environment.
 *
 * Both are bytes that a container wrote, so this runs in children of the parser and of the attacher
 * only; what leaves them is a set of bits. Nothing is kept and nothing is interpreted beyond whole
 * words.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum arguments {
    ARGUMENT_FRAME_POINTERS = 1, /* HotSpot: -XX:+PreserveFramePointer */
    ARGUMENT_NO_ATTACH = 2,      /* HotSpot: -XX:+DisableAttachMechanism */
    ARGUMENT_FILE = 4,           /* Java: options stand in a file that is not read here */
    ARGUMENT_NODE_MAP = 8,       /* V8: --perf-basic-prof and its like */
    ARGUMENT_PYTHON_MAP = 16,    /* CPython: -X perf */
    ARGUMENT_RUBY_JIT = 32,      /* --yjit or --jit */
    ARGUMENT_RUBY_MAP = 64,      /* --yjit-perf */
};

/* Most bytes of each that are looked at. */
#define ARGUMENTS_MAX 131072u

/* NUL-separated words, as /proc/PID/cmdline and environ have them; of the environment only the
 * variables by which these programs take options count. Returns bits of enum arguments. */
uint32_t arguments_find(const char *cmdline, size_t cmdline_size, const char *environment,
                        size_t environment_size);

/* Answers WIRE_PARSE_ARGUMENTS: in_fd holds struct wire_arguments and both texts, out_fd gets the
 * bits as an uint32_t. Returns 0, -EBADMSG, -errno. */
int arguments_parse(int in_fd, int out_fd);
