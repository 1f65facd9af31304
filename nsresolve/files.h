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
#include "nsresolve/fetch.h"
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
    struct fetch_group *fetches; /* NULL: debuginfod is not asked */
    void *data;
};

int files_new(const struct files_setup *setup, struct files **ret);
void files_free(struct files *fs);
DEFINE_FREEP(struct files, files_free)

/* The file of a mapping record; made when new. path is a hint and need not end in NUL. *taken: how
 * many files came by the process that maps it, counted here; a process that brings too many of the
 * FILES_MAX gets no more. NULL: that, or out of memory. Borrowed until files_free(). */
#define FILES_MAX 4096
struct file *files_obtain(struct files *fs, uint64_t dev, uint64_t ino, const char *path,
                          size_t path_size, unsigned *taken);

enum file_kind file_kind(const struct file *f);
const char *file_path(const struct file *f);
void file_identity(const struct file *f, uint64_t *dev, uint64_t *ino);

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
    bool is_go; /* lies in Go's code */
};

/* The symbol at a file offset. Returns REASON_NONE, or why there is none; *detail (borrowed) gets
 * words to it or NULL. *vaddr gets the ELF address when it is known, else the offset. */
enum frame_reason file_symbol(const struct file *f, uint64_t offset, struct file_symbol *ret,
                              uint64_t *vaddr, const char **detail);

/* From now on, debug files are looked for also where only DWARF is missing. */
void files_want_dwarf(struct files *fs);

/* The header of the table of whichever holds the file's DWARF, itself or its debug file, and that
 * file in *fd; NULL when there is none. *pin is through which process it was opened, or NULL.
 * Borrowed. */
const struct symtab_header *file_dwarf(const struct file *f, int *fd, struct pin **pin);

/* The ELF virtual address of a file offset; false when it is not known. */
bool file_vaddr(const struct file *f, uint64_t offset, uint64_t *ret);

/* What is known of the rules to unwind through a file. */
enum file_rules {
    FILE_RULES_AWAITED, /* being made */
    FILE_RULES_NONE,    /* there are none, or there will be none */
    FILE_RULES_READY,
};

/* Asks for them when they were released. Ready: *entry is borrowed until they are. */
enum file_rules file_rules(struct file *f, const struct unwind_entry **entry);

/* Asks once more for rules that found no room, when somebody has given some back. */
void files_retry_rules(struct files *fs);
bool files_lack_room(const struct files *fs); /* some rules found none */

/* Gives back the rules of all files but those that file_keep_rules() was called for since. No
 * process may have been told of them. */
void file_keep_rules(struct file *f);
void files_release_rules(struct files *fs);

/* Build ID of the file, once parsed. Returns its size, 0 when unknown. */
size_t file_build_id(const struct file *f, const uint8_t **ret);
