/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/pclntab.h"

#include "nsresolve/gocode.h"

#include <errno.h>
#include <string.h>

#define LOOKS_MAX (8u << 20) /* at functions, to find where the code starts */
#define HEADER 8             /* magic, two zeros, quantum, pointer size */
#define MAGIC_12 0xfffffffbu
#define MAGIC_116 0xfffffffau
#define MAGIC_118 0xfffffff0u
#define MAGIC_120 0xfffffff1u

struct pclntab {
    const struct elf_file *file;
    uint8_t *data; /* owned */
    size_t size;
    struct gocode *code;
    bool is_swapped;
    uint8_t quantum, pointer;
    uint8_t field;       /* bytes of an address in the list of functions */
    uint8_t flags_at;    /* in a function's entry; 0: it has none */
    bool is_relative;    /* addresses count from the start of the code */
    uint64_t text;       /* that start */
    uint64_t names, pcs; /* offsets into data */
    uint64_t list;       /* of functions; their entries count from it, or from 0 */
    uint64_t entries;
    size_t count;
};

/* ---- numbers ---- */

/* A number of 4 or 8 bytes at offset; false beyond the end. */
static bool number(const struct pclntab *t, uint64_t offset, size_t bytes, uint64_t *ret)
{
    uint32_t word;

    if (offset > t->size || bytes > t->size - offset)
        return false;
    if (bytes == sizeof(*ret)) {
        memcpy(ret, t->data + offset, sizeof(*ret));
        *ret = t->is_swapped ? __builtin_bswap64(*ret) : *ret;
        return true;
    }
    memcpy(&word, t->data + offset, sizeof(word));
    *ret = t->is_swapped ? __builtin_bswap32(word) : word;
    return true;
}

/* The n-th word behind the first eight bytes. */
static bool header_word(const struct pclntab *t, unsigned n, uint64_t *ret)
{
    return number(t, HEADER + (uint64_t)n * t->pointer, t->pointer, ret);
}

static bool function_field(const struct pclntab *t, uint64_t entry, unsigned n, uint64_t *ret)
{
    return number(t, entry + (t->is_relative ? 4u : t->pointer) + (n - 1) * 4u, 4, ret);
}

/* ---- opening ---- */

static bool read_magic(struct pclntab *t, uint64_t *magic)
{
    const uint8_t *d = t->data;

    if (!number(t, 0, 4, magic) || t->size < HEADER || d[4] || d[5])
        return false;
    t->quantum = d[6];
    t->pointer = d[7];
    return (t->quantum == 1 || t->quantum == 2 || t->quantum == 4) &&
           (t->pointer == 4 || t->pointer == 8);
}

/* Where the parts are: in Go 1.2 all offsets count from the table's start, later the header says
 * where each part begins. */
static bool read_header(struct pclntab *t)
{
    uint64_t magic, count;
    unsigned first;

    if (!read_magic(t, &magic) || !header_word(t, 0, &count) || count == 0 ||
        count > PCLNTAB_MAX_FUNCTIONS)
        return false;
    t->count = (size_t)count;
    t->field = t->pointer;
    switch (magic) {
    case MAGIC_12:
        t->list = HEADER + t->pointer;
        return true;
    case MAGIC_116:
        first = 2;
        t->flags_at = (uint8_t)(t->pointer + 8 * 4 + 1);
        break;
    case MAGIC_118:
    case MAGIC_120:
        first = 3;
        t->is_relative = true;
        t->field = 4;
        t->flags_at = magic == MAGIC_118 ? 4 + 8 * 4 + 1 : 4 + 9 * 4 + 1;
        break;
    default:
        return false;
    }
    if (!header_word(t, first, &t->names) || !header_word(t, first + 3, &t->pcs) ||
        !header_word(t, first + 4, &t->list))
        return false;
    t->entries = t->list;
    return true;
}

/* Names and lists must lie within, and the functions' addresses rise. */
static bool check_list(const struct pclntab *t)
{
    uint64_t last = 0;

    if (t->names > t->size || t->pcs > t->size || t->list > t->size ||
        (2 * (uint64_t)t->count + 1) * t->field > t->size - t->list)
        return false;
    for (size_t i = 0; i <= t->count; i++) {
        uint64_t start;

        if (!number(t, t->list + 2 * i * t->field, t->field, &start) || start < last)
            return false;
        last = start;
    }
    return last > 0;
}

/* How well the code at hand fits, were the program's code to start at text: of the functions that
 * keep a frame pointer, how many are seen to do so. Looks at a few, spread over the table. */
static bool fits(const struct pclntab *t, uint64_t text, unsigned *looks)
{
    struct pclntab at = *t;
    unsigned asked = 0, seen = 0;

    at.text = text;
    for (size_t i = 0; i < t->count && asked < 64; i += t->count / 512 + 1) {
        struct pclntab_function fn;
        struct pclntab_steps steps;

        if (*looks == 0 || !pclntab_function(&at, i, &fn))
            return false;
        *looks -= 1;
        pclntab_steps(&at, &fn, &steps);
        if (!pclntab_next(&steps) || steps.value != 0 || !pclntab_next(&steps) || steps.value <= 0)
            continue;
        asked++;
        seen += gocode_frame_pointer(at.code, steps.start, steps.value) != 0;
        if (asked >= 8 && seen * 2 < asked)
            return false;
    }
    return asked >= 8 && seen * 2 >= asked;
}

/* Where the code starts, for tables whose addresses count from there: what the header says, which
 * it does up to Go 1.25 and in programs at fixed addresses; the start of .text, where no C comes
 * before it; or the one place in the code that the functions' frames agree with. */
static int find_text(struct pclntab *t)
{
    const struct elf_file *f = t->file;
    unsigned looks = LOOKS_MAX;
    uint64_t said, at;

    if (!header_word(t, 2, &said))
        return -ENOENT;
    if (said && gocode_bytes(t->code, said, 1)) {
        t->text = said;
        return 0;
    }
    for (size_t i = 0; i < f->section_count; i++) {
        if (!elf_file_section_is(f, &f->sections[i], ".text"))
            continue;
        t->text = f->sections[i].sh_addr;
        if (f->header.e_machine != EM_X86_64 || fits(t, t->text, &looks))
            return 0;
    }
    if (f->header.e_machine != EM_X86_64)
        return -ENOENT;
    for (at = gocode_first(t->code); at && looks; at = gocode_after(t->code, at)) {
        if (fits(t, at, &looks)) {
            t->text = at;
            return 0;
        }
    }
    return -ENOENT;
}

static int open_checked(struct pclntab *t)
{
    int r;

    if (!read_header(t) || !check_list(t))
        return -ENOENT;
    r = gocode_new(t->file, PCLNTAB_MAX_CODE, &t->code);
    if (r < 0)
        return r;
    return t->is_relative ? find_text(t) : 0;
}

int pclntab_open_bytes(const struct elf_file *f, uint8_t *data, size_t size, struct pclntab **ret)
{
    struct pclntab *t = calloc(1, sizeof(*t));
    int r;

    if (!t) {
        free(data);
        return -ENOMEM;
    }
    *t = (struct pclntab){.file = f, .data = data, .size = size};
    t->is_swapped = (f->encoding == ELFDATA2MSB) != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    r = open_checked(t);
    if (r < 0) {
        pclntab_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void pclntab_free(struct pclntab *t)
{
    if (!t)
        return;
    gocode_free(t->code);
    free(t->data);
    free(t);
}

/* ---- functions ---- */

size_t pclntab_count(const struct pclntab *t)
{
    return t->count;
}

static const char *name_at(const struct pclntab *t, uint64_t offset)
{
    const char *name;
    size_t left;

    if (offset >= t->size - t->names)
        return NULL;
    name = (const char *)t->data + t->names + offset;
    left = t->size - t->names - offset;
    return *name && memchr(name, '\0', MIN(left, (size_t)SYMTAB_NAME_MAX)) ? name : NULL;
}

bool pclntab_function(const struct pclntab *t, size_t index, struct pclntab_function *ret)
{
    uint64_t at = t->list + 2 * (uint64_t)index * t->field, entry, name, stack;

    if (index >= t->count || !number(t, at, t->field, &ret->start) ||
        !number(t, at + t->field, t->field, &entry) ||
        !number(t, at + 2ull * t->field, t->field, &ret->end))
        return false;
    if (ret->end > UINT64_MAX - t->text || entry > t->size || t->entries > t->size)
        return false;
    ret->start += t->text;
    ret->end += t->text;
    entry += t->entries;
    if (ret->start >= ret->end || !function_field(t, entry, 1, &name) ||
        !function_field(t, entry, 4, &stack))
        return false;
    ret->flags = 0;
    if (t->flags_at && entry + t->flags_at < t->size)
        ret->flags = t->data[entry + t->flags_at];
    ret->stack = (uint32_t)stack;
    ret->name = name_at(t, name);
    return ret->name && gocode_bytes(t->code, ret->start, 1);
}

const struct gocode *pclntab_code(const struct pclntab *t)
{
    return t->code;
}

static int add_symbol(const struct pclntab_function *fn, unsigned rank, struct symtab_builder *b)
{
    size_t size = strlen(fn->name);
    struct symtab_entry e = {
        .start = fn->start,
        .size = fn->end - fn->start,
        .rank = rank,
        .source = SYMTAB_FROM_PCLNTAB,
    };
    int r = 0;
    char *name = symtab_builder_names(b, size, &e.name, &r);

    if (!name)
        return r;
    memcpy(name, fn->name, size);
    return symtab_builder_add_entry(b, &e);
}

int pclntab_add_symbols(const struct pclntab *t, unsigned rank, struct symtab_builder *b)
{
    struct symtab_header *h = symtab_builder_header(b);
    int r = 0;

    for (size_t i = 0; i < t->count && r == 0; i++) {
        struct pclntab_function fn;

        if (!pclntab_function(t, i, &fn)) {
            h->flags |= SYMTAB_TRUNCATED;
            continue;
        }
        if (h->go_start == h->go_end)
            h->go_start = fn.start;
        h->go_end = fn.end;
        if (!(h->flags & SYMTAB_HAS_SYMTAB))
            r = add_symbol(&fn, rank, b);
    }
    return r;
}

/* ---- steps ---- */

void pclntab_steps(const struct pclntab *t, const struct pclntab_function *fn,
                   struct pclntab_steps *ret)
{
    uint64_t left = t->size - t->pcs;

    *ret = (struct pclntab_steps){
        .table = t,
        .start = fn->start,
        .end = fn->start,
        .limit = fn->end,
        .value = -1,
        .at = t->data + t->size,
        .end_of_table = t->data + t->size,
    };
    if (fn->stack && fn->stack < left) /* 0: nothing is known */
        ret->at = t->data + t->pcs + fn->stack;
}

/* Seven bits a byte, the lowest first, up to 32 bits. */
static bool varint(struct pclntab_steps *s, uint32_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; shift < 35 && s->at < s->end_of_table; shift += 7) {
        uint8_t byte = *s->at++;

        *ret |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

bool pclntab_next(struct pclntab_steps *s)
{
    uint32_t change, size;

    if (s->end >= s->limit || !varint(s, &change) || (change == 0 && s->begun) || !varint(s, &size))
        return false;
    s->begun = true;
    change = change & 1 ? ~(change >> 1) : change >> 1;
    s->value = (int32_t)((uint32_t)s->value + change);
    s->start = s->end;
    s->end += (uint64_t)size * s->table->quantum;
    s->end = MIN(s->end, s->limit);
    return s->end > s->start;
}
