/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that one capture has seen mapped: opened by the opener when first seen, parsed when
 * first sampled, debug files looked for when the binary itself has no full symbol table.
 *
 * A file is a device and inode number; its path is only a hint where to open it. Every step is
 * asynchronous; what fails leaves a reason. Knows nothing of processes' time lines.
 */
#pragma once

#include "nsresolve/asks.h"
#include "nsresolve/cache.h"
#include "nsresolve/frame.h"
#include "nsresolve/processes.h"
#include "nsresolve/unwinds.h"

struct files;
struct file;

enum file_kind {
    FILE_KIND_ELF, /* a file that may be ELF */
    FILE_KIND_VDSO,
    FILE_KIND_ANONYMOUS, /* memory without a file, or a memfd: code made at run time */
};

/* unwinds may be NULL: then no unwind tables are made. changed is called when the unwind table of a
 * file that is in use became known. vdso_fd: the image of our own vdso in a memfd, or -1; borrowed.
 */
struct files_setup {
    struct asks *asks;
    struct cache *cache;
    struct unwinds *unwinds;
    int vdso_fd;
    void (*changed)(void *data);
    void *data;
};

int files_new(const struct files_setup *setup, struct files **ret);
void files_free(struct files *fs);
DEFINE_FREEP(struct files, files_free)

/* The file of a mapping record; made when new. path is a hint and need not end in NUL. NULL: out of
 * memory, or more than FILES_MAX. Borrowed until files_free(). */
#define FILES_MAX 4096
struct file *files_obtain(struct files *fs, uint64_t dev, uint64_t ino, const char *path,
                          size_t path_size);

enum file_kind file_kind(const struct file *f);
const char *file_path(const struct file *f);

/* Wants the file opened through this mapping of this process. Cheap when it is open already.
 * Requests collect until files_flush(). */
void files_want(struct files *fs, struct file *f, struct pin *pin, uint64_t start, uint64_t end);

/* Sends what was collected. */
void files_flush(struct files *fs);

/* True when the last attempt failed and another pin may do better. */
bool file_wants_retry(const struct file *f);

/* A sample fell into it: asks for its symbol table (once). */
void files_sampled(struct files *fs, struct file *f);

struct file_symbol {
    const char *name; /* raw, borrowed from the table */
    uint64_t start;   /* ELF virtual address */
    enum frame_source source;
};

/* The symbol at a file offset. Returns REASON_NONE, or why there is none; *detail (borrowed) gets
 * words to it or NULL. *vaddr gets the ELF address when it is known, else the offset. */
enum frame_reason file_symbol(const struct file *f, uint64_t offset, struct file_symbol *ret,
                              uint64_t *vaddr, const char **detail);

/* What is known of the rules to unwind through a file. */
enum file_rules {
    FILE_RULES_AWAITED, /* being made */
    FILE_RULES_NONE,    /* there are none, or there will be none */
    FILE_RULES_READY,
};

/* Ready: *entry is borrowed from the unwinds. */
enum file_rules file_rules(const struct file *f, const struct unwind_entry **entry);

/* Build ID of the file, once parsed. Returns its size, 0 when unknown. */
size_t file_build_id(const struct file *f, const uint8_t **ret);
