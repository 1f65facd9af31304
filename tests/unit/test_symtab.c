/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/tables.h"

#include <errno.h>

static struct symtab_builder *builder(void)
{
    struct symtab_builder *b;

    assert_int_equal(symtab_builder_new(&b), 0);
    return b;
}

static void add(struct symtab_builder *b, uint64_t start, uint64_t size, unsigned rank,
                const char *name)
{
    assert_int_equal(symtab_builder_add(b, start, size, rank, name, strlen(name)), 0);
}

static void add_open(struct symtab_builder *b, uint64_t start, uint64_t limit, const char *name)
{
    struct symtab_entry e = {.start = start, .size = limit - start, .open = true};
    int error = 0;
    char *to = symtab_builder_names(b, strlen(name), &e.name, &error);

    assert_non_null(to);
    memcpy(to, name, strlen(name));
    assert_int_equal(symtab_builder_add_entry(b, &e), 0);
}

static void an_address_is_named_from_the_first_byte_of_a_symbol_to_its_last(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    add(b, 0x2000, 0x10, 1, "second");
    add(b, 0x1000, 0x10, 1, "first");
    t = built(b);
    assert_string_equal(name_at(t, 0xfff), "");
    assert_string_equal(name_at(t, 0x1000), "first");
    assert_string_equal(name_at(t, 0x100f), "first");
    assert_string_equal(name_at(t, 0x1010), "");
    assert_string_equal(name_at(t, 0x200f), "second");
    assert_string_equal(name_at(t, 0x2010), "");
    assert_string_equal(name_at(t, UINT64_MAX), "");
    assert_int_equal(symtab_header(t)->symbol_count, 2);
}

static void an_empty_table_is_a_table_without_names(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    uint64_t vaddr;

    (void)state;
    add(b, 0x1000, 0, 1, "sizeless");
    add(b, 0x1000, 8, 1, "");
    add(b, UINT64_MAX, 8, 1, "wraps");
    t = built(b);
    assert_int_equal(symtab_header(t)->symbol_count, 0);
    assert_string_equal(name_at(t, 0x1000), "");
    assert_string_equal(name_at(t, 0), "");
    assert_false(symtab_vaddr(t, 0, &vaddr));
}

static void a_symbol_inside_another_of_its_rank_cuts_it_in_two(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    add(b, 0x100, 0x100, 1, "outer");
    add(b, 0x140, 0x10, 1, "inner");
    t = built(b);
    assert_string_equal(name_at(t, 0x13f), "outer");
    assert_string_equal(name_at(t, 0x140), "inner");
    assert_string_equal(name_at(t, 0x14f), "inner");
    assert_string_equal(name_at(t, 0x150), "outer");
    assert_string_equal(name_at(t, 0x1ff), "outer");
    assert_int_equal(symtab_header(t)->symbol_count, 3);
    /* each name is stored once */
    assert_int_equal(symtab_header(t)->strings_size, 1 + sizeof("outer") + sizeof("inner"));
}

static void a_higher_rank_wins_over_a_later_start(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    add(b, 0x100, 0x100, 2, "high");
    add(b, 0x180, 0x100, 1, "low");
    t = built(b);
    assert_string_equal(name_at(t, 0x1ff), "high");
    assert_string_equal(name_at(t, 0x200), "low");
    assert_string_equal(name_at(t, 0x27f), "low");
}

static void a_symbol_without_size_reaches_to_the_next_one_and_not_past_its_limit(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    add_open(b, 0x100, 0x1000, "label");
    add(b, 0x140, 0x20, 1, "function");
    add_open(b, 0x150, 0x1000, "label_inside");
    add_open(b, 0x140, 0x1000, "alias_without_size");
    add_open(b, 0x200, 0x280, "last_label");
    t = built(b);
    assert_string_equal(name_at(t, 0x13f), "label");
    assert_string_equal(name_at(t, 0x15f), "function");
    assert_string_equal(name_at(t, 0x160), "");
    assert_string_equal(name_at(t, 0x27f), "last_label");
    assert_string_equal(name_at(t, 0x280), "");
}

static void a_truncated_table_does_not_stretch_symbols_without_size(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;

    (void)state;
    add_open(b, 0x100, 0x1000, "label");
    add(b, 0x140, 0x20, 1, "function");
    symtab_builder_header(b)->flags |= SYMTAB_TRUNCATED;
    t = built(b);
    assert_string_equal(name_at(t, 0x100), "");
    assert_string_equal(name_at(t, 0x140), "function");
}

/* ---- against a model that looks at every symbol for every address ---- */

#define MODEL_MAX 40
#define MODEL_SPAN 160

struct model {
    struct symtab_entry entries[MODEL_MAX];
    size_t count;
};

static uint64_t model_end(const struct model *m, size_t i)
{
    uint64_t end = m->entries[i].start + m->entries[i].size;

    for (size_t k = 0; m->entries[i].open && k < m->count; k++)
        if (m->entries[k].start > m->entries[i].start)
            end = MIN(end, m->entries[k].start);
    return end;
}

static bool model_shadowed(const struct model *m, size_t i)
{
    for (size_t k = 0; k < m->count; k++) {
        const struct symtab_entry *e = &m->entries[k];

        if (!e->open && e->start <= m->entries[i].start && m->entries[i].start < e->start + e->size)
            return true;
    }
    return false;
}

static bool model_better(const struct symtab_entry *a, const struct symtab_entry *b)
{
    if (a->open != b->open)
        return b->open;
    if (a->rank != b->rank)
        return a->rank > b->rank;
    if (a->start != b->start)
        return a->start > b->start;
    if (a->preference != b->preference)
        return a->preference > b->preference;
    return a->preference == 0; /* a is the later one, and its name stands later in the alphabet */
}

/* Index of the winner, or -1. */
static int model_at(const struct model *m, uint64_t address)
{
    int best = -1;

    for (size_t i = 0; i < m->count; i++) {
        const struct symtab_entry *e = &m->entries[i];

        if (address < e->start || address >= model_end(m, i))
            continue;
        if (e->open && model_shadowed(m, i))
            continue;
        if (best < 0 || model_better(e, &m->entries[best]))
            best = (int)i;
    }
    return best;
}

static void model_fill(struct model *m, struct symtab_builder *b, unsigned *seed, uint64_t base)
{
    m->count = (size_t)rand_r(seed) % MODEL_MAX;
    for (size_t i = 0; i < m->count; i++) {
        struct symtab_entry *e = &m->entries[i];
        int error = 0;
        char *to;

        *e = (struct symtab_entry){0};
        e->start = base + (uint64_t)rand_r(seed) % (MODEL_SPAN - 40);
        e->size = 1 + (uint64_t)rand_r(seed) % 40;
        e->rank = (uint32_t)rand_r(seed) % 3;
        e->preference = (uint16_t)(rand_r(seed) % 3);
        e->open = rand_r(seed) % 4 == 0;
        to = symtab_builder_names(b, 3, &e->name, &error);
        assert_non_null(to);
        snprintf(to, 4, "s%02u", (unsigned)i % 100);
        assert_int_equal(symtab_builder_add_entry(b, e), 0);
    }
}

static void random_overlaps_resolve_as_the_rules_say_at_every_address(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        uint64_t base = round % 3 ? 0xffffffff81000000 : 0xfff0;
        unsigned seed = round;
        struct model m;

        model_fill(&m, b, &seed, base);
        t = built(b);
        for (uint64_t a = base - 2; a < base + MODEL_SPAN; a++) {
            int winner = model_at(&m, a);
            char expected[16] = "";

            if (winner >= 0)
                snprintf(expected, sizeof(expected), "s%02d", winner);
            if (strcmp(name_at(t, a), expected) != 0)
                fail_msg("round %u, address %#lx: '%s' instead of '%s'", round, (unsigned long)a,
                         name_at(t, a), expected);
        }
    }
}

static void add_entry(struct symtab_builder *b, struct symtab_entry e, const char *name)
{
    int error = 0;
    char *to = symtab_builder_names(b, strlen(name), &e.name, &error);

    assert_non_null(to);
    memcpy(to, name, strlen(name));
    assert_int_equal(symtab_builder_add_entry(b, &e), 0);
}

static void among_names_of_one_preference_the_shorter_and_then_the_alphabet_decides(void **state)
{
    static const char *const names[] = {"copy.localalias", "copy", "cony", "longer"};
    static const char *const others[] = {"one", "ones"};
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct symtab_builder *b = builder();

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(names); i++)
        add_entry(b, (struct symtab_entry){.start = 0x1000, .size = 16, .preference = 1},
                  names[i < ARRAY_SIZE(names) ? i : 2 * ARRAY_SIZE(names) - 1 - i]);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) /* no preference: the later one */
        add_entry(b, (struct symtab_entry){.start = 0x2000, .size = 16}, others[i]);
    t = built(b);
    symtab_builder_free(b);
    assert_string_equal(name_at(t, 0x1001), "cony");
    assert_string_equal(name_at(t, 0x2001), "ones");
}

static void a_symbol_says_its_source_and_what_follows_its_name(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    const char *name;

    (void)state;
    add_entry(
        b,
        (struct symtab_entry){
            .start = 0x1000, .size = 16, .suffix = SYMTAB_SUFFIX_PLT, .source = SYMTAB_FROM_PLT},
        "puts");
    add_entry(b, (struct symtab_entry){.start = 0x1010, .size = 16, .suffix = SYMTAB_SUFFIX_IFUNC},
              "memcpy");
    add_entry(b, (struct symtab_entry){.start = 0x1020, .size = 16, .source = SYMTAB_FROM_DYNSYM},
              "plain");
    t = built(b);
    assert_int_equal(symtab_find(t, 0x1001, &name)->source, SYMTAB_FROM_PLT);
    assert_string_equal(name, "puts@plt");
    assert_int_equal(symtab_find(t, 0x1011, &name)->source, SYMTAB_FROM_SYMTAB);
    assert_string_equal(name, "memcpy@ifunc");
    assert_int_equal(symtab_find(t, 0x1021, &name)->source, SYMTAB_FROM_DYNSYM);
    assert_string_equal(name, "plain");
}

static void many_symbols_in_any_order_are_all_found(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    const uint64_t n = 50021; /* a prime: k * 7919 mod n walks through all of them */
    char name[24];

    (void)state;
    for (uint64_t k = 0; k < n; k++) {
        uint64_t i = k * 7919 % n;

        snprintf(name, sizeof(name), "f%lu", (unsigned long)i);
        add(b, 0x7f0000000000 + i * 0x9001, 0x9001, 1, name);
    }
    t = built(b);
    assert_int_equal(symtab_header(t)->symbol_count, n);
    for (uint64_t i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "f%lu", (unsigned long)i);
        assert_string_equal(name_at(t, 0x7f0000000000 + i * 0x9001), name);
        assert_string_equal(name_at(t, 0x7f0000000000 + i * 0x9001 + 0x9000), name);
    }
}

static void a_long_name_is_cut(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    _cleanup_free_ char *name = malloc(70000);

    (void)state;
    memset(name, 'x', 70000);
    assert_int_equal(symtab_builder_add(b, 1, 1, 1, name, 70000), 0);
    t = built(b);
    assert_int_equal(strlen(name_at(t, 1)), SYMTAB_NAME_MAX);
}

static void names_that_share_their_ends_cannot_blow_the_table_up(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_close_ int fd = memfd_empty();
    struct symtab_entry e = {.size = 1};
    uint32_t offset;
    int error = 0;
    char *pool = symtab_builder_names(b, 200000, &offset, &error);

    (void)state;
    assert_non_null(pool);
    memset(pool, 'x', 200000);
    for (e.start = 0; e.start < 190000; e.start++) {
        e.name = offset + (uint32_t)e.start;
        assert_int_equal(symtab_builder_add_entry(b, &e), 0);
    }
    assert_int_equal(symtab_builder_write(b, fd), -EFBIG);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
}

static void a_pool_of_names_has_a_bound(void **state)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    uint32_t offset;
    int error = 0;

    (void)state;
    assert_null(symtab_builder_names(b, SIZE_MAX, &offset, &error));
    assert_int_equal(error, -EFBIG);
    assert_null(symtab_builder_names(b, SYMTAB_MAX_POOL, &offset, &error));
    assert_int_equal(error, -EFBIG);
}

static void a_file_offset_maps_to_the_address_of_the_segment_that_holds_it(void **state)
{
    const struct segment text = {0x401000, 0x1000, 0x500}, data = {0x602000, 0x1400, 0x800};
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = builder();
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    uint64_t vaddr = 0;

    (void)state;
    assert_int_equal(symtab_builder_add_segment(b, &text), 0);
    assert_int_equal(symtab_builder_add_segment(b, &data), 0);
    t = built(b);
    assert_false(symtab_vaddr(t, 0xfff, &vaddr));
    assert_true(symtab_vaddr(t, 0x1000, &vaddr));
    assert_int_equal(vaddr, 0x401000);
    assert_true(symtab_vaddr(t, 0x14ff, &vaddr)); /* in both: the first one added */
    assert_int_equal(vaddr, 0x4014ff);
    assert_true(symtab_vaddr(t, 0x1500, &vaddr));
    assert_int_equal(vaddr, 0x602100);
    assert_false(symtab_vaddr(t, 0x1c00, &vaddr));
}

/* ---- tables that lie ---- */

struct image {
    struct symtab_header header;
    struct segment segments[1];
    struct symtab_symbol symbols[2];
    char strings[8];
};

static const struct image sound = {
    .header = {.magic = SYMTAB_MAGIC,
               .segment_count = 1,
               .symbol_count = 2,
               .strings_size = 8,
               .debuglink = "a.debug"},
    .segments = {{0x1000, 0, 0x1000}},
    .symbols = {{0x1000, 16, 1}, {0x1010, 16, 3}},
    .strings = "\0a\0bcde",
};

static int open_image(const void *image, size_t size, struct symtab **ret)
{
    _cleanup_close_ int fd = memfd_of(image, size);

    seal(fd);
    return symtab_open(fd, ret);
}

#define assert_lie(change)                                              \
    do {                                                                \
        struct symtab *never_ = NULL;                                   \
        struct image i = sound;                                         \
        change;                                                         \
        assert_int_equal(open_image(&i, sizeof(i), &never_), -EBADMSG); \
        assert_null(never_);                                            \
    } while (0)

static void a_table_that_lies_is_refused(void **state)
{
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct symtab *never = NULL;

    (void)state;
    assert_int_equal(open_image(&sound, sizeof(sound), &t), 0);
    assert_string_equal(name_at(t, 0x1011), "bcde");

    assert_lie(i.header.magic++);
    assert_lie(i.header.symbol_count++);
    assert_lie(i.header.symbol_count--);
    assert_lie(i.header.symbol_count = UINT32_MAX);
    assert_lie(i.header.segment_count = 0);
    assert_lie(i.header.segment_count = UINT32_MAX);
    assert_lie(i.header.strings_size--);
    assert_lie(i.header.strings_size = UINT64_MAX - 60);
    assert_lie(i.header.build_id_size = SYMTAB_BUILD_ID_MAX + 1);
    assert_lie(memset(i.header.debuglink, 'x', sizeof(i.header.debuglink)));
    assert_lie(strcpy(i.header.debuglink, "../shadow"));
    assert_lie(i.segments[0].size = UINT64_MAX);
    assert_lie(i.segments[0].offset = UINT64_MAX);
    assert_lie(i.symbols[0].size = 17);
    assert_lie(i.symbols[0].size = 0);
    assert_lie(i.symbols[1].start = 0x100);
    assert_lie(i.symbols[1].start = UINT64_MAX - 3);
    assert_lie(i.symbols[1].name = 8);
    assert_lie(i.symbols[1].name = 0xfffffff);
    assert_lie(i.symbols[1].source = SYMTAB_SOURCE_COUNT);
    assert_lie(i.strings[7] = 'x');
    assert_lie(i.strings[0] = 'x');
    for (size_t size = 0; size < sizeof(sound); size++)
        assert_int_equal(open_image(&sound, size, &never), -EBADMSG);
}

static void a_table_that_can_still_change_is_refused(void **state)
{
    _cleanup_close_ int fd = memfd_of(&sound, sizeof(sound));
    struct symtab *never = NULL;

    (void)state;
    assert_int_equal(symtab_open(fd, &never), -EPERM);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    assert_int_equal(symtab_open(fd, &never), -EPERM);
    assert_null(never);
}

static void a_table_with_random_damage_is_refused_or_safe_to_ask(void **state)
{
    unsigned seed = 1, opened = 0;

    (void)state;
    for (unsigned round = 0; round < 5000; round++) {
        _cleanup_(symtab_freep) struct symtab *t = NULL;
        struct image i = sound;
        uint64_t vaddr;

        ((unsigned char *)&i)[(size_t)rand_r(&seed) % sizeof(i)] = (unsigned char)rand_r(&seed);
        if (open_image(&i, sizeof(i), &t) < 0)
            continue;
        opened++;
        for (uint64_t a = 0xff0; a < 0x1040; a++)
            assert_true(strlen(name_at(t, a)) < sizeof(i.strings));
        symtab_vaddr(t, 0x10, &vaddr);
    }
    assert_true(opened > 0 && opened < 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_named_from_the_first_byte_of_a_symbol_to_its_last),
        cmocka_unit_test(an_empty_table_is_a_table_without_names),
        cmocka_unit_test(a_symbol_inside_another_of_its_rank_cuts_it_in_two),
        cmocka_unit_test(a_higher_rank_wins_over_a_later_start),
        cmocka_unit_test(a_symbol_without_size_reaches_to_the_next_one_and_not_past_its_limit),
        cmocka_unit_test(a_truncated_table_does_not_stretch_symbols_without_size),
        cmocka_unit_test(random_overlaps_resolve_as_the_rules_say_at_every_address),
        cmocka_unit_test(among_names_of_one_preference_the_shorter_and_then_the_alphabet_decides),
        cmocka_unit_test(a_symbol_says_its_source_and_what_follows_its_name),
        cmocka_unit_test(many_symbols_in_any_order_are_all_found),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(names_that_share_their_ends_cannot_blow_the_table_up),
        cmocka_unit_test(a_pool_of_names_has_a_bound),
        cmocka_unit_test(a_file_offset_maps_to_the_address_of_the_segment_that_holds_it),
        cmocka_unit_test(a_table_that_lies_is_refused),
        cmocka_unit_test(a_table_that_can_still_change_is_refused),
        cmocka_unit_test(a_table_with_random_damage_is_refused_or_safe_to_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
