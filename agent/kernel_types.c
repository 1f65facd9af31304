/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kernel_types.h"

#include "agent/kernel_hooks.h"
#include "agent/probe.h"
#include "base/log.h"
#include "base/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NESTED_MAX 64 /* structures in structures; the kernel's own are a handful deep */
/* The one module that we look into; this is there once it is loaded, and never where it is none. */
#define JOURNAL_MODULE "/sys/kernel/btf/jbd2"

struct kernel_types {
    int fd;
    char path[32];
    bool module_seen;
};

struct extract {
    const struct btf *from;
    struct btf *to;
    uint32_t *ids; /* in to, by id in from; 0: not copied */
    int pointer;   /* id of the one pointer, to void */
};

/* ---- copying ---- */

static int copy(struct extract *x, uint32_t id, int depth);

static const char *text(const struct extract *x, uint32_t offset)
{
    return btf__name_by_offset(x->from, offset);
}

static int copy_enum(struct extract *x, const struct btf_type *t)
{
    int id = btf__add_enum(x->to, text(x, t->name_off), t->size);

    for (int i = 0; id > 0 && i < btf_vlen(t); i++) {
        const struct btf_enum *v = &btf_enum(t)[i];
        int r = btf__add_enum_value(x->to, text(x, v->name_off), v->val);

        if (r < 0)
            return r;
    }
    return id;
}

static int copy_array(struct extract *x, const struct btf_type *t, int depth)
{
    const struct btf_array *a = btf_array(t);
    int element = copy(x, a->type, depth), index = copy(x, a->index_type, depth);

    if (element < 0 || index < 0)
        return element < 0 ? element : index;
    return btf__add_array(x->to, index, element, a->nelems);
}

/* What a structure holds comes before it, since its members must follow it. */
static int copy_struct(struct extract *x, const struct btf_type *t, int depth)
{
    const struct btf_member *members = btf_members(t);
    const char *name = text(x, t->name_off);
    int id, r;

    for (int i = 0; i < btf_vlen(t); i++) {
        r = copy(x, members[i].type, depth);
        if (r < 0)
            return r;
    }
    id = btf_is_union(t) ? btf__add_union(x->to, name, t->size)
                         : btf__add_struct(x->to, name, t->size);
    for (int i = 0; id > 0 && i < btf_vlen(t); i++) {
        r = btf__add_field(x->to, text(x, members[i].name_off), copy(x, members[i].type, depth),
                           btf_member_bit_offset(t, (uint32_t)i),
                           btf_member_bitfield_size(t, (uint32_t)i));
        if (r < 0)
            return r;
    }
    return id;
}

static int copy_new(struct extract *x, const struct btf_type *t, int depth)
{
    const char *name = text(x, t->name_off);

    switch (btf_kind(t)) {
    case BTF_KIND_INT:
        return btf__add_int(x->to, name, t->size, btf_int_encoding(t));
    case BTF_KIND_FLOAT:
        return btf__add_float(x->to, name, t->size);
    case BTF_KIND_ENUM:
        return copy_enum(x, t);
    case BTF_KIND_ARRAY:
        return copy_array(x, t, depth);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        return copy_struct(x, t, depth);
    default:
        /* Of its size, should somebody hold it by value. */
        return btf__add_enum64(x->to, name, 8, false);
    }
}

/* The id of a type's copy, or -errno. Names and qualifiers of types on the way are left out. */
static int copy(struct extract *x, uint32_t id, int depth)
{
    const struct btf_type *t = btf__type_by_id(x->from, id);
    int made;

    while (t && (btf_is_mod(t) || btf_is_typedef(t))) {
        id = t->type;
        t = btf__type_by_id(x->from, id);
    }
    if (!t || depth > NESTED_MAX)
        return -EINVAL;
    if (id == 0)
        return 0;
    if (btf_is_ptr(t))
        return x->pointer;
    if (x->ids[id])
        return (int)x->ids[id];
    made = copy_new(x, t, depth + 1);
    if (made > 0)
        x->ids[id] = (uint32_t)made;
    return made;
}

/* ---- choosing ---- */

/* libbpf's rule: what follows three underscores tells variants apart. */
static size_t essential_size(const char *name)
{
    const char *flavour = strstr(name, "___");

    return flavour && flavour != name ? (size_t)(flavour - name) : strlen(name);
}

static bool is_looked_into(const struct btf_type *t)
{
    return btf_is_composite(t) || btf_is_any_enum(t);
}

int kernel_types_add(struct table *names, const struct btf *local)
{
    for (uint32_t id = 1; id < btf__type_cnt(local); id++) {
        const struct btf_type *t = btf__type_by_id(local, id);
        const char *name = btf__name_by_offset(local, t->name_off);

        if (is_looked_into(t) && *name &&
            table_put(names, name, essential_size(name), (void *)(uintptr_t)1) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* A module may have a type of its own by a name that is the kernel's: libbpf does not choose. */
static bool is_taken(const struct extract *x, uint32_t id)
{
    const struct btf *kernel = btf__base_btf(x->from);
    const struct btf_type *t = btf__type_by_id(x->from, id);

    return kernel && id >= btf__type_cnt(kernel) &&
           btf__find_by_name_kind(x->to, text(x, t->name_off), btf_kind(t)) > 0;
}

static int copy_named(struct extract *x, const struct table *names)
{
    for (uint32_t id = 1; id < btf__type_cnt(x->from); id++) {
        const struct btf_type *t = btf__type_by_id(x->from, id);
        const char *name;
        int r;

        if (!is_looked_into(t))
            continue;
        name = text(x, t->name_off);
        if (!*name || !table_get(names, name, essential_size(name)) || is_taken(x, id))
            continue;
        r = copy(x, id, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

int kernel_types_extract(const struct btf *kernel, const struct table *names, struct btf **ret)
{
    struct extract x = {.from = kernel, .to = btf__new_empty()};
    int r;

    if (!x.to)
        return -errno;
    x.ids = calloc(btf__type_cnt(kernel), sizeof(*x.ids));
    r = x.pointer = x.ids ? btf__add_ptr(x.to, 0) : -ENOMEM;
    if (r > 0)
        r = copy_named(&x, names);
    free(x.ids);
    if (r < 0) {
        btf__free(x.to);
        return r;
    }
    *ret = x.to;
    return 0;
}

/* ---- for all probes ---- */

void kernel_types_free(struct kernel_types *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

const char *kernel_types_path(const struct kernel_types *t)
{
    return t ? t->path : NULL;
}

static int write_types(struct kernel_types *t, const struct btf *btf)
{
    uint32_t size;
    const void *data = btf__raw_data(btf, &size);

    if (!data)
        return -ENOMEM;
    t->fd = memfd_create("kernel-types", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (t->fd < 0)
        return -errno;
    if (write(t->fd, data, size) != (ssize_t)size)
        return -EIO;
    if (fcntl(t->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    snprintf(t->path, sizeof(t->path), "/proc/self/fd/%d", t->fd);
    return 0;
}

/* What any probe looks into, and what agent/probe_maps.c looks up. */
static int all_names(struct table *names)
{
    static const char subsystems[] = "cgroup_subsys_id";
    int r = table_put(names, subsystems, strlen(subsystems), (void *)(uintptr_t)1);

    /* Views of one BPF object stand side by side, and ask for the same. */
    for (size_t i = 0; r == 0 && probe_table[i]; i++) {
        const struct probe_ops *ops = probe_table[i], *stacks = ops->as_stacks;

        if (ops->types && (i == 0 || ops->types != probe_table[i - 1]->types))
            r = ops->types(names);
        if (r == 0 && stacks && stacks->types && stacks->types != ops->types)
            r = stacks->types(names);
    }
    return r;
}

/* Of the kernel, and of the module if it is there. */
static int extract_all(const struct btf *kernel, struct btf **ret)
{
    _cleanup_(table_freep) struct table *names = NULL;
    struct btf *module;
    int r = table_new(&names, NULL);

    if (r == 0)
        r = all_names(names);
    if (r < 0)
        return r;
    module = btf__parse_split(JOURNAL_MODULE, (struct btf *)kernel);
    r = kernel_types_extract(module ? module : kernel, names, ret);
    btf__free(module);
    return r;
}

int kernel_types_new(struct kernel_types **ret)
{
    _cleanup_(kernel_types_freep) struct kernel_types *t = calloc(1, sizeof(*t));
    struct btf *kernel, *few = NULL;
    int r;

    if (!t)
        return -ENOMEM;
    t->fd = -1;
    t->module_seen = access(JOURNAL_MODULE, R_OK) == 0;
    kernel = btf__load_vmlinux_btf();
    if (!kernel)
        return -errno;
    r = extract_all(kernel, &few);
    if (r == 0)
        r = kernel_hooks_learn(kernel);
    btf__free(kernel);
    if (r == 0)
        r = write_types(t, few);
    btf__free(few);
    if (r == 0)
        *ret = TAKE_PTR(t);
    return r;
}

void kernel_types_refresh(struct kernel_types *t)
{
    struct kernel_types *newer, old;
    int r;

    if (!t || t->module_seen || access(JOURNAL_MODULE, R_OK) < 0)
        return;
    r = kernel_types_new(&newer);
    if (r < 0) {
        log_debug("cannot take the types of " JOURNAL_MODULE ": %s", strerror(-r));
        return;
    }
    old = *t;
    *t = *newer;
    *newer = old;
    kernel_types_free(newer);
}
