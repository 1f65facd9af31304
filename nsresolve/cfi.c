/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/cfi.h"

#include <errno.h>

#define WORD 8

/* Numbers of x86-64's registers in DWARF (psABI, figure 3.36). */
enum { REG_RBP = 6, REG_RSP = 7, REG_RA = 16, REG_BEYOND = 255 };

/* The upper two bits are an instruction of its own, with its operand in the lower six. */
enum {
    CFA_SHORT = 0xc0,
    CFA_ADVANCE_LOC = 0x40,
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,
    CFA_NOP = 0x00,
    CFA_SET_LOC = 0x01,
    CFA_ADVANCE_LOC1 = 0x02,
    CFA_ADVANCE_LOC2 = 0x03,
    CFA_ADVANCE_LOC4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER_STATE = 0x0a,
    CFA_RESTORE_STATE = 0x0b,
    CFA_DEF_CFA = 0x0c,
    CFA_DEF_CFA_REGISTER = 0x0d,
    CFA_DEF_CFA_OFFSET = 0x0e,
    CFA_DEF_CFA_EXPRESSION = 0x0f,
    CFA_EXPRESSION = 0x10,
    CFA_OFFSET_EXTENDED_SF = 0x11,
    CFA_DEF_CFA_SF = 0x12,
    CFA_DEF_CFA_OFFSET_SF = 0x13,
    CFA_VAL_OFFSET = 0x14,
    CFA_VAL_OFFSET_SF = 0x15,
    CFA_VAL_EXPRESSION = 0x16,
    CFA_GNU_ARGS_SIZE = 0x2e,
    CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

enum { OP_DEREF = 0x06, OP_PLUS_UCONST = 0x23, OP_BREG0 = 0x70, OP_LIT0 = 0x30, OP_LIT31 = 0x4f };

/* ---- rules to rows ---- */

static bool to_words(int64_t bytes, int64_t max, int64_t *words)
{
    *words = bytes / WORD;
    return bytes % WORD == 0 && *words <= max && *words >= -max;
}

static bool put_rbp(const struct cfi_save *save, struct unwind_row *row)
{
    int64_t words;

    switch (save->kind) {
    case CFI_UNSAID:
    case CFI_SAME:
    case CFI_UNDEFINED: /* then nobody above needs it */
        row->rbp = 0;
        return true;
    case CFI_AT_RBP:
        row->rbp = UNWINDTAB_RBP_AT_RBP;
        return true;
    case CFI_OFFSET:
        if (!to_words(save->offset, UNWINDTAB_MAX_RBP, &words) || words >= 0)
            return false;
        row->rbp = (uint8_t)-words;
        return true;
    default:
        return false;
    }
}

static bool put_cfa(const struct cfi_rules *rules, struct unwind_row *row)
{
    bool is_rbp = rules->cfa_register == REG_RBP, is_rsp = rules->cfa_register == REG_RSP;
    int64_t words;

    switch (rules->cfa_kind) {
    case CFI_CFA_REGISTER:
        if ((!is_rbp && !is_rsp) || !to_words(rules->cfa_offset, INT16_MAX, &words))
            return false;
        row->kind = is_rbp ? UNWIND_RBP : UNWIND_RSP;
        row->offset = (int16_t)words;
        return true;
    case CFI_CFA_DEREF:
        if (!is_rbp || !to_words(rules->cfa_offset, INT16_MAX, &words))
            return false;
        row->kind = UNWIND_DEREF_RBP;
        row->offset = (int16_t)words;
        return true;
    case CFI_CFA_DEREF_8:
        if (!is_rsp || !to_words(rules->cfa_offset, INT16_MAX, &words))
            return false;
        row->kind = UNWIND_DEREF_RSP;
        row->offset = (int16_t)words;
        return true;
    case CFI_CFA_PLT:
        row->kind = UNWIND_PLT;
        row->offset = (int16_t)rules->cfa_offset;
        return true;
    default:
        return false;
    }
}

/* Whether the caller's rsp is the CFA, as it is unless somebody says otherwise. */
static bool rsp_is_cfa(const struct cfi_save *save)
{
    return save->kind == CFI_UNSAID || save->kind == CFI_SAME ||
           (save->kind == CFI_IS_OFFSET && save->offset == 0);
}

static struct unwind_row to_row(const struct cfi_program *p)
{
    const struct cfi_save *saves = p->rules.saves;
    struct unwind_row row = {.pc = (uint32_t)(p->pc - p->base)};

    if (saves[CFI_RA].kind == CFI_UNDEFINED) {
        row.kind = UNWIND_END;
        return row;
    }
    if (saves[CFI_RA].kind != CFI_OFFSET || saves[CFI_RA].offset != -WORD ||
        !rsp_is_cfa(&saves[CFI_RSP]) || !put_cfa(&p->rules, &row) ||
        !put_rbp(&saves[CFI_RBP], &row))
        return (struct unwind_row){.pc = row.pc, .kind = UNWIND_UNSUPPORTED};
    return row;
}

static int put_here(const struct cfi_program *p)
{
    struct unwind_row row;

    if (!p->table)
        return 0;
    if (p->code.bad)
        row = (struct unwind_row){.pc = (uint32_t)(p->pc - p->base), .kind = UNWIND_UNSUPPORTED};
    else
        row = to_row(p);
    return unwindtab_builder_row(p->table, &row);
}

/* ---- expressions ---- */

/* CFA = rsp + 8 + ((rip & 15) >= N) * 8, as linkers write it for the PLT; N in *n. */
static bool is_plt(const struct cfi_cursor *e, int64_t *n)
{
    static const uint8_t before[] = {0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a};
    static const uint8_t behind[] = {0x2a, 0x33, 0x24, 0x22};

    if (cfi_left(e) != sizeof(before) + 1 + sizeof(behind) ||
        memcmp(e->at, before, sizeof(before)) != 0 ||
        memcmp(e->at + sizeof(before) + 1, behind, sizeof(behind)) != 0)
        return false;
    *n = (int64_t)e->at[sizeof(before)] - OP_LIT0;
    return *n >= 0 && *n <= OP_LIT31 - OP_LIT0;
}

/* The expression that follows in the code, as a cursor of its own. */
static struct cfi_cursor expression(struct cfi_cursor *code)
{
    uint64_t size = cfi_uleb128(code);
    struct cfi_cursor e = *code;

    cfi_skip(code, size);
    e.end = code->at;
    e.bad = code->bad;
    return e;
}

/* Reads "register + offset" at the front. */
static bool base_register(struct cfi_cursor *e, uint8_t *reg, int64_t *offset)
{
    uint8_t op = cfi_u8(e);

    if (op != OP_BREG0 + REG_RBP && op != OP_BREG0 + REG_RSP)
        return false;
    *reg = op - OP_BREG0;
    *offset = cfi_sleb128(e);
    return !e->bad;
}

static void cfa_expression(struct cfi_program *p)
{
    struct cfi_cursor e = expression(&p->code);
    struct cfi_rules *rules = &p->rules;

    rules->cfa_kind = CFI_CFA_UNKNOWN;
    if (e.bad)
        return;
    if (is_plt(&e, &rules->cfa_offset)) {
        rules->cfa_kind = CFI_CFA_PLT;
        return;
    }
    if (!base_register(&e, &rules->cfa_register, &rules->cfa_offset))
        return;
    if (cfi_left(&e) == 0)
        rules->cfa_kind = CFI_CFA_REGISTER;
    else if (cfi_left(&e) == 1 && *e.at == OP_DEREF)
        rules->cfa_kind = CFI_CFA_DEREF;
    else if (cfi_left(&e) == 3 && e.at[0] == OP_DEREF && e.at[1] == OP_PLUS_UCONST &&
             e.at[2] == WORD)
        rules->cfa_kind = CFI_CFA_DEREF_8;
}

/* Of the place where a register is saved. */
static void save_expression(struct cfi_program *p, struct cfi_save *save)
{
    struct cfi_cursor e = expression(&p->code);
    uint8_t reg;
    int64_t offset;

    *save = (struct cfi_save){.kind = CFI_ELSEWHERE};
    if (base_register(&e, &reg, &offset) && cfi_left(&e) == 0 && reg == REG_RBP && offset == 0)
        save->kind = CFI_AT_RBP;
}

/* ---- instructions ---- */

static enum cfi_slot slot_of(uint64_t reg)
{
    switch (reg) {
    case REG_RBP:
        return CFI_RBP;
    case REG_RSP:
        return CFI_RSP;
    case REG_RA:
        return CFI_RA;
    default:
        return CFI_OTHERS;
    }
}

static struct cfi_save *next_save(struct cfi_program *p)
{
    return &p->rules.saves[slot_of(cfi_uleb128(&p->code))];
}

static void set_save(struct cfi_save *save, enum cfi_save_kind kind)
{
    *save = (struct cfi_save){.kind = (uint8_t)kind};
}

static void set_factored(const struct cfi_program *p, struct cfi_save *save,
                         enum cfi_save_kind kind, int64_t factored)
{
    int64_t offset;

    if (__builtin_mul_overflow(factored, p->cie->data_align, &offset))
        set_save(save, CFI_ELSEWHERE);
    else
        *save = (struct cfi_save){.offset = offset, .kind = (uint8_t)kind};
}

/* -n is what DW_CFA_GNU_negative_offset_extended means by n. */
static int64_t negated(uint64_t n)
{
    return (int64_t)(0 - n);
}

static void set_cfa_register(struct cfi_program *p, uint64_t reg)
{
    p->rules.cfa_register = (uint8_t)MIN(reg, (uint64_t)REG_BEYOND);
}

static void set_cfa_offset(struct cfi_program *p, int64_t factored, int64_t factor)
{
    if (__builtin_mul_overflow(factored, factor, &p->rules.cfa_offset))
        p->rules.cfa_kind = CFI_CFA_UNKNOWN;
}

static void restore(struct cfi_program *p, uint64_t reg)
{
    enum cfi_slot slot = slot_of(reg);

    p->rules.saves[slot] = p->cie->initial.saves[slot];
}

static void remember(struct cfi_program *p)
{
    if (p->depth == CFI_STACK_MAX)
        p->code.bad = true;
    else
        p->stack[p->depth++] = p->rules;
}

static void recall(struct cfi_program *p)
{
    if (p->depth == 0)
        p->code.bad = true;
    else
        p->rules = p->stack[--p->depth];
}

/* Goes on to the address to, which is not reached yet; the rules so far hold up to there. */
static int go_to(struct cfi_program *p, uint64_t to)
{
    int r;

    if (to < p->pc)
        p->code.bad = true;
    if (p->code.bad || to == p->pc)
        return 0;
    r = put_here(p);
    if (r < 0)
        return r;
    p->pc = MIN(to, p->end);
    return 0;
}

static int advance(struct cfi_program *p, uint64_t delta)
{
    uint64_t to;

    if (__builtin_mul_overflow(delta, p->cie->code_align, &to) ||
        __builtin_add_overflow(to, p->pc, &to))
        to = UINT64_MAX;
    return go_to(p, to);
}

/* Those that define the CFA; false: it is none of them. */
static bool run_cfa(struct cfi_program *p, uint8_t op)
{
    struct cfi_rules *rules = &p->rules;

    switch (op) {
    case CFA_DEF_CFA:
    case CFA_DEF_CFA_SF:
        rules->cfa_kind = CFI_CFA_REGISTER;
        set_cfa_register(p, cfi_uleb128(&p->code));
        if (op == CFA_DEF_CFA)
            set_cfa_offset(p, (int64_t)cfi_uleb128(&p->code), 1);
        else
            set_cfa_offset(p, cfi_sleb128(&p->code), p->cie->data_align);
        return true;
    case CFA_DEF_CFA_REGISTER:
        set_cfa_register(p, cfi_uleb128(&p->code));
        break;
    case CFA_DEF_CFA_OFFSET:
        set_cfa_offset(p, (int64_t)cfi_uleb128(&p->code), 1);
        break;
    case CFA_DEF_CFA_OFFSET_SF:
        set_cfa_offset(p, cfi_sleb128(&p->code), p->cie->data_align);
        break;
    case CFA_DEF_CFA_EXPRESSION:
        cfa_expression(p);
        return true;
    default:
        return false;
    }
    /* Half of a rule changes a rule of two halves only. */
    if (rules->cfa_kind != CFI_CFA_REGISTER)
        rules->cfa_kind = CFI_CFA_UNKNOWN;
    return true;
}

/* Those that say where a register of the caller is; false: it is none of them. */
static bool run_save(struct cfi_program *p, uint8_t op)
{
    struct cfi_cursor *c = &p->code;
    struct cfi_save *save;

    switch (op) {
    case CFA_RESTORE_EXTENDED:
        restore(p, cfi_uleb128(c));
        return true;
    case CFA_OFFSET_EXTENDED:
    case CFA_OFFSET_EXTENDED_SF:
    case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
        save = next_save(p);
        set_factored(p, save, CFI_OFFSET,
                     op == CFA_OFFSET_EXTENDED      ? (int64_t)cfi_uleb128(c)
                     : op == CFA_OFFSET_EXTENDED_SF ? cfi_sleb128(c)
                                                    : negated(cfi_uleb128(c)));
        return true;
    case CFA_VAL_OFFSET:
    case CFA_VAL_OFFSET_SF:
        save = next_save(p);
        set_factored(p, save, CFI_IS_OFFSET,
                     op == CFA_VAL_OFFSET ? (int64_t)cfi_uleb128(c) : cfi_sleb128(c));
        return true;
    case CFA_UNDEFINED:
        set_save(next_save(p), CFI_UNDEFINED);
        return true;
    case CFA_SAME_VALUE:
        set_save(next_save(p), CFI_SAME);
        return true;
    case CFA_REGISTER:
        set_save(next_save(p), CFI_ELSEWHERE);
        cfi_uleb128(c);
        return true;
    case CFA_EXPRESSION:
        save = next_save(p);
        save_expression(p, save);
        return true;
    case CFA_VAL_EXPRESSION:
        set_save(next_save(p), CFI_ELSEWHERE);
        expression(c);
        return true;
    default:
        return false;
    }
}

/* All whose opcode is a whole byte. */
static int run_long(struct cfi_program *p, uint8_t op)
{
    switch (op) {
    case CFA_NOP:
        return 0;
    case CFA_SET_LOC:
        return go_to(p, cfi_pointer(&p->code, p->cie->encoding));
    case CFA_ADVANCE_LOC1:
        return advance(p, cfi_u8(&p->code));
    case CFA_ADVANCE_LOC2:
        return advance(p, cfi_u16(&p->code));
    case CFA_ADVANCE_LOC4:
        return advance(p, cfi_u32(&p->code));
    case CFA_REMEMBER_STATE:
        remember(p);
        return 0;
    case CFA_RESTORE_STATE:
        recall(p);
        return 0;
    case CFA_GNU_ARGS_SIZE:
        cfi_uleb128(&p->code);
        return 0;
    default:
        if (!run_cfa(p, op) && !run_save(p, op))
            p->code.bad = true;
        return 0;
    }
}

static int run_one(struct cfi_program *p)
{
    uint8_t op = cfi_u8(&p->code), operand = op & 0x3f;

    switch (op & CFA_SHORT) {
    case CFA_ADVANCE_LOC:
        return advance(p, operand);
    case CFA_OFFSET:
        set_factored(p, &p->rules.saves[slot_of(operand)], CFI_OFFSET,
                     (int64_t)cfi_uleb128(&p->code));
        return 0;
    case CFA_RESTORE:
        restore(p, operand);
        return 0;
    default:
        return run_long(p, op);
    }
}

int cfi_run(struct cfi_program *p)
{
    int r = 0;

    while (cfi_left(&p->code) && p->pc < p->end && !p->code.bad) {
        if (*p->budget == 0) {
            p->code.bad = true;
            r = put_here(p);
            return r < 0 ? r : -EFBIG;
        }
        --*p->budget;
        r = run_one(p);
        if (r < 0)
            return r;
    }
    return p->pc < p->end ? put_here(p) : 0;
}
