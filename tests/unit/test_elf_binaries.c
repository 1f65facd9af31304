/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own binaries, against libelf's reading of them. */
#include "tests/unit/parse_elf.h"

#include <gelf.h>
#include <glob.h>

struct truth {
    GElf_Sym symbol;
    bool dynamic;
    const char *name; /* libelf's, with its version */
};

struct truths {
    Elf *elf;
    struct truth *all;
    size_t count, allocated;
};

static void add_truth(struct truths *ts, const GElf_Shdr *table, const GElf_Sym *s)
{
    Elf_Scn *scn = s->st_shndx < SHN_LORESERVE ? elf_getscn(ts->elf, s->st_shndx) : NULL;
    const char *name = elf_strptr(ts->elf, table->sh_link, s->st_name);
    GElf_Shdr section;

    if (!scn || s->st_shndx == SHN_UNDEF || !gelf_getshdr(scn, &section) ||
        !(section.sh_flags & SHF_EXECINSTR) || !name || !*name)
        return;
    if (ts->count == ts->allocated) {
        ts->allocated = ts->allocated * 2 + 1000;
        ts->all = reallocarray(ts->all, ts->allocated, sizeof(*ts->all));
        assert_non_null(ts->all);
    }
    ts->all[ts->count++] = (struct truth){*s, table->sh_type == SHT_DYNSYM, name};
}

static void read_truths(int fd, struct truths *ts)
{
    Elf_Scn *scn = NULL;

    elf_version(EV_CURRENT);
    ts->elf = elf_begin(fd, ELF_C_READ, NULL);
    assert_non_null(ts->elf);
    while ((scn = elf_nextscn(ts->elf, scn))) {
        Elf_Data *data;
        GElf_Shdr table;
        GElf_Sym s;

        gelf_getshdr(scn, &table);
        if (table.sh_type != SHT_SYMTAB && table.sh_type != SHT_DYNSYM)
            continue;
        data = elf_getdata(scn, NULL);
        for (int i = 0; data && gelf_getsym(data, i, &s); i++)
            add_truth(ts, &table, &s);
    }
}

static bool covers(const struct truth *t, uint64_t address)
{
    unsigned type = GELF_ST_TYPE(t->symbol.st_info);

    return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) &&
           address >= t->symbol.st_value && address - t->symbol.st_value < t->symbol.st_size;
}

static bool is_called(const struct truth *t, const char *name)
{
    size_t size = strcspn(t->name, "@");

    return strlen(name) == size && memcmp(t->name, name, size) == 0;
}

/* A name must be one of those that cover the address by size; when none does, an unsized one of
 * .symtab before it. An address that a symbol covers must have a name. */
static void check_address(const char *path, const struct symtab *t, const struct truths *ts,
                          uint64_t address)
{
    const char *name = name_at(t, address);
    bool any_covers = false, by_size = false, by_label = false;

    for (size_t i = 0; i < ts->count; i++) {
        const struct truth *truth = &ts->all[i];

        if (covers(truth, address)) {
            any_covers = true;
            by_size |= is_called(truth, name);
        } else if (truth->symbol.st_size == 0 && !truth->dynamic &&
                   truth->symbol.st_value <= address) {
            by_label |= is_called(truth, name);
        }
    }
    if (any_covers ? !by_size : *name && !by_label)
        fail_msg("%s: %#lx is named '%s'", path, (unsigned long)address, name);
}

static size_t check_binary(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    struct truths ts = {0};
    size_t step;

    if (fd < 0 || parse_fd(fd, &any, &t) < 0)
        return 0; /* a script */
    assert_false(symtab_header(t)->flags & SYMTAB_TRUNCATED);
    read_truths(fd, &ts);
    step = ts.count / 60 + 1;
    for (size_t i = 0; i < ts.count; i += step) {
        const GElf_Sym *s = &ts.all[i].symbol;

        check_address(path, t, &ts, s->st_value);
        check_address(path, t, &ts, s->st_value + s->st_size / 2);
        check_address(path, t, &ts, s->st_value + s->st_size);
        check_address(path, t, &ts, s->st_value - 1);
    }
    elf_end(ts.elf);
    free(ts.all);
    return 1;
}

static void the_machines_own_binaries_are_named_as_libelf_reads_them(void **state)
{
    const char *patterns[] = {"/bin/*sh", "/usr/bin/[gns]*", "/usr/lib/*/libc.so.6",
                              "/usr/lib/*/lib[cs]*.so.*"};
    size_t checked = 0;
    glob_t g = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
        glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &g);
    for (size_t i = 0; i < g.gl_pathc && checked < 150; i++)
        checked += check_binary(g.gl_pathv[i]);
    globfree(&g);
    print_message("%zu binaries\n", checked);
    assert_true(checked > 10);
}

static void this_program_finds_its_own_functions_and_segments(void **state)
{
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(symtab_freep) struct symtab *t = NULL;
    const struct symtab_header *h;

    (void)state;
    assert_int_equal(parse_fd(fd, &any, &t), 0);
    h = symtab_header(t);
    assert_true(h->flags & SYMTAB_HAS_SYMTAB);
    assert_true(h->segment_count > 0);
    for (size_t i = 0; i < h->symbol_count; i++) {
        const struct symtab_symbol *s =
            (const void *)((const char *)(h + 1) + h->segment_count * sizeof(struct segment));

        if (strcmp(name_at(t, s[i].start), "elf_parse") == 0)
            return;
    }
    fail_msg("elf_parse is not in the table");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machines_own_binaries_are_named_as_libelf_reads_them),
        cmocka_unit_test(this_program_finds_its_own_functions_and_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
