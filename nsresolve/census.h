/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The census: every process of the host and every runtime's state file, as raw bytes in a memfd.
 *
 * census_collect() runs in a child of the opener, which may look everywhere and therefore
 * interprets nothing that anybody but the kernel wrote: file contents, command lines and cgroup
 * texts travel as they are. The agent writes the question, reads the answer and trusts nothing in
 * it. What the files mean is known to agent/runtimes.h alone.
 *
 * Answer: header, then records in any order, each padded to 8 bytes; host byte order.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define CENSUS_QUESTION_MAGIC 0x51534850u /* "PHSQ" */
#define CENSUS_ANSWER_MAGIC 0x41534850u   /* "PHSA" */
#define CENSUS_VERSION 1

#define CENSUS_ROOTS_MAX 128
#define CENSUS_STAMPS_MAX 65536
#define CENSUS_PROCESSES_MAX 131072
#define CENSUS_FILES_MAX 32768
#define CENSUS_ENTRIES_MAX 16384              /* directory entries looked at in one directory */
#define CENSUS_CGROUP_MAX 16384               /* bytes of one /proc/PID/cgroup */
#define CENSUS_COMMAND_MAX 16384              /* bytes of one command line */
#define CENSUS_FILE_MAX (1u << 20)            /* bytes of one state file */
#define CENSUS_INDEX_MAX (4u << 20)           /* the same of one that lists all containers */
#define CENSUS_ANSWER_MAX ((size_t)96 << 20)  /* bytes of one answer */
#define CENSUS_QUESTION_MAX ((size_t)4 << 20) /* bytes of one question */
#define CENSUS_NS_LEVELS 8                    /* nested pid namespaces that are told */

/* A directory in which some runtime keeps state; the kind says which files below it count. */
enum census_root_kind {
    CENSUS_ROOT_DOCKER,       /* docker's data-root: containers/ID/config.v2.json */
    CENSUS_ROOT_DOCKER_EXEC,  /* its exec-root: runtime-RUNTIME/NS/ID/{state.json,status} */
    CENSUS_ROOT_CONTAINERD,   /* io.containerd.runtime.v2.task/NS/ID/{init.pid,config.json}, and
                                 runc/NS/ID/state.json */
    CENSUS_ROOT_PODMAN_GRAPH, /* DRIVER-containers/containers.json; CRI-O's too */
    CENSUS_ROOT_PODMAN_RUN,   /* DRIVER-containers/ID/userdata/{pidfile,config.json} */
    CENSUS_ROOT_RUNC,         /* ID/state.json */
    CENSUS_ROOT_CRUN,         /* ID/{status,config.json} */
    CENSUS_ROOT_KINDS,
};

enum census_file_kind {
    CENSUS_FILE_DOCKER_CONFIG,
    CENSUS_FILE_CONTAINERD_PID,
    CENSUS_FILE_OCI_CONFIG, /* config.json of a bundle */
    CENSUS_FILE_PODMAN_CONTAINERS,
    CENSUS_FILE_PODMAN_PID,
    CENSUS_FILE_RUNC_STATE,
    CENSUS_FILE_CRUN_STATUS,
    CENSUS_FILE_KINDS,
};

struct census_root {
    enum census_root_kind kind;
    const char *path; /* absolute */
};

/* What tells an unchanged file. Zero-filled where there is no file. */
struct census_stamp {
    uint64_t path_hash; /* hash_bytes() of the path with the question's seed */
    uint64_t mtime_ns, ctime_ns, inode, size;
};

/* ---- the question ---- */

struct census_question {
    uint32_t magic, version;
    uint32_t root_count;  /* struct census_question_root follow, each with its path padded to 8 */
    uint32_t stamp_count; /* struct census_stamp follow those */
    uint64_t seed;
};

struct census_question_root {
    uint32_t kind;
    uint32_t path_size; /* without NUL */
};

/* For qsort() and bsearch(): by path_hash. */
int census_compare_stamps(const void *a, const void *b);

/* Appends a whole question. The stamps are sorted: the opener does not sort, as qsort() would need
 * more of its jail; those out of order are not found, no more. Beyond the bounds roots and stamps
 * are left out. 0 or -ENOMEM. */
int census_question_write(struct buf *question, const struct census_root *roots, size_t root_count,
                          const struct census_stamp *stamps, size_t stamp_count, uint64_t seed);

/* Collects the answer into out_fd (a memfd, empty) from proc_fd (an fd of /proc, or -1: open it).
 * Runs in a child of the opener: may block, may be killed. Returns 0, -EBADMSG for a question that
 * lies, or -errno. */
int census_collect(const void *question, size_t size, int proc_fd, int out_fd);

/* ---- the answer ---- */

enum census_flags {
    CENSUS_CUT_PROCESSES = 1, /* a bound left out processes */
    CENSUS_CUT_FILES = 2,     /* a bound left out files or directory entries */
};

struct census_header {
    uint32_t magic, version;
    uint32_t flags; /* enum census_flags */
    uint32_t record_count;
    uint64_t size; /* of the whole answer */
    uint64_t host_mount_ns, host_user_ns;
    uint64_t host_root_dev, host_root_ino;
};

enum census_kind { CENSUS_CGROUP, CENSUS_PROCESS, CENSUS_COMMAND, CENSUS_FILE, CENSUS_KINDS };

struct census_record {
    uint32_t kind; /* enum census_kind */
    uint32_t size; /* of what follows, padded to 8 */
};

/* The text of /proc/PID/cgroup, once for all processes that have the same: follows this. They name
 * it by number, counted from 0 in the answer's order. */
struct census_cgroup {
    uint32_t size, padding;
};

struct census_process {
    int32_t tgid, ppid;
    uint64_t start_time;         /* clock ticks after boot */
    uint64_t mount_ns;           /* inode; 0 when unreadable */
    uint64_t root_dev, root_ino; /* of /proc/PID/root; 0 when unreadable */
    uint32_t cgroup;             /* number of its text; told before the process */
    uint32_t uid;                /* effective; known only for processes off the host's root */
    uint32_t root_uid;           /* host uid of root in its user namespace; ~0 when unmapped */
    uint32_t ns_count;           /* levels in ns_tgids, 1.. for processes off the host's root */
    int32_t ns_tgids[CENSUS_NS_LEVELS]; /* NSpid of status, outermost first */
    char comm[16];                      /* NUL-terminated */
};

/* A runtime's daemon, shim or monitor on the host's root directory. cwd, then the arguments, each
 * ending in NUL as in /proc/PID/cmdline, follow. */
struct census_command {
    int32_t tgid;
    uint32_t uid; /* real */
    uint32_t cwd_size, args_size;
    char comm[16];
};

enum census_file_state {
    CENSUS_FILE_READ,
    CENSUS_FILE_UNCHANGED, /* as in the question's stamp: no bytes */
    CENSUS_FILE_REFUSED,   /* too big, not a regular file, unreadable: no bytes */
};

/* A state file; path, then its bytes follow. */
struct census_file {
    uint32_t kind;  /* enum census_file_kind */
    uint32_t state; /* enum census_file_state */
    struct census_stamp stamp;
    uint32_t path_size, data_size;
};

/* One record, checked; everything in it is borrowed from the answer. Strings are not
 * NUL-terminated unless said otherwise. */
struct census_item {
    enum census_kind kind;
    union {
        const struct census_cgroup *cgroup;
        const struct census_process *process;
        const struct census_command *command;
        const struct census_file *file;
    };
    const char *text; /* cgroup text, command's arguments, file's bytes */
    size_t text_size;
    const char *path; /* command's cwd, file's path: no NUL inside */
    size_t path_size;
};

struct census_reader {
    const uint8_t *data;
    size_t size, at;
    uint32_t records_left, cgroups;
};

/* Begins to read an answer, which must stay as it is (sealed) and aligned to 8. Returns 0 or
 * -EBADMSG. */
int census_reader_init(struct census_reader *r, const void *data, size_t size);
const struct census_header *census_reader_header(const struct census_reader *r);

/* The next record: 1; 0 at the end; -EBADMSG for an answer that lies. */
int census_reader_next(struct census_reader *r, struct census_item *ret);

/* ---- between the two halves of census_collect() ---- */

struct census_writer;

/* Appends one record made of up to four parts. Returns 0, -EFBIG beyond CENSUS_ANSWER_MAX (nothing
 * is written then), or -errno. */
struct census_part {
    const void *data;
    size_t size;
};
int census_write(struct census_writer *w, enum census_kind kind, const struct census_part *parts,
                 size_t count);
void census_cut(struct census_writer *w, enum census_flags flag);

/* census_files.c: every state file below the question's roots. Returns 0 or -errno. */
int census_collect_files(struct census_writer *w, const struct census_root *roots,
                         size_t root_count, const struct census_stamp *stamps, size_t stamp_count,
                         uint64_t seed);
