/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent asks of its opener and its parser, and what they answer.
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
    WIRE_PIN,    /* wire_pin -> wire_pinned; fds out: /proc/PID, its root (O_PATH) */
    WIRE_MAPS,   /* fds in: /proc/PID; fds out: a memfd with the text of its maps */
    WIRE_OPEN,   /* wire_open + items; fds in: /proc/PID or -, root; -> wire_opened; fds out */
    WIRE_CENSUS, /* fds in: a memfd with the question; fds out: a memfd with the answer */
    /* parser: fds in: the input, and an empty memfd that takes the answer */
    WIRE_PARSE_MAPS,    /* text of maps -> struct wire_mapping + path, repeated */
    WIRE_PARSE_ELF,     /* wire_parse_elf; ELF file -> symbol table (symtab.h) */
    WIRE_PARSE_PERFMAP, /* perf map -> symbol table */
    WIRE_DEMANGLE,      /* NUL-terminated names -> as many NUL-terminated names, in order, each
                         * led by its language: 'c' left as it was, '+' C++, 'r' Rust */
    WIRE_PARSE_UNWIND,  /* ELF file -> unwind table (unwindtab.h) */
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

struct wire_parse_elf {
    uint32_t flags;
    uint32_t build_id_size;
    uint8_t build_id[32]; /* expected, when build_id_size > 0 */
    uint32_t crc;         /* expected CRC-32 of the whole file, when build_id_size == 0 */
    uint32_t padding;
};
