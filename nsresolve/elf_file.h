/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of an ELF file that may lie, shrink or be rewritten while it is read.
 *
 * Every read is a pread of a bounded size, every allocation is bounded by a count checked here;
 * libelf only translates what was read (class, byte order). It does not open the file: elf_begin()
 * wants to know its size by fstat(), which the parser's jail refuses, and believes the counts in
 * the headers. A file may also be bytes in memory, which were unpacked from another one.
 */
#pragma once

#include "base/cleanup.h"

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ELF_MAX_SECTIONS 131072
#define ELF_MAX_SEGMENTS 4096

struct elf_file {
    int fd;              /* borrowed; -1: the file is in memory */
    const uint8_t *data; /* borrowed; of a file in memory */
    uint64_t size;
    bool is_64;
    unsigned char encoding; /* ELFDATA2LSB, ELFDATA2MSB */
    bool shared_dwarf;      /* ET_REL will do */
    bool lies;              /* something in the headers could not be true */
    Elf64_Ehdr header;
    Elf64_Phdr *segments; /* owned */
    size_t segment_count;
    Elf64_Shdr *sections; /* owned */
    size_t section_count;
    uint64_t names_offset, names_size; /* of the sections' names, in the file */
};

/* Reads all headers. Returns 0, -EBADMSG for what is not an executable or a library, -errno. Broken
 * section headers are no error: there are none then, and lies is set. */
int elf_file_open(struct elf_file *f, int fd);
int elf_file_open_data(struct elf_file *f, const void *data, size_t size);

/* The same, and ET_REL will do, which the file is that dwz makes for several. */
int elf_file_open_shared_dwarf(struct elf_file *f, int fd);
void elf_file_close(struct elf_file *f); /* what f owns */

/* Whether [offset, offset + size) lies in the file, as it was when it was opened. */
bool elf_file_holds(const struct elf_file *f, uint64_t offset, uint64_t size);

/* Reads up to size bytes at offset. Returns the bytes read (less than size at the end of the file)
 * or -errno. */
ssize_t elf_file_read(const struct elf_file *f, void *data, size_t size, uint64_t offset);

/* Turns words read from the file (32-bit, size a multiple of 4) into the host's byte order. */
void elf_file_words(const struct elf_file *f, void *data, size_t size);

/* Reads count symbols of the table at offset, as 64-bit ones. -EBADMSG when the file ends early. */
int elf_file_symbols(const struct elf_file *f, uint64_t offset, size_t count, Elf64_Sym *ret);

/* Bytes of one symbol in this file. */
size_t elf_file_symbol_size(const struct elf_file *f);

/* What stands at the begin of a compressed section, whose size bytes are given. -EBADMSG when they
 * are too few. */
int elf_file_compression(const struct elf_file *f, const void *data, size_t size, Elf64_Chdr *ret);
size_t elf_file_compression_size(const struct elf_file *f); /* bytes of that */

/* Whether this is the section's name, or what it begins with. */
bool elf_file_section_is(const struct elf_file *f, const Elf64_Shdr *section, const char *name);
bool elf_file_section_begins(const struct elf_file *f, const Elf64_Shdr *section,
                             const char *prefix);
