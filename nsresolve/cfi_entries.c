/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/cfi_entries.h"

#include <errno.h>

#define LENGTH_64 0xffffffffu /* a length of 64 bits follows */
#define AUGMENTATION_MAX 16
#define CACHED_CIES 64

/* CIEs are few, entries are many: those seen last are kept, by their offset. */
struct cached_cie {
    size_t offset;
    bool is_filled;
    bool is_sound;
    struct cfi_cie cie;
};

struct entries {
    const struct cfi_section *section;
    const struct cfi_range *ranges;
    size_t range_count, last_range;
    struct unwindtab_builder *table;
    struct unwindtab_header *header;
    uint64_t budget; /* instructions and CIEs, in all */
    struct cached_cie cache[CACHED_CIES];
};

struct entry {
    struct cfi_cursor body; /* what follows the id */
    uint64_t id;
    size_t id_at; /* offset of the id */
    size_t end;   /* offset of the next entry */
    bool is_64;
    bool is_terminator;
};

static void mark_truncated(struct entries *es)
{
    es->header->flags |= UNWINDTAB_TRUNCATED;
}

/* Reads the head of the entry at offset. False when it does not fit into the section. */
static bool read_entry(const struct cfi_section *s, size_t offset, struct entry *e)
{
    struct cfi_cursor c = {
        .at = s->data + offset,
        .end = s->data + s->size,
        .origin = s->data,
        .vaddr = s->vaddr,
        .data_base = s->data_base,
    };
    uint64_t length = cfi_u32(&c);

    *e = (struct entry){.is_terminator = length == 0};
    if (length == LENGTH_64) {
        e->is_64 = true;
        length = cfi_u64(&c);
    }
    if (c.bad || length > cfi_left(&c))
        return false;

    c.end = c.at + length;
    e->end = (size_t)(c.end - s->data);
    e->id_at = (size_t)(c.at - s->data);
    if (length == 0)
        return true;
    e->id = e->is_64 && s->is_debug ? cfi_u64(&c) : cfi_u32(&c);
    e->body = c;
    return !c.bad;
}

static bool is_cie(const struct cfi_section *s, const struct entry *e)
{
    if (!s->is_debug)
        return e->id == 0;
    return e->id == (e->is_64 ? UINT64_MAX : UINT32_MAX);
}

/* ---- CIEs ---- */

/* Skips the pointer to the personality routine, which is of no interest, at its encoded size. */
static void skip_personality(struct cfi_cursor *c)
{
    uint8_t encoding = cfi_u8(c);

    if ((encoding & CFI_PE_RELATION) == CFI_PE_ALIGNED) {
        uint64_t here = c->vaddr + (uint64_t)(c->at - c->origin);

        cfi_skip(c, -here & 7);
    }
    if (encoding != CFI_PE_OMIT)
        cfi_formatted(c, encoding);
}

/* The data that the letters behind 'z' announce. A letter that is not known ends what is. */
static void read_augmentation(struct cfi_cursor *c, const char *letters, struct cfi_cie *cie)
{
    uint64_t size = cfi_uleb128(c);
    struct cfi_cursor data = *c;

    cfi_skip(c, size);
    data.end = c->at;
    cie->has_data = true;
    for (; *letters; letters++) {
        if (*letters == 'R')
            cie->encoding = cfi_u8(&data);
        else if (*letters == 'P')
            skip_personality(&data);
        else if (*letters == 'L')
            cfi_u8(&data);
        else if (*letters == 'S')
            cie->is_signal = true;
        else if (*letters != 'B' && *letters != 'G')
            break;
    }
    c->bad |= data.bad;
}

/* The letters, NUL-terminated. */
static void read_letters(struct cfi_cursor *c, char letters[AUGMENTATION_MAX])
{
    for (size_t i = 0; i < AUGMENTATION_MAX; i++) {
        letters[i] = (char)cfi_u8(c);
        if (!letters[i])
            return;
    }
    letters[AUGMENTATION_MAX - 1] = '\0';
    c->bad = true;
}

/* Everything before the initial instructions. */
static bool read_cie_head(struct cfi_cursor *c, bool is_debug, struct cfi_cie *cie)
{
    uint8_t version = cfi_u8(c);
    char letters[AUGMENTATION_MAX];
    uint64_t return_column;

    if (version != 1 && version != 3 && version != 4)
        return false;
    read_letters(c, letters);
    if (strncmp(letters, "eh", 2) == 0)
        cfi_skip(c, sizeof(uint64_t)); /* gcc 2's */
    if (version == 4 && (cfi_u8(c) != sizeof(uint64_t) || cfi_u8(c) != 0))
        return false;

    cie->encoding = CFI_PE_ABSPTR;
    cie->code_align = cfi_uleb128(c);
    cie->data_align = cfi_sleb128(c);
    return_column = version == 1 ? cfi_u8(c) : cfi_uleb128(c);
    if (return_column != 16)
        return false;

    if (letters[0] == 'z')
        read_augmentation(c, letters + 1, cie);
    else if (letters[0] && strcmp(letters, "eh") != 0 && !is_debug)
        return false;
    return !c->bad;
}

static int read_cie(struct entries *es, size_t offset, struct cached_cie *slot)
{
    struct cfi_cie *cie = &slot->cie;
    struct cfi_program p = {.cie = cie, .end = UINT64_MAX, .budget = &es->budget};
    struct entry e;
    int r;

    *slot = (struct cached_cie){.offset = offset, .is_filled = true};
    if (es->budget == 0)
        return -EFBIG;
    es->budget--;
    if (offset >= es->section->size || !read_entry(es->section, offset, &e) || e.is_terminator ||
        !is_cie(es->section, &e))
        return 0;
    if (!read_cie_head(&e.body, es->section->is_debug, cie))
        return 0;

    p.code = e.body;
    r = cfi_run(&p);
    if (r < 0)
        return r;
    cie->initial = p.rules;
    slot->is_sound = !p.code.bad;
    return 0;
}

/* Of an entry; *ret is NULL when it is broken. */
static int find_cie(struct entries *es, const struct entry *e, const struct cfi_cie **ret)
{
    uint64_t offset = es->section->is_debug ? e->id : e->id_at - e->id; /* may wrap */
    struct cached_cie *slot = &es->cache[offset / 4 % CACHED_CIES];

    if (!slot->is_filled || slot->offset != offset) {
        int r = read_cie(es, (size_t)offset, slot);

        if (r < 0)
            return r;
    }
    *ret = slot->is_sound ? &slot->cie : NULL;
    return 0;
}

/* ---- FDEs ---- */

static bool is_code(struct entries *es, uint64_t address)
{
    for (size_t i = 0; i < es->range_count; i++) {
        size_t at = (es->last_range + i) % es->range_count;

        if (address >= es->ranges[at].start && address < es->ranges[at].end) {
            es->last_range = at;
            return true;
        }
    }
    return false;
}

static int add_rows(struct entries *es, const struct cfi_cie *cie, const struct cfi_cursor *code,
                    uint64_t start, uint64_t end)
{
    uint64_t base = es->header->base_vaddr;
    struct cfi_program p;
    int r;

    r = unwindtab_builder_range(es->table, (uint32_t)(start - base), (uint32_t)(end - base));
    if (r < 0)
        return r;
    if (cie->is_signal) {
        const struct unwind_row row = {.pc = (uint32_t)(start - base), .kind = UNWIND_SIGNAL};

        return unwindtab_builder_row(es->table, &row);
    }

    p.code = *code;
    p.cie = cie;
    p.base = base;
    p.pc = start;
    p.end = end;
    p.table = es->table;
    p.budget = &es->budget;
    p.rules = cie->initial;
    p.depth = 0;
    r = cfi_run(&p);
    if (p.code.bad)
        mark_truncated(es);
    return r;
}

static int add_fde(struct entries *es, struct entry *e)
{
    uint64_t base = es->header->base_vaddr, start, size;
    const struct cfi_cie *cie;
    int r = find_cie(es, e, &cie);

    if (r < 0)
        return r;
    if (!cie) {
        mark_truncated(es);
        return 0;
    }
    start = cfi_pointer(&e->body, cie->encoding);
    size = cfi_formatted(&e->body, cie->encoding);
    if (cie->has_data)
        cfi_skip(&e->body, cfi_uleb128(&e->body));
    if (e->body.bad) {
        mark_truncated(es);
        return 0;
    }
    /* Linkers leave entries for code that they dropped, at address 0 or thereabouts. */
    if (size == 0 || start < base || !is_code(es, start))
        return 0;
    if (start - base > UINT32_MAX || size > UINT32_MAX - (start - base) ||
        size > UINT64_MAX - start) {
        mark_truncated(es);
        return 0;
    }
    return add_rows(es, cie, &e->body, start, start + size);
}

static int walk(struct entries *es)
{
    const struct cfi_section *s = es->section;
    struct entry e;
    int r;

    for (size_t at = 0; at < s->size; at = e.end) {
        if (!read_entry(s, at, &e)) {
            mark_truncated(es);
            return 0;
        }
        if (e.is_terminator && s->is_open)
            return 0;
        if (e.is_terminator || is_cie(s, &e))
            continue;
        r = add_fde(es, &e);
        if (r < 0)
            return r;
    }
    return 0;
}

int cfi_entries(const struct cfi_section *s, const struct cfi_range *ranges, size_t range_count,
                struct unwindtab_builder *table)
{
    struct entries *es = calloc(1, sizeof(*es));
    int r;

    if (!es)
        return -ENOMEM;
    es->section = s;
    es->ranges = ranges;
    es->range_count = range_count;
    es->table = table;
    es->header = unwindtab_builder_header(table);
    /* Every instruction is a byte at least, so that a sound section needs less. */
    es->budget = s->size + 4096;

    r = walk(es);
    free(es);
    return r;
}
