/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/gotab.h"

#include "nsresolve/gocode.h"
#include "nsresolve/pclntab.h"

#include <errno.h>
#include <string.h>

#define WORD 8
#define PADDING_MAX 32 /* between functions */

/* What is special about a function's stack. */
enum role {
    ROLE_PLAIN,
    ROLE_END,     /* the outermost frame of a goroutine or a thread */
    ROLE_RESTART, /* leaves its caller for good: what it calls has nobody above */
    ROLE_SWITCH,  /* goes on on another stack; rbp still points into the caller's */
    ROLE_LEAVE,   /* likewise, but rbp does not: the goroutine's structure knows the way back */
    ROLE_LOST,    /* goes to a stack that nothing is known of */
};

static const struct {
    const char *name;
    enum role role;
} roles[] = {
    {"runtime.goexit", ROLE_END},
    {"runtime.mstart", ROLE_END},
    {"runtime.rt0_go", ROLE_END},
    {"runtime.mcall", ROLE_RESTART},
    {"runtime.morestack", ROLE_LEAVE},
    {"runtime.gogo", ROLE_LOST},
    /* Go 1.17 and later mark these. */
    {"runtime.systemstack", ROLE_SWITCH},
    {"runtime.asmcgocall", ROLE_SWITCH},
    {"runtime.cgocallback", ROLE_SWITCH},
    {"runtime.nanotime1", ROLE_SWITCH},
    {"runtime.walltime", ROLE_SWITCH},
    {"runtime.walltime1", ROLE_SWITCH},
    {"time.now", ROLE_SWITCH},
};

struct making {
    const struct pclntab *table;
    struct unwindtab_builder *out;
    uint64_t base;
    uint32_t budget; /* of steps */
    bool is_cut;
    uint8_t goroutine_at, saved_rbp_at; /* 0: not known */
    bool knows_c; /* rbp leads from C back to the goroutine that called it; Go 1.21 and later */
};

/* One function's stack, looked at before its rows are made. */
struct shape {
    enum role role;
    uint64_t end;     /* where the steps end */
    int32_t deepest;  /* bytes */
    uint64_t framed;  /* from here on rbp is saved and points to where; 0: it is not */
    uint64_t away[2]; /* of ROLE_LEAVE and ROLE_LOST: on the other stack from here to there */
};

static enum role role_of(const struct pclntab_function *fn)
{
    for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
        if (strcmp(roles[i].name, fn->name) == 0)
            return roles[i].role;
    return fn->flags & PCLNTAB_WRITES_SP ? ROLE_SWITCH : ROLE_PLAIN;
}

static void look_at(struct making *m, const struct pclntab_function *fn, struct shape *ret)
{
    struct pclntab_steps s;
    bool moved = false;

    *ret = (struct shape){.role = role_of(fn), .end = fn->start};
    pclntab_steps(m->table, fn, &s);
    while (m->budget && pclntab_next(&s)) {
        m->budget--;
        if (!moved && s.value > 0) {
            moved = true;
            ret->framed = gocode_frame_pointer(pclntab_code(m->table), s.start, s.value);
        }
        ret->deepest = MAX(ret->deepest, s.value);
        ret->end = s.end;
    }
    if (fn->end - ret->end < PADDING_MAX)
        ret->end = fn->end;
    if (ret->role == ROLE_SWITCH && !ret->framed)
        ret->role = ROLE_LEAVE;
    /* What it notes makes it look as if the goroutine had called it, without C between. */
    if (!m->knows_c && strcmp(fn->name, "runtime.cgocallback") == 0)
        ret->role = ROLE_PLAIN;
    if (ret->role == ROLE_LEAVE || ret->role == ROLE_LOST)
        gocode_stack_loads(pclntab_code(m->table), fn->start, fn->end, ret->away);
}

/* On the other stack. */
static struct unwind_row rule_away(const struct making *m, const struct shape *shape)
{
    if (shape->role == ROLE_LOST || !m->goroutine_at || !m->saved_rbp_at)
        return (struct unwind_row){.kind = UNWIND_LOST};
    return (struct unwind_row){
        .kind = UNWIND_GO, .rbp = m->saved_rbp_at, .offset = m->goroutine_at};
}

/* The rule where the stack pointer has moved by value. CFA and rbp's place are both two words from
 * where rbp points, once it does. */
static struct unwind_row rule(const struct shape *shape, int32_t value, bool is_framed)
{
    struct unwind_row row = {.kind = UNWIND_RSP, .rbp = is_framed ? 2 : 0};

    if (shape->role == ROLE_END || (shape->role == ROLE_RESTART && value == shape->deepest))
        return (struct unwind_row){.kind = UNWIND_END};
    if (shape->role == ROLE_SWITCH && is_framed) {
        row.kind = UNWIND_SWITCH;
        row.offset = 2;
    } else if (value >= 0 && value % WORD == 0 && value / WORD < INT16_MAX) {
        row.offset = (int16_t)(value / WORD + 1);
    } else if (is_framed) {
        row.kind = UNWIND_RBP;
        row.offset = 2;
    } else {
        row.kind = UNWIND_UNSUPPORTED;
    }
    return row;
}

static int put(struct making *m, uint64_t pc, struct unwind_row row)
{
    row.pc = (uint32_t)(pc - m->base);
    return unwindtab_builder_row(m->out, &row);
}

/* One stretch with one rule, but for what is on the other stack. */
static int add_rows(struct making *m, const struct shape *shape, uint64_t start, uint64_t end,
                    struct unwind_row row)
{
    uint64_t away = shape->away[0], back = shape->away[1];
    bool starts_away = away && start >= away && (!back || start < back);
    int r = put(m, start, starts_away ? rule_away(m, shape) : row);

    if (r == 0 && away > start && away < end)
        r = put(m, away, rule_away(m, shape));
    if (r == 0 && back > start && back < end)
        r = put(m, back, row);
    return r;
}

static int add_function(struct making *m, const struct pclntab_function *fn)
{
    struct pclntab_steps s;
    struct shape shape;
    int r;

    look_at(m, fn, &shape);
    if (shape.end <= fn->start || fn->start < m->base || shape.end - m->base > UINT32_MAX)
        return 0;
    r = unwindtab_builder_range(m->out, (uint32_t)(fn->start - m->base),
                                (uint32_t)(shape.end - m->base));
    pclntab_steps(m->table, fn, &s);
    while (r == 0 && m->budget && pclntab_next(&s)) {
        bool is_framed = s.value > 0 && shape.framed && shape.framed < s.end;

        m->budget--;
        if (is_framed && s.start < shape.framed) {
            r = put(m, s.start, rule(&shape, s.value, false));
            s.start = shape.framed;
        }
        if (r == 0)
            r = add_rows(m, &shape, s.start, s.end, rule(&shape, s.value, is_framed));
    }
    m->is_cut |= m->budget == 0;
    return r;
}

/* What the structures of this version of Go look like. */
static void look_at_runtime(struct making *m)
{
    size_t count = pclntab_count(m->table);
    const struct gocode *code = pclntab_code(m->table);

    for (size_t i = 0; i < count; i++) {
        struct pclntab_function fn;
        struct shape shape;

        if (!pclntab_function(m->table, i, &fn))
            continue;
        if (strcmp(fn.name, "runtime.systemstack") == 0) {
            m->goroutine_at = gocode_goroutine_at(code, fn.start, fn.end);
        } else if (strcmp(fn.name, "runtime.morestack") == 0) {
            m->saved_rbp_at = gocode_saved_rbp_at(code, fn.start, fn.end);
        } else if (strcmp(fn.name, "runtime.asmcgocall") == 0) {
            look_at(m, &fn, &shape);
            m->knows_c = shape.role == ROLE_SWITCH;
        }
    }
}

static int add_functions(struct making *m)
{
    size_t count = pclntab_count(m->table);
    int r = 0;

    for (size_t i = 0; i < count && r == 0 && !m->is_cut; i++) {
        struct pclntab_function fn;

        if (pclntab_function(m->table, i, &fn))
            r = add_function(m, &fn);
    }
    if (r == -EFBIG)
        m->is_cut = true;
    return r == -EFBIG ? 0 : r;
}

int gotab_add(const struct elf_file *f, struct unwindtab_builder *b)
{
    _cleanup_(pclntab_freep) struct pclntab *t = NULL;
    struct making m = {.out = b, .budget = PCLNTAB_MAX_STEPS};
    int r = pclntab_open(f, &t);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    m.table = t;
    m.base = unwindtab_builder_header(b)->base_vaddr;
    look_at_runtime(&m);
    r = add_functions(&m);
    if (m.is_cut)
        unwindtab_builder_header(b)->flags |= UNWINDTAB_TRUNCATED;
    return r < 0 ? r : 1;
}
