/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/prologue.h"

#define WORD 8
#define DEPTH_MAX (1 << 24) /* of a frame that is believed */

const struct prologue prologue_start = {.depth = WORD, .frame = PROLOGUE_UNKNOWN};

static int32_t plus(int32_t depth, int64_t bytes)
{
    int64_t sum = depth + bytes;

    if (depth == PROLOGUE_UNKNOWN || sum < -DEPTH_MAX || sum > DEPTH_MAX)
        return PROLOGUE_UNKNOWN;
    return (int32_t)sum;
}

/* Something unknown was put into rbp. Before it was saved, only the outermost frame does that. */
static void lose_rbp(struct prologue *p)
{
    p->frame = PROLOGUE_UNKNOWN;
    if (p->saved == 0)
        p->saved = PROLOGUE_UNKNOWN;
}

/* rbp came from this far below the CFA. */
static void restore_rbp(struct prologue *p, int32_t from)
{
    lose_rbp(p);
    if (from != PROLOGUE_UNKNOWN && p->saved == from)
        p->saved = 0;
}

static void save_rbp(struct prologue *p, int32_t to)
{
    if (p->saved == 0 && to > 0)
        p->saved = to;
}

static void push(struct prologue *p, const struct x86_insn *i, bool is_rbp)
{
    p->depth = i->is_16 ? PROLOGUE_UNKNOWN : plus(p->depth, WORD);
    if (is_rbp)
        save_rbp(p, p->depth);
}

static void pop(struct prologue *p, const struct x86_insn *i, uint8_t reg)
{
    int32_t from = p->depth;

    p->depth = i->is_16 ? PROLOGUE_UNKNOWN : plus(p->depth, -WORD);
    if (reg == X86_RBP)
        restore_rbp(p, from);
    else if (reg == X86_RSP)
        p->depth = PROLOGUE_UNKNOWN;
}

static void leave(struct prologue *p)
{
    int32_t from = p->frame;

    restore_rbp(p, from);
    p->depth = plus(from, -WORD);
}

/* Pushes, pops and what moves rsp in other ways of its own. */
static bool moves_stack(struct prologue *p, const struct x86_insn *i)
{
    uint8_t named = (i->opcode & 7) | (i->rex << 3 & 8);

    if (i->is_vex || (i->map != X86_MAP_ONE && i->map != X86_MAP_0F))
        return false;
    switch (i->map << 8 | i->opcode) {
    case 0x50 ... 0x57:
        push(p, i, named == X86_RBP);
        return true;
    case 0x58 ... 0x5f:
        pop(p, i, named);
        return true;
    case 0x68:
    case 0x6a:
    case 0x9c:
    case X86_MAP_0F << 8 | 0xa0:
    case X86_MAP_0F << 8 | 0xa8:
        push(p, i, false);
        return true;
    case 0x8f:
        pop(p, i, i->mod == 3 ? i->rm : 0);
        return true;
    case 0x9d:
    case X86_MAP_0F << 8 | 0xa1:
    case X86_MAP_0F << 8 | 0xa9:
        pop(p, i, 0);
        return true;
    case 0xc9:
        leave(p);
        return true;
    case 0xc8:
        p->depth = PROLOGUE_UNKNOWN;
        lose_rbp(p);
        return true;
    case 0xff:
        if ((i->reg & 7) != 6)
            return false;
        push(p, i, i->mod == 3 && i->rm == X86_RBP);
        return true;
    default:
        return false;
    }
}

/* The CFA less the address of the operand in memory. */
static int32_t address(const struct prologue *p, const struct x86_insn *i)
{
    bool has_base = i->mod == 1 || i->mod == 2 || (i->mod == 0 && (i->rm & 7) != 5);
    uint8_t base = i->has_sib ? i->base : i->rm;

    if (!has_base || i->mod == 3 || (i->has_sib && i->index != 4) ||
        (i->mod == 0 && (base & 7) == 5))
        return PROLOGUE_UNKNOWN;
    if (base == X86_RSP)
        return plus(p->depth, -(int64_t)i->disp);
    if (base == X86_RBP)
        return plus(p->frame, -(int64_t)i->disp);
    return PROLOGUE_UNKNOWN;
}

/* rbp now is that far below the CFA: a frame pointer, unless nobody saved the caller's. */
static void set_rbp(struct prologue *p, int32_t below)
{
    lose_rbp(p);
    if (p->saved > 0)
        p->frame = below;
}

static void set(struct prologue *p, uint8_t reg, int32_t below)
{
    if (reg == X86_RSP)
        p->depth = below;
    else
        set_rbp(p, below);
}

/* Of a register that is moved. */
static int32_t below_cfa(const struct prologue *p, uint8_t reg)
{
    return reg == X86_RSP ? p->depth : reg == X86_RBP ? p->frame : PROLOGUE_UNKNOWN;
}

/* mov and lea of 64 bits, with rsp and rbp on one side. */
static bool moves_register(struct prologue *p, const struct x86_insn *i)
{
    uint8_t to = i->opcode == 0x89 ? i->rm : i->reg, from = i->opcode == 0x89 ? i->reg : i->rm;

    if (i->opcode == 0x89 && i->mod != 3) {
        if (i->reg == X86_RBP)
            save_rbp(p, address(p, i));
        return true;
    }
    if (to != X86_RSP && to != X86_RBP)
        return true;
    if (i->opcode == 0x8d)
        set(p, to, address(p, i));
    else if (i->mod == 3)
        set(p, to, below_cfa(p, from));
    else if (to == X86_RBP)
        restore_rbp(p, address(p, i));
    else
        p->depth = PROLOGUE_UNKNOWN;
    return true;
}

/* add, sub, lea, mov and xor as compilers use them for frames. */
static bool computes(struct prologue *p, const struct x86_insn *i)
{
    bool is_self = i->mod == 3 && i->reg == i->rm;

    if (i->is_vex || i->map != X86_MAP_ONE || !i->has_modrm || i->is_16)
        return false;
    /* Who clears rbp first of all, which belongs to the caller, has none. */
    if ((i->opcode == 0x31 || i->opcode == 0x33) && is_self && i->reg == X86_RBP && p->saved == 0 &&
        p->depth == WORD) {
        p->is_outermost = true;
        return true;
    }
    if (!(i->rex & 8))
        return false;
    if ((i->opcode == 0x81 || i->opcode == 0x83) && i->mod == 3 && i->rm == X86_RSP) {
        if (i->reg == 0)
            p->depth = plus(p->depth, -i->imm);
        else if (i->reg == 5)
            p->depth = plus(p->depth, i->imm);
        else if (i->reg != 7)
            p->depth = PROLOGUE_UNKNOWN;
        return true;
    }
    if (i->opcode == 0x89 || i->opcode == 0x8b || i->opcode == 0x8d)
        return moves_register(p, i);
    return false;
}

void prologue_step(struct prologue *p, const struct x86_insn *i)
{
    if (moves_stack(p, i) || computes(p, i))
        return;
    if (x86_writes(i, X86_RSP))
        p->depth = PROLOGUE_UNKNOWN;
    if (x86_writes(i, X86_RBP))
        lose_rbp(p);
}

static bool meet_field(int32_t *mine, int32_t other)
{
    if (*mine == other || *mine == PROLOGUE_UNKNOWN)
        return false;
    *mine = PROLOGUE_UNKNOWN;
    return true;
}

bool prologue_meet(struct prologue *p, const struct prologue *other)
{
    bool depth = meet_field(&p->depth, other->depth), frame = meet_field(&p->frame, other->frame);
    bool saved = meet_field(&p->saved, other->saved);
    bool outermost = p->is_outermost && !other->is_outermost;

    p->is_outermost &= other->is_outermost;
    return depth || frame || saved || outermost;
}

bool prologue_is(const struct prologue *p, const struct prologue *other)
{
    return p->depth == other->depth && p->frame == other->frame && p->saved == other->saved &&
           p->is_outermost == other->is_outermost;
}

/* In words; false for what a row cannot say. */
static bool words(int32_t bytes, int32_t least, int32_t most, int32_t *ret)
{
    *ret = bytes / WORD;
    return bytes != PROLOGUE_UNKNOWN && bytes % WORD == 0 && *ret >= least && *ret <= most;
}

struct unwind_row prologue_row(const struct prologue *p)
{
    struct unwind_row row = {.kind = UNWIND_NONE};
    bool has_frame = p->frame == p->saved || p->depth == PROLOGUE_UNKNOWN;
    int32_t cfa, saved;

    if (p->is_outermost)
        return (struct unwind_row){.kind = UNWIND_END};
    if (!words(p->saved, 0, UNWINDTAB_MAX_RBP, &saved))
        return row;
    /* With rbp where compilers keep it, rather by that: a callee may have moved rsp. */
    if (has_frame && words(p->frame, 1, INT16_MAX, &cfa))
        row.kind = UNWIND_RBP;
    else if (words(p->depth, 1, INT16_MAX, &cfa))
        row.kind = UNWIND_RSP;
    else
        return row;
    row.offset = (int16_t)cfa;
    row.rbp = (uint8_t)saved;
    return row;
}
