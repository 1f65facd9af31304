/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/kernel.h"

#include "base/buf.h"
#include "base/table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* So many without an address: the kernel hides them (per-CPU symbols start at zero, too). */
#define HIDDEN_LINES 1000

struct symbol {
    uint64_t start;
    uint32_t name;        /* offset into names; 0: a boundary that is no function */
    uint32_t module : 31; /* offset into names */
    uint32_t passing : 1; /* comes and goes, as BPF programs do */
};

struct kernel {
    int kallsyms_fd, modules_fd;
    uint64_t modules_hash;
    struct symbol *symbols;
    size_t count, allocated;
    struct buf names;
    uint32_t last_module; /* kallsyms lists modules one after the other: reuse the offset */
    bool sorted;
};

int kernel_new(int kallsyms_fd, int modules_fd, struct kernel **ret)
{
    struct kernel *k = calloc(1, sizeof(*k));

    if (!k)
        return -ENOMEM;
    k->kallsyms_fd = kallsyms_fd;
    k->modules_fd = modules_fd;
    *ret = k;
    return 0;
}

void kernel_free(struct kernel *k)
{
    if (!k)
        return;
    free(k->symbols);
    buf_free(&k->names);
    free(k);
}

static uint32_t add_name(struct kernel *k, const char *s, size_t n)
{
    uint32_t at = (uint32_t)k->names.size;

    buf_add(&k->names, s, n);
    buf_addc(&k->names, '\0');
    return at;
}

static int add_symbol(struct kernel *k, uint64_t start, uint32_t name, uint32_t module,
                      bool passing)
{
    if (k->count == k->allocated) {
        size_t want = MAX(k->allocated * 2, (size_t)65536);
        struct symbol *s = realloc(k->symbols, want * sizeof(*s));

        if (!s)
            return -ENOMEM;
        k->symbols = s;
        k->allocated = want;
    }
    if (k->count && k->symbols[k->count - 1].start > start)
        k->sorted = false;
    k->symbols[k->count++] = (struct symbol){start, name, module & 0x7fffffff, passing};
    return 0;
}

/* Programs and what ftrace and kprobes make: none of them is in /proc/modules. */
static bool is_passing(const char *module)
{
    return module && (strcmp(module, "[bpf]") == 0 || strncmp(module, "[__builtin__", 12) == 0);
}

/* "ffffffff81000000 T name\t[module]", see proc(5). */
static int add_line(struct kernel *k, char *line)
{
    char *end, *name, *module;
    uint64_t start = strtoull(line, &end, 16);
    uint32_t module_at = 0;

    if (start == 0 || end == line || end[0] != ' ' || !end[1] || end[2] != ' ')
        return 0;
    name = end + 3;
    module = strchr(name, '\t');
    if (module) {
        *module++ = '\0';
        if (!k->last_module || strcmp(k->names.data + k->last_module, module) != 0)
            k->last_module = add_name(k, module, strlen(module));
        module_at = k->last_module;
    }
    /* Aliases: the first name at an address stays. */
    if (k->count && k->symbols[k->count - 1].start == start && k->symbols[k->count - 1].name)
        return 0;
    if (!strchr("tTwW", end[1]) || !*name)
        return add_symbol(k, start, 0, 0, false);
    return add_symbol(k, start, add_name(k, name, strlen(name)), module_at, is_passing(module));
}

/* At one address the function that was listed first comes last, where kernel_find() looks. */
static int by_start(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (!x->name || !y->name)
        return !y->name - !x->name;
    return x->name > y->name ? -1 : x->name < y->name;
}

static int read_symbols(struct kernel *k)
{
    _cleanup_buf_ struct buf text = {0};
    char *line, *newline;
    size_t lines = 0;
    ssize_t n;
    int r;

    if (lseek(k->kallsyms_fd, 0, SEEK_SET) < 0)
        return -errno;
    do {
        n = buf_read_fd(&text, k->kallsyms_fd, 65536);
        if (n < 0)
            return (int)n;
        line = text.data;
        while (text.size &&
               (newline = memchr(line, '\n', text.size - (size_t)(line - text.data)))) {
            *newline = '\0';
            r = add_line(k, line);
            if (r < 0)
                return r;
            line = newline + 1;
            lines++;
        }
        buf_consume(&text, text.size ? (size_t)(line - text.data) : 0);
        /* Either all addresses are zero or almost none: do not read on for nothing. */
    } while (n > 0 && text.size < 65536 && (k->count || lines < HIDDEN_LINES));

    if (!k->sorted)
        qsort(k->symbols, k->count, sizeof(*k->symbols), by_start);
    return buf_error(&k->names);
}

/* Of names, sizes and addresses: "name size users dependents state address", where users change
 * all the time. */
static uint64_t hash_of_modules(const struct kernel *k)
{
    _cleanup_buf_ struct buf text = {0};
    uint64_t hash = 2;
    char *rest, *line;

    if (k->modules_fd < 0 || lseek(k->modules_fd, 0, SEEK_SET) < 0 ||
        buf_read_all(&text, k->modules_fd, 1u << 20) < 0)
        return 1;
    rest = text.data;
    while ((line = strsep(&rest, "\n"))) {
        size_t head = strcspn(line, " ");
        const char *address = strstr(line, " 0x");

        head += line[head] ? 1 + strcspn(line + head + 1, " ") : 0;
        hash = hash_bytes(line, head, hash);
        hash = address ? hash_bytes(address, strlen(address), hash) : hash;
    }
    return hash;
}

int kernel_refresh(struct kernel *k)
{
    if (k->count && k->modules_hash == hash_of_modules(k))
        return 0;
    return kernel_read(k);
}

int kernel_read(struct kernel *k)
{
    uint64_t hash = hash_of_modules(k);
    int r;

    if (k->kallsyms_fd < 0)
        return 0;
    k->count = 0;
    k->last_module = 0;
    k->sorted = true;
    buf_free(&k->names);
    add_name(k, "", 0);
    r = read_symbols(k);
    if (r < 0) {
        k->count = 0;
        return r;
    }
    k->modules_hash = hash;
    return 0;
}

bool kernel_has_symbols(const struct kernel *k)
{
    return k->count > 0;
}

static bool find(const struct kernel *k, uint64_t address, bool passing, struct kernel_symbol *ret)
{
    size_t lo = 0, hi = k->count;
    uint64_t reach = KERNEL_SYMBOL_MAX;
    const struct symbol *s;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (k->symbols[mid].start <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return false;
    s = &k->symbols[lo - 1];
    if (!s->name || s->passing != passing || address - s->start >= reach)
        return false;
    if (lo < k->count)
        reach = MIN(reach, k->symbols[lo].start - s->start);
    *ret = (struct kernel_symbol){
        .start = s->start,
        .size = reach,
        .name = k->names.data + s->name,
        .module = s->module ? k->names.data + s->module : "[kernel]",
    };
    return true;
}

bool kernel_find(const struct kernel *k, uint64_t address, struct kernel_symbol *ret)
{
    return find(k, address, false, ret);
}

bool kernel_find_passing(const struct kernel *k, uint64_t address, struct kernel_symbol *ret)
{
    return find(k, address, true, ret);
}

size_t kernel_bytes(const struct kernel *k)
{
    return k->allocated * sizeof(*k->symbols) + k->names.allocated;
}
