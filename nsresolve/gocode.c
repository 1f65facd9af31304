/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/gocode.h"

#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

#define SEGMENTS_MAX 4
#define ALIGNMENT 32 /* of Go's first function */

struct gocode {
    size_t count;
    struct {
        uint64_t vaddr;
        size_t size;
        uint8_t *bytes;
    } segments[SEGMENTS_MAX];
};

static int read_segment(struct gocode *c, const struct elf_file *f, const Elf64_Phdr *p, size_t max)
{
    size_t size;
    ssize_t n;

    if (!elf_file_holds(f, p->p_offset, 1) || p->p_filesz > UINT64_MAX - p->p_vaddr)
        return 0;
    size = (size_t)MIN(MIN(p->p_filesz, f->size - p->p_offset), (uint64_t)max);
    if (size == 0)
        return 0;
    c->segments[c->count].bytes = malloc(size);
    if (!c->segments[c->count].bytes)
        return -ENOMEM;
    n = pread_full(f->fd, c->segments[c->count].bytes, size, p->p_offset);
    c->segments[c->count].vaddr = p->p_vaddr;
    c->segments[c->count++].size = n < 0 ? 0 : (size_t)n;
    return n < 0 ? (int)n : 0;
}

int gocode_new(const struct elf_file *f, size_t max, struct gocode **ret)
{
    struct gocode *c = calloc(1, sizeof(*c));
    int r = 0;

    if (!c)
        return -ENOMEM;
    for (size_t i = 0; i < f->segment_count && c->count < SEGMENTS_MAX && r == 0; i++) {
        const Elf64_Phdr *p = &f->segments[i];

        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        r = read_segment(c, f, p, max);
        if (c->count)
            max -= c->segments[c->count - 1].size;
    }
    if (r < 0) {
        gocode_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void gocode_free(struct gocode *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        free(c->segments[i].bytes);
    free(c);
}

const uint8_t *gocode_bytes(const struct gocode *c, uint64_t vaddr, size_t size)
{
    for (size_t i = 0; i < c->count; i++) {
        uint64_t offset = vaddr - c->segments[i].vaddr;

        if (vaddr >= c->segments[i].vaddr && offset < c->segments[i].size &&
            size <= c->segments[i].size - offset)
            return c->segments[i].bytes + offset;
    }
    return NULL;
}

static uint64_t aligned(uint64_t vaddr)
{
    return (vaddr + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

uint64_t gocode_first(const struct gocode *c)
{
    return c->count ? aligned(c->segments[0].vaddr) : 0;
}

uint64_t gocode_after(const struct gocode *c, uint64_t vaddr)
{
    vaddr += ALIGNMENT;
    if (gocode_bytes(c, vaddr, 1))
        return vaddr;
    for (size_t i = 0; i < c->count; i++)
        if (c->segments[i].vaddr > vaddr)
            return aligned(c->segments[i].vaddr);
    return 0;
}

/* push %rbp; mov %rsp,%rbp: since Go 1.21. */
static uint64_t after_push(const struct gocode *c, uint64_t moved_at)
{
    static const uint8_t push[] = {0x55, 0x48, 0x89, 0xe5};
    const uint8_t *code = gocode_bytes(c, moved_at - 1, sizeof(push));

    return code && memcmp(code, push, sizeof(push)) == 0 ? moved_at - 1 + sizeof(push) : 0;
}

/* sub $N,%rsp; mov %rbp,N-8(%rsp); lea N-8(%rsp),%rbp: before. */
static uint64_t after_store(const struct gocode *c, uint64_t moved_at, int32_t moved_by)
{
    static const uint8_t near[] = {0x48, 0x89, 0x6c, 0x24}, far[] = {0x48, 0x89, 0xac, 0x24};
    const uint8_t *code = gocode_bytes(c, moved_at, 16);
    int32_t to = moved_by - 8, offset;

    if (!code)
        return 0;
    if (to == 0 && memcmp(code, "\x48\x89\x2c\x24\x48\x8d\x2c\x24", 8) == 0)
        return moved_at + 8;
    if (memcmp(code, near, sizeof(near)) == 0 && (int8_t)code[4] == to)
        return moved_at + 10;
    memcpy(&offset, code + sizeof(far), sizeof(offset));
    return memcmp(code, far, sizeof(far)) == 0 && offset == to ? moved_at + 16 : 0;
}

uint64_t gocode_frame_pointer(const struct gocode *c, uint64_t moved_at, int32_t moved_by)
{
    uint64_t from = moved_by == 8 ? after_push(c, moved_at) : 0;

    return from || moved_by < 8 ? from : after_store(c, moved_at, moved_by);
}

/* At most this much of a function is looked at. */
#define LOOKED_AT 512

static const uint8_t *start_of(const struct gocode *c, uint64_t start, uint64_t end, size_t *size)
{
    *size = (size_t)MIN(end - start, (uint64_t)LOOKED_AT);
    return gocode_bytes(c, start, *size);
}

/* mov N(%any),%rsp with a short N; mov %any,%rsp. Returns its length, or 0. */
static size_t stack_load(const uint8_t *code, size_t left)
{
    if (left < 4 || (code[0] & 0xfe) != 0x48)
        return 0;
    if (code[1] == 0x8b && (code[2] & 0xf8) == 0x60 && code[2] != 0x64)
        return 4;
    return code[1] == 0x89 && (code[2] & 0xc7) == 0xc4 ? 3 : 0;
}

void gocode_stack_loads(const struct gocode *c, uint64_t start, uint64_t end, uint64_t ret[2])
{
    size_t size, found = 0;
    const uint8_t *code = start_of(c, start, end, &size);

    ret[0] = ret[1] = 0;
    for (size_t i = 0; code && i < size && found < 2; i++) {
        size_t length = stack_load(code + i, size - i);

        if (length)
            ret[found++] = start + i + length;
    }
}

uint8_t gocode_goroutine_at(const struct gocode *c, uint64_t start, uint64_t end)
{
    static const uint8_t compare[] = {0x48, 0x3b, 0x83}; /* cmp N(%rbx),%rax */
    size_t size;
    const uint8_t *code = start_of(c, start, end, &size);
    const uint8_t *at = code ? memmem(code, size, compare, sizeof(compare)) : NULL;
    uint32_t offset;

    if (!at || (size_t)(code + size - at) < sizeof(compare) + sizeof(offset))
        return 0;
    memcpy(&offset, at + sizeof(compare), sizeof(offset));
    return offset % 8 == 0 && offset / 8 <= UINT8_MAX ? (uint8_t)(offset / 8) : 0;
}

uint8_t gocode_saved_rbp_at(const struct gocode *c, uint64_t start, uint64_t end)
{
    size_t size;
    const uint8_t *code = start_of(c, start, end, &size);

    /* mov %rbp,N(%any) with a short N */
    for (size_t i = 0; code && i + 4 <= size; i++)
        if ((code[i] & 0xfe) == 0x48 && code[i + 1] == 0x89 && (code[i + 2] & 0xf8) == 0x68 &&
            code[i + 2] != 0x6c && code[i + 3] % 8 == 0 && code[i + 3] < 0x80)
            return code[i + 3] / 8;
    return 0;
}
