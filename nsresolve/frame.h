/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One frame as people see it: a name, where the name came from, or why there is none.
 *
 * Made by the resolver at the end of a capture, read by the agent's output. Names are valid UTF-8
 * and bounded; they may still hold anything else that a container thought up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FRAME_NAME_MAX 4096

enum frame_source {
    SOURCE_NONE, /* not named */
    SOURCE_SYMTAB,
    SOURCE_DYNSYM,
    SOURCE_DEBUG_FILE,
    SOURCE_PERF_MAP,
    SOURCE_KALLSYMS,
    SOURCE_VDSO,
    SOURCE_COUNT,
};

/* Why a frame has no name. */
enum frame_reason {
    REASON_NONE,
    REASON_STRIPPED,        /* the file has no symbol there */
    REASON_FILE,            /* the file could not be opened; detail says why */
    REASON_PARSER,          /* the parser gave up on the file; detail says why */
    REASON_JIT_NO_MAP,      /* code in anonymous memory, and no perf map */
    REASON_JIT_NOT_IN_MAP,  /* there is a perf map, but it does not list this address */
    REASON_JIT_MAP_REFUSED, /* a perf map that may not be used; detail says why */
    REASON_NO_MAPPING,      /* nothing was mapped there when it was sampled, as far as we know */
    REASON_CHANGED,       /* two files were mapped there during the samples: either name may lie */
    REASON_PROCESS_GONE,  /* the process ended before its mappings could be seen */
    REASON_KERNEL_HIDDEN, /* the kernel shows no symbols */
    REASON_KERNEL,        /* no kernel function covers the address */
    REASON_TIMEOUT,       /* opener or parser did not answer in time */
    REASON_COUNT,
};

struct frame {
    uint32_t id;
    const char *name;
    uint8_t kind;       /* enum proto_frame_kind by number: user, kernel, jit, inlined */
    uint8_t source;     /* enum frame_source */
    uint8_t reason;     /* enum frame_reason, when source is SOURCE_NONE */
    bool starts_thread; /* a stack that ends here is whole */
    bool plumbing; /* of the kernel's tracing: it and what it calls is not the target's doing */
    const char *language; /* "c++", "rust", or NULL */
    const char *file;     /* path in the container, "[kernel]", "[vdso]", …; NULL when unknown */
    const char *detail;   /* words to the reason, or NULL */
    uint64_t address; /* of the function's start in its file; of the frame itself when unnamed */
    uint8_t build_id_size;
    uint8_t build_id[32];
};

const char *frame_source_name(enum frame_source source);
const char *frame_reason_name(enum frame_reason reason);

/* What a user can do about it; "" when nothing. */
const char *frame_reason_remedy(enum frame_reason reason);
