/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/inlines.h"

#include "base/table.h"
#include "nsresolve/dwarf_image.h"
#include "nsresolve/inlinetab.h"
#include "nsresolve/stream.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define SCOPES_MAX 32   /* namespaces and classes around a function */
#define BLOCKS_MAX 256  /* lexical blocks and inlined functions inside of each other */
#define STEPS_A_LOOK 64 /* at the clock */

/* A file's DWARF, opened. */
struct source {
    struct dwarf_image image;
    Elf *elf;
    Dwarf *dwarf;
};

struct walk {
    Dwarf *dwarf;
    struct inlinetab_builder *builder;
    const uint64_t *addresses;
    size_t count;
    uint8_t *states;      /* enum inline_state of each address, as far as the units tell */
    Dwarf_Die *functions; /* the one that covers each address; addr NULL: none */
    struct table *names;  /* address of an origin's DIE -> (void *)(name + 1) */
    uint64_t deadline_ns; /* CPU time */
    unsigned steps;
    bool over, damaged;
};

static void source_close(struct source *s)
{
    dwarf_end(s->dwarf);
    elf_end(s->elf);
    dwarf_image_free(&s->image);
}

static int source_open(struct source *s, int fd, const uint8_t *id, uint32_t id_size, uint64_t room)
{
    int r = dwarf_image_read(fd, id, id_size, room, &s->image);

    if (r < 0)
        return r;
    elf_version(EV_CURRENT);
    s->elf = elf_memory(s->image.data, s->image.size);
    s->dwarf = s->elf ? dwarf_begin_elf(s->elf, DWARF_C_READ, NULL) : NULL;
    return s->dwarf ? 0 : -EBADMSG;
}

/* ---- bounds ---- */

static uint64_t cpu_time_ns(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Whether there is time for another step. */
static bool may_go_on(struct walk *w)
{
    if (!w->over && ++w->steps % STEPS_A_LOOK == 0)
        w->over = cpu_time_ns() > w->deadline_ns;
    return !w->over;
}

/* ---- from addresses to functions ---- */

static size_t first_from(const struct walk *w, uint64_t address)
{
    size_t low = 0, high = w->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (w->addresses[middle] < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Puts the addresses that this DIE's ranges cover down as its; returns how many. A unit only has
 * their state set. */
static size_t claim(struct walk *w, Dwarf_Die *die, bool is_function, enum inline_state state)
{
    Dwarf_Addr base, begin, end;
    ptrdiff_t at = 0;
    size_t found = 0;

    while ((at = dwarf_ranges(die, at, &base, &begin, &end)) > 0 && may_go_on(w))
        for (size_t i = first_from(w, begin); i < w->count && w->addresses[i] < end; i++) {
            if (!may_go_on(w))
                break;
            if (is_function)
                w->functions[i] = *die;
            else
                w->states[i] = (uint8_t)state;
            found++;
        }
    return found;
}

/* Things that may have functions in them. Rust puts them into types. */
static bool is_scope(int tag)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_interface_type:
        return true;
    default:
        return false;
    }
}

static void find_functions(struct walk *w, Dwarf_Die *parent, unsigned depth)
{
    Dwarf_Die die;

    if (dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);

        if (tag == DW_TAG_subprogram)
            claim(w, &die, true, INLINE_KNOWN);
        else if (depth < SCOPES_MAX && is_scope(tag))
            find_functions(w, &die, depth + 1);
    } while (may_go_on(w) && dwarf_siblingof(&die, &die) == 0);
}

static void find_all_functions(struct walk *w)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die die;
    uint8_t type;
    int r = 0;

    while (may_go_on(w) &&
           (r = dwarf_get_units(w->dwarf, unit, &unit, NULL, &type, &die, NULL)) == 0) {
        if (type == DW_UT_skeleton)
            claim(w, &die, false, INLINE_SPLIT);
        else if (type == DW_UT_compile && claim(w, &die, false, INLINE_KNOWN))
            find_functions(w, &die, 0);
    }
    w->damaged = r < 0;
}

/* ---- names ---- */

/* "outer::inner::name" of a function without a linkage name, whose DIE is not in a type unit. */
static char *qualified(Dwarf_Die *die, const char *name)
{
    _cleanup_free_ Dwarf_Die *scopes = NULL;
    int n = dwarf_getscopes_die(die, &scopes);
    char *text = strdup(name);

    for (int i = 1; i < MIN(n, SCOPES_MAX) && text; i++) {
        const char *outer = is_scope(dwarf_tag(&scopes[i])) ? dwarf_diename(&scopes[i]) : NULL;
        char *longer;

        if (!outer)
            continue;
        if (asprintf(&longer, "%.1000s::%.3000s", outer, text) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

static bool has_scopes(Dwarf_Die *die)
{
    Dwarf_Die unit;

    switch (dwarf_diecu(die, &unit, NULL, NULL) ? dwarf_srclang(&unit) : -1) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case DW_LANG_Rust:
    case DW_LANG_D:
        return true;
    default:
        return false;
    }
}

/* The declaration of a member function stands in its class; the definition does not. */
static void follow_specification(Dwarf_Die *die)
{
    Dwarf_Attribute a;
    Dwarf_Die other;

    if (dwarf_attr(die, DW_AT_specification, &a) && dwarf_formref_die(&a, &other))
        *die = other;
}

static int add_name(struct walk *w, Dwarf_Die *origin, uint32_t *ret)
{
    _cleanup_free_ char *whole = NULL;
    Dwarf_Attribute a;
    const char *name = NULL;

    if (dwarf_attr_integrate(origin, DW_AT_linkage_name, &a) ||
        dwarf_attr_integrate(origin, DW_AT_MIPS_linkage_name, &a))
        name = dwarf_formstring(&a);
    if (!name) {
        name = dwarf_diename(origin);
        if (!name || !*name)
            return -ENODATA;
        follow_specification(origin);
        if (has_scopes(origin))
            name = whole = qualified(origin, name);
        if (!name)
            return -ENOMEM;
    }
    return inlinetab_builder_name(w->builder, name, ret);
}

/* The name of an inlined function in *ret; -ENODATA when it has none, or none that is at hand. */
static int name_of(struct walk *w, Dwarf_Die *inlined, uint32_t *ret)
{
    Dwarf_Attribute a;
    Dwarf_Die origin;
    uintptr_t known;
    void *key;
    int r;

    if (!dwarf_attr(inlined, DW_AT_abstract_origin, &a) || !dwarf_formref_die(&a, &origin))
        return -ENODATA;
    key = origin.addr;
    known = (uintptr_t)table_get(w->names, &key, sizeof(key));
    if (known) {
        *ret = (uint32_t)(known - 1);
        return 0;
    }
    r = add_name(w, &origin, ret);
    return r < 0 ? r : table_put(w->names, &key, sizeof(key), (void *)((uintptr_t)*ret + 1));
}

/* ---- from functions to what is inlined in them ---- */

static bool may_hold_code(int tag)
{
    return tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
           tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
}

/* The child of a block that covers the address, in place of the block. */
static bool descend(struct walk *w, Dwarf_Die *block, uint64_t address)
{
    Dwarf_Die die;

    if (dwarf_child(block, &die) != 0)
        return false;
    do {
        if (may_hold_code(dwarf_tag(&die)) && dwarf_haspc(&die, address) == 1) {
            *block = die;
            return true;
        }
    } while (may_go_on(w) && dwarf_siblingof(&die, &die) == 0);
    return false;
}

/* The names of what is inlined at an address, outermost first. */
static int find_chain(struct walk *w, size_t index, uint32_t *names, unsigned *count)
{
    Dwarf_Die block = w->functions[index];
    int r = 0;

    for (unsigned i = 0; i < BLOCKS_MAX && descend(w, &block, w->addresses[index]); i++) {
        if (dwarf_tag(&block) != DW_TAG_inlined_subroutine)
            continue;
        if (*count == INLINETAB_MAX_DEPTH)
            return -EFBIG;
        r = name_of(w, &block, &names[(*count)++]);
        if (r < 0)
            return r;
    }
    return w->over ? -EFBIG : 0;
}

static int tell(struct walk *w, size_t index)
{
    enum inline_state state = w->states[index];
    uint32_t names[INLINETAB_MAX_DEPTH];
    unsigned count = 0;
    int r = 0;

    if (state == INLINE_NO_UNIT && w->over)
        state = INLINE_CUT; /* its unit may not have been reached */
    else if (state == INLINE_NO_UNIT && w->damaged)
        state = INLINE_DAMAGED;
    if (state == INLINE_KNOWN && (w->over || w->functions[index].addr))
        r = w->over ? -EFBIG : find_chain(w, index, names, &count);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        state = r == -ENODATA ? INLINE_NO_NAME : INLINE_CUT;
        count = 0; /* a part of the chain would lie */
    }
    for (unsigned i = 0; i < count / 2; i++) {
        uint32_t name = names[i];

        names[i] = names[count - 1 - i];
        names[count - 1 - i] = name;
    }
    return inlinetab_builder_set(w->builder, index, state, names, count);
}

/* ---- the whole ---- */

static int walk_units(struct walk *w)
{
    _cleanup_free_ uint8_t *states = malloc(MAX(w->count, (size_t)1));
    _cleanup_free_ Dwarf_Die *functions = calloc(MAX(w->count, (size_t)1), sizeof(*functions));
    int r = states && functions ? table_new(&w->names, NULL) : -ENOMEM;

    if (r < 0)
        return r;
    memset(states, INLINE_NO_UNIT, MAX(w->count, (size_t)1));
    w->states = states;
    w->functions = functions;
    w->deadline_ns = cpu_time_ns() + INLINES_CPU_SECONDS * 1000000000ull;
    find_all_functions(w);
    for (size_t i = 0; i < w->count && r == 0; i++)
        r = tell(w, i);
    table_free(w->names);
    return r;
}

static int read_addresses(int fd, uint64_t *ret, size_t count)
{
    ssize_t n = pread_full(fd, ret, count * sizeof(*ret), 0);

    if (n < 0)
        return (int)n;
    if ((size_t)n < count * sizeof(*ret))
        return -EBADMSG;
    for (size_t i = 1; i < count; i++)
        if (ret[i] <= ret[i - 1])
            return -EBADMSG;
    return 0;
}

/* The first candidate with the right build ID. Without one, what needs it has no name. */
static void open_alt(const struct inlines_input *in, const struct wire_parse_inlines *want,
                     uint64_t room, struct source *alt)
{
    for (size_t i = 0; i < in->alt_count && !alt->dwarf && want->alt_build_id_size; i++) {
        source_close(alt);
        *alt = (struct source){0};
        if (source_open(alt, in->alt_fds[i], want->alt_build_id, want->alt_build_id_size, room) < 0)
            continue;
    }
}

int inlines_parse(const struct inlines_input *in, const struct wire_parse_inlines *want, int out_fd)
{
    _cleanup_(inlinetab_builder_freep) struct inlinetab_builder *b = NULL;
    _cleanup_free_ uint64_t *addresses = NULL;
    struct source file = {0}, alt = {0};
    struct walk w = {.count = want->address_count};
    int r;

    if (w.count > INLINETAB_MAX_ADDRESSES || want->alt_build_id_size > sizeof(want->alt_build_id))
        return -EBADMSG;
    addresses = calloc(MAX(w.count, (size_t)1), sizeof(*addresses));
    if (!addresses)
        return -ENOMEM;
    r = read_addresses(in->addresses_fd, addresses, w.count);
    if (r == 0)
        r = inlinetab_builder_new(addresses, w.count, &b);
    if (r == 0)
        r = source_open(&file, in->fd, NULL, 0, DWARF_IMAGE_MAX);
    if (r == 0) {
        open_alt(in, want, file.image.room, &alt);
        if (alt.dwarf)
            dwarf_setalt(file.dwarf, alt.dwarf);
        w.dwarf = file.dwarf;
        w.builder = b;
        w.addresses = addresses;
        r = walk_units(&w);
    }
    if (r == 0)
        r = inlinetab_builder_write(b, out_fd);
    source_close(&file);
    source_close(&alt);
    return r == -ENODATA ? -EBADMSG : r;
}
