/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kernel_types.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* A kernel: struct task { int pid; inner_t in; struct task *next; enum e kind; int table[3]; },
 * struct inner { long x:5; }, struct other. */
static struct btf *make_kernel(void)
{
    struct btf *k = btf__new_empty();
    int number = btf__add_int(k, "int", 4, BTF_INT_SIGNED), inner, alias, task, kind, array;

    inner = btf__add_struct(k, "inner", 8);
    assert_int_equal(btf__add_field(k, "x", number, 3, 5), 0);
    alias = btf__add_typedef(k, "inner_t", inner);
    kind = btf__add_enum(k, "e", 4);
    assert_int_equal(btf__add_enum_value(k, "SEVEN", 7), 0);
    array = btf__add_array(k, number, number, 3);
    task = btf__add_struct(k, "task", 64);
    assert_int_equal(btf__add_field(k, "pid", number, 0, 0), 0);
    assert_int_equal(btf__add_field(k, "in", alias, 64, 0), 0);
    assert_int_equal(btf__add_field(k, "next", task + 1, 128, 0), 0);
    assert_int_equal(btf__add_field(k, "kind", kind, 192, 0), 0);
    assert_int_equal(btf__add_field(k, "table", array, 224, 0), 0);
    assert_int_equal(btf__add_ptr(k, task), task + 1);
    assert_true(btf__add_struct(k, "other", 4) > 0);
    assert_int_equal(btf__add_field(k, "pid", number, 0, 0), 0);
    return k;
}

static struct btf *extract(struct btf *kernel, const char *name)
{
    struct btf *local = btf__new_empty(), *few = NULL;
    struct table *names;

    assert_int_equal(table_new(&names, NULL), 0);
    assert_true(btf__add_struct(local, name, 4) > 0);
    assert_int_equal(kernel_types_add(names, local), 0);
    assert_int_equal(kernel_types_extract(kernel, names, &few), 0);
    table_free(names);
    btf__free(local);
    return few;
}

static const struct btf_type *find(const struct btf *b, const char *name)
{
    int id = btf__find_by_name_kind(b, name, BTF_KIND_STRUCT);

    return id > 0 ? btf__type_by_id(b, (uint32_t)id) : NULL;
}

static void a_structure_is_taken_with_what_it_holds_and_nothing_else(void **state)
{
    struct btf *kernel = make_kernel(), *few = extract(kernel, "task___old");
    const struct btf_type *task = find(few, "task"), *inner = find(few, "inner"), *t;
    const struct btf_member *m;

    (void)state;
    assert_non_null(task);
    assert_non_null(inner);
    assert_null(find(few, "other"));
    assert_int_equal(task->size, 64);
    assert_int_equal(btf_vlen(task), 5);
    m = btf_members(task);
    assert_string_equal(btf__name_by_offset(few, m[1].name_off), "in");
    assert_int_equal(btf_member_bit_offset(task, 1), 64);
    assert_ptr_equal(btf__type_by_id(few, m[1].type), inner);
    t = btf__type_by_id(few, m[2].type);
    assert_true(btf_is_ptr(t));
    assert_int_equal(t->type, 0);
    t = btf__type_by_id(few, m[3].type);
    assert_string_equal(btf__name_by_offset(few, btf_enum(t)->name_off), "SEVEN");
    assert_int_equal(btf_enum(t)->val, 7);
    t = btf__type_by_id(few, m[4].type);
    assert_int_equal(btf_array(t)->nelems, 3);
    assert_int_equal(btf_member_bit_offset(inner, 0), 3);
    assert_int_equal(btf_member_bitfield_size(inner, 0), 5);
    btf__free(few);
    btf__free(kernel);
}

static void a_name_that_the_kernel_lacks_brings_nothing(void **state)
{
    struct btf *kernel = make_kernel(), *few = extract(kernel, "missing");

    (void)state;
    assert_null(find(few, "task"));
    btf__free(few);
    btf__free(kernel);
}

static void names_are_compared_without_their_variant(void **state)
{
    struct btf *kernel = make_kernel(), *few;

    (void)state;
    few = extract(kernel, "other___5_15");
    assert_non_null(find(few, "other"));
    btf__free(few);
    few = extract(kernel, "other_");
    assert_null(find(few, "other"));
    btf__free(few);
    btf__free(kernel);
}

/* A module: struct journal { struct inner in; struct task *who; }, and a task of its own. */
static struct btf *make_module(struct btf *kernel)
{
    struct btf *m = btf__new_empty_split(kernel);
    int inner = btf__find_by_name_kind(kernel, "inner", BTF_KIND_STRUCT), journal;

    journal = btf__add_struct(m, "journal", 16);
    assert_int_equal(btf__add_field(m, "in", inner, 0, 0), 0);
    assert_int_equal(btf__add_field(m, "who", journal + 1, 64, 0), 0);
    assert_int_equal(btf__add_ptr(m, btf__find_by_name_kind(kernel, "task", BTF_KIND_STRUCT)),
                     journal + 1);
    assert_true(btf__add_struct(m, "task", 4) > 0);
    return m;
}

static void a_module_adds_what_the_kernel_lacks(void **state)
{
    struct btf *kernel = make_kernel(), *module = make_module(kernel),
               *few = extract(module, "journal");
    const struct btf_type *journal = find(few, "journal");

    (void)state;
    assert_non_null(journal);
    assert_int_equal(journal->size, 16);
    assert_ptr_equal(btf__type_by_id(few, btf_members(journal)[0].type), find(few, "inner"));
    assert_null(find(few, "task"));
    btf__free(few);
    few = extract(kernel, "journal");
    assert_null(find(few, "journal"));
    btf__free(few);
    btf__free(module);
    btf__free(kernel);
}

static void a_modules_type_does_not_stand_beside_the_kernels(void **state)
{
    struct btf *kernel = make_kernel(), *module = make_module(kernel),
               *few = extract(module, "task");
    int tasks = 0;

    (void)state;
    for (uint32_t id = 1; id < btf__type_cnt(few); id++)
        tasks += strcmp(btf__name_by_offset(few, btf__type_by_id(few, id)->name_off), "task") == 0;
    assert_int_equal(tasks, 1);
    assert_int_equal(find(few, "task")->size, 64);
    btf__free(few);
    btf__free(module);
    btf__free(kernel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_structure_is_taken_with_what_it_holds_and_nothing_else),
        cmocka_unit_test(a_name_that_the_kernel_lacks_brings_nothing),
        cmocka_unit_test(names_are_compared_without_their_variant),
        cmocka_unit_test(a_module_adds_what_the_kernel_lacks),
        cmocka_unit_test(a_modules_type_does_not_stand_beside_the_kernels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
