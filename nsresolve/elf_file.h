/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of an ELF file that may lie, shrink or be rewritten while it is read.
 *
 * Every read is a pread of a bounded size, every allocation is bounded by a count checked here;
 * libelf only translates what was read (class, byte order). It does not open the file: elf_begin()
 * wants to know its size by fstat(), which the parser's jail refuses, and believes the counts in
 * the headers. Used by elf.c and elf_notes.c.
 */
#pragma once

#include "base/cleanup.h"

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_MAX_SECTIONS 131072
#define ELF_MAX_SEGMENTS 4096

struct elf_file {
    int fd; /* borrowed */
    uint64_t size;
    bool is_64;
    unsigned char encoding; /* ELFDATA2LSB, ELFDATA2MSB */
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
void elf_file_close(struct elf_file *f); /* what f owns */

/* Whether [offset, offset + size) lies in the file, as it was when it was opened. */
bool elf_file_holds(const struct elf_file *f, uint64_t offset, uint64_t size);

/* Turns words read from the file (32-bit, size a multiple of 4) into the host's byte order. */
void elf_file_words(const struct elf_file *f, void *data, size_t size);

/* Reads count symbols of the table at offset, as 64-bit ones. -EBADMSG when the file ends early. */
int elf_file_symbols(const struct elf_file *f, uint64_t offset, size_t count, Elf64_Sym *ret);

/* Bytes of one symbol in this file. */
size_t elf_file_symbol_size(const struct elf_file *f);

/* Whether this is the section's name. */
bool elf_file_section_is(const struct elf_file *f, const Elf64_Shdr *section, const char *name);
