/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One frame as people see it: a name, where the name came from, or why there is none.
 *
 * Made by the resolver at the end of a capture, read by the agent's output. Names are valid UTF-8
 * and bounded; they may still hold anything else that a container thought up.
 */
#pragma once

#include "base/pathat.h"

#include <stdbool.h>
#include <stdint.h>

#define FRAME_NAME_MAX 4096

enum frame_source {
    SOURCE_NONE, /* not named */
    SOURCE_SYMTAB,
    SOURCE_DYNSYM,
    SOURCE_MINIDEBUG, /* .gnu_debugdata */
    SOURCE_PLT,       /* the function behind a PLT stub */
    SOURCE_DEBUG_FILE,
    SOURCE_DEBUGINFOD,
    SOURCE_PERF_MAP,
    SOURCE_JITDUMP,
    SOURCE_KALLSYMS,
    SOURCE_VDSO,
    SOURCE_PCLNTAB,
    SOURCE_DWARF_INLINE, /* a function that was inlined */
    SOURCE_LABEL,        /* no function: a word of the view's */
    SOURCE_COUNT,
};

/* Why a frame has no name. */
enum frame_reason {
    REASON_NONE,
    REASON_STRIPPED,        /* the file has dynamic symbols at most, and none there */
    REASON_NO_SYMBOL,       /* it has its symbol table, but nothing of it is there */
    REASON_FILE_GONE,       /* removed or replaced before it could be opened */
    REASON_FILE_UNREADABLE, /* the system refuses it; detail says why */
    REASON_FILE_REFUSED,    /* it is nothing that we read; detail says why */
    REASON_LIMIT,           /* out of descriptors, memory or room for one file more */
    REASON_PARSER,          /* the parser gave up on the file; detail says why */
    REASON_JIT_NO_MAP,      /* code in anonymous memory, and no perf map */
    REASON_JIT_NOT_IN_MAP,  /* there is a perf map, but it does not list this address */
    REASON_JIT_MAP_REFUSED, /* a perf map that may not be used; detail says why */
    REASON_JIT_MOVED,       /* code was moved or replaced there while it was sampled */
    REASON_NO_MAPPING,      /* nothing was mapped there when it was sampled, as far as we know */
    REASON_CHANGED,       /* two files were mapped there during the samples: either name may lie */
    REASON_PROCESS_GONE,  /* the process ended before its mappings could be seen */
    REASON_KERNEL_HIDDEN, /* the kernel shows no symbols */
    REASON_KERNEL,        /* no kernel function covers the address */
    REASON_TIMEOUT,       /* opener or parser did not answer, or not in time */
    REASON_COUNT,
};

/* Whether the functions inlined into a frame are known. */
enum frame_inlines {
    INLINES_NOT_ASKED, /* nobody asked, or it is no code of a file */
    INLINES_EXPANDED,  /* they stand before it; there may be none */
    INLINES_NO_DWARF,  /* neither the file nor a debug file of it has DWARF */
    INLINES_NO_UNIT,   /* it has, but not for this address */
    INLINES_SPLIT,     /* it is in .dwo files */
    INLINES_NO_ALT,    /* the file that several share DWARF through is missing */
    INLINES_BOUNDS,    /* the DWARF is beyond the parser's bounds */
    INLINES_PARSER,    /* the parser gave up on it; detail says why */
    INLINES_TIMEOUT,   /* no answer in time */
    INLINES_COUNT,
};

struct frame {
    uint32_t id;
    const char *name;
    uint8_t kind;       /* enum proto_frame_kind by number: user, kernel, jit, inlined, label */
    uint8_t source;     /* enum frame_source */
    uint8_t reason;     /* enum frame_reason, when source is SOURCE_NONE */
    uint8_t inlines;    /* enum frame_inlines */
    bool starts_thread; /* a stack that ends here is whole */
    bool starts_thread_if_bare; /* likewise if no rule covers it: musl's start() alone */
    bool plumbing;  /* of the kernel's tracing: it and what it calls is not the target's doing */
    bool scheduler; /* takes a thread off its CPU, whatever it waits for */
    const char *language; /* "c++", "rust", "go", or NULL */
    const char *file;     /* path in the container, "[kernel]", "[vdso]", …; NULL when unknown */
    const char *detail;   /* words to the reason, or NULL */
    const char *inlines_detail; /* words to why its inlines are not known, or NULL */
    uint64_t address; /* of the function's start in its file; of the frame itself when unnamed */
    uint8_t build_id_size;
    uint8_t build_id[32];
};

const char *frame_inlines_name(enum frame_inlines inlines);
const char *frame_inlines_remedy(enum frame_inlines inlines); /* "" when there is none */

const char *frame_source_name(enum frame_source source);
const char *frame_reason_name(enum frame_reason reason);

/* What a user can do about it; "" when nothing. */
const char *frame_reason_remedy(enum frame_reason reason);

/* Why the frames of a file that could not be opened have no names. */
enum frame_reason frame_reason_of_file(enum file_reason reason);
