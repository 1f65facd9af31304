/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent asks of opener, parser, attacher and fetcher, and what they answer.
 *
 * One record (base/record.h) per request and per reply, fixed-width fields, host byte order: these
 * structures never leave the machine. Whoever receives one checks every size and count in it.
 */
#pragma once

#include <stdint.h>

#define WIRE_PATH_MAX 4096
#define WIRE_BATCH_MAX 16 /* files in one WIRE_OPEN */
#define WIRE_DEMANGLE_NAME_MAX 4096

enum wire_op {
    WIRE_PING,
    /* opener */
    WIRE_PIN,       /* wire_pin -> wire_pinned; fds out: /proc/PID, its root (O_PATH) */
    WIRE_MAPS,      /* fds in: /proc/PID; fds out: a memfd with the text of its maps */
    WIRE_OPEN,      /* wire_open + items; fds in: /proc/PID or -, root; -> wire_opened; fds out */
    WIRE_CENSUS,    /* fds in: a memfd with the question; fds out: a memfd with the answer */
    WIRE_ARGUMENTS, /* fds in: /proc/PID; fds out: a memfd with wire_arguments and both texts */
    /* attacher */
    WIRE_ATTACH, /* wire_attach; fds in: /proc/PID, its root -> wire_attached */
    /* fetcher */
    WIRE_FETCH, /* wire_fetch; fds in: an empty memfd that takes the debug file */
    /* parser: fds in: the input, and an empty memfd that takes the answer */
    WIRE_PARSE_MAPS,    /* text of maps -> struct wire_mapping + path, repeated */
    WIRE_PARSE_ELF,     /* wire_parse_elf; ELF file -> symbol table (symtab.h) */
    WIRE_PARSE_PERFMAP, /* wire_parse_perfmap; perf map -> symbol table */
    WIRE_DEMANGLE, /* wire_demangle; NUL-terminated names -> as many NUL-terminated names, in order,
                    * each led by its language: 'c' none, '+' C++, 'r' Rust, 'g' Go */
    WIRE_PARSE_ARGUMENTS, /* WIRE_ARGUMENTS' memfd -> bits of enum arguments (arguments.h) */
    WIRE_PARSE_UNWIND,    /* ELF file -> unwind table (unwindtab.h) */
    WIRE_PARSE_JITDUMP,   /* jitdump file -> code table (codetab.h) */
    WIRE_PARSE_INLINES,   /* wire_parse_inlines; ELF file -> inlined functions (inlinetab.h); fds in
                           * besides: addresses, then candidates for the alternate debug file */
    WIRE_OP_COUNT,
};

struct wire_request {
    uint32_t op;        /* enum wire_op */
    uint32_t id;        /* comes back in the reply; never 0 */
    uint64_t container; /* whose files these are (mount namespace inode): the breaker's key */
    uint32_t size;      /* of the payload that follows */
    uint32_t padding;
};

enum wire_status {
    WIRE_OK = 0,
    WIRE_FAILED,    /* error holds the errno */
    WIRE_TIMEOUT,   /* the child had to be killed at its deadline */
    WIRE_CRASHED,   /* the child died by a signal, or broke a bound (memory, CPU, output) */
    WIRE_BREAKER,   /* not tried: too many stuck children for this container or host */
    WIRE_MALFORMED, /* the input is not what it should be; parser only */
    WIRE_TOO_BIG,   /* beyond a bound; parser only */
    WIRE_LOST,      /* made by the client itself: the process died or does not answer */
};

struct wire_reply {
    uint32_t id;
    uint32_t status; /* enum wire_status */
    int32_t error;
    uint32_t size; /* of the payload that follows */
};

struct wire_pin {
    int32_t pid; /* in the agent's pid namespace */
    uint32_t padding;
    uint64_t start_time; /* clock ticks after boot; 0: whoever has that pid now */
};

struct wire_pinned {
    uint64_t start_time;                /* clock ticks after boot */
    uint64_t mount_ns, pid_ns, user_ns; /* inode numbers; 0 when unreadable */
    uint32_t uid;                       /* effective, as the host sees it */
    uint32_t root_uid; /* host uid of root in its user namespace; 0xffffffff when unmapped */
    int32_t ns_tgid;   /* pid in the innermost namespace */
    uint32_t padding;
};

enum wire_open_kind {
    WIRE_OPEN_MAPPED, /* the inode mapped at [start, end): map_files first, then the path */
    WIRE_OPEN_PATH,   /* a regular file below the root */
    WIRE_OPEN_OWNED,  /* the same, but its owner must be uid_a or uid_b (perf maps) */
    WIRE_OPEN_HOST,   /* a debug file of the host: path must be below /usr/lib/debug */
};

struct wire_open_item {
    uint32_t kind;      /* enum wire_open_kind */
    uint32_t path_size; /* bytes of path that follow this item, without NUL */
    uint64_t start, end;
    uint64_t dev, ino; /* as stat gives them; MAPPED only */
    uint32_t uid_a, uid_b;
};

struct wire_open {
    uint32_t count;    /* items that follow, each with its path */
    uint32_t has_proc; /* fds in: 1: /proc/PID and root; 0: root alone */
};

struct wire_opened_item {
    uint32_t reason; /* enum file_reason; FILE_OK: the next of the reply's fds is its */
    uint32_t uid;
    uint64_t dev, ino, size, mtime_ns, ctime_ns;
};

struct wire_opened {
    uint32_t count; /* wire_opened_item that follow, in the request's order */
    uint32_t padding;
};

struct wire_mapping {
    uint64_t start, end, offset, dev, ino;
    uint32_t flags;     /* PROT_*; only executable mappings are reported */
    uint32_t path_size; /* bytes of path that follow, without NUL, padded to 8 */
};

enum wire_elf_flags {
    WIRE_ELF_DEBUG_FILE = 1, /* a separate debug file: must match build_id or crc */
    WIRE_ELF_VDSO = 2,
};

struct wire_parse_perfmap {
    uint64_t read_until, fingerprint; /* of the table that was made last; 0: the whole map */
    uint64_t size; /* what the file had when it was looked at: what came later is not read */
};

struct wire_parse_elf {
    uint32_t flags;
    uint32_t build_id_size;
    uint8_t build_id[32]; /* expected, when build_id_size > 0 */
    uint32_t crc;         /* expected CRC-32 of the whole file, when build_id_size == 0 */
    uint32_t padding;
};

/* A process's arguments and environment, both cut at ARGUMENTS_MAX, follow. */
struct wire_arguments {
    uint32_t cmdline_size, environment_size;
};

struct wire_attach {
    int32_t pid;    /* in the agent's pid namespace: who must be listening */
    int32_t ns_pid; /* in its own */
};

enum attach_outcome {
    ATTACH_DONE,
    ATTACH_NOT_HOTSPOT, /* libjvm.so is not mapped, or is another JVM's */
    ATTACH_DISABLED,    /* -XX:+DisableAttachMechanism */
    ATTACH_OPTIONS,     /* its options stand in a file, and one may forbid it */
    ATTACH_NO_HANDLER,  /* SIGQUIT would end it */
    ATTACH_NO_FILE,     /* the file that asks for the socket cannot be made; error says why */
    ATTACH_NO_SOCKET,   /* none came up in time */
    ATTACH_FOREIGN,     /* what stands at the socket's place is not the JVM's socket */
    ATTACH_NO_ANSWER,   /* connected, but no end of the answer in time */
    ATTACH_REFUSED,     /* the JVM does not know the command, or failed */
    ATTACH_TOO_MUCH,    /* an answer beyond every bound */
    ATTACH_GONE,        /* the process ended */
    ATTACH_DENIED,      /* the attacher lacks a right; error says more */
    ATTACH_OUTCOME_COUNT,
};

struct wire_attached {
    uint32_t outcome;   /* enum attach_outcome */
    int32_t error;      /* errno to it, or 0 */
    uint32_t signalled; /* SIGQUIT was sent */
    uint32_t padding;
};

#define WIRE_DEMANGLE_GO '\1' /* leads a name that is Go's */

enum wire_demangle_flags { WIRE_DEMANGLE_FULL = 1 /* nothing is cut short */ };

struct wire_demangle {
    uint32_t flags;
};

/* Addresses are uint64_t in a file of their own: ELF virtual addresses, ascending. */
struct wire_parse_inlines {
    uint32_t address_count;
    uint32_t alt_build_id_size; /* 0: there is no alternate debug file */
    uint8_t alt_build_id[32];
};

#define WIRE_BUILD_ID_MIN 8

struct wire_fetch {
    uint32_t build_id_size; /* WIRE_BUILD_ID_MIN or more */
    uint32_t padding;
    uint8_t build_id[32]; /* zeros behind its end */
};
