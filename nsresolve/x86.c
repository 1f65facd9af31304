/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/x86.h"

#include <string.h>

/* What follows an opcode. A letter for each:
 *   .  nothing        m  ModRM         b  8 bits          z  16 or 32 bits     w  16 bits
 *   M  ModRM, 8 bits  Z  ModRM, z      v  16 to 64 bits   a  an address        e  enter's 24 bits
 *   j  8 bits, jump   J  32 bits, jump g  ModRM, and z or b for the group's first two
 *   p  a prefix       x  no instruction of 64-bit code */
static const char *const one_byte[16] = {
    "mmmmbzxxmmmmbzxp", "mmmmbzxxmmmmbzxx", "mmmmbzpxmmmmbzpx", "mmmmbzpxmmmmbzpx",
    "pppppppppppppppp", "................", "xxpmppppzZbM....", "jjjjjjjjjjjjjjjj",
    "MZxMmmmmmmmmmmmm", "..........x.....", "aaaa....bz......", "bbbbbbbbvvvvvvvv",
    "MMw.ppMZe.w..bx.", "mmmmxxx.mmmmmmmm", "jjjjbbbbJJxj....", "p.pp..gg......mm",
};

static const char *const two_bytes[16] = {
    "mmmmx.....x.xm.M", "mmmmmmmmmmmmmmmm", "mmmmxxxxmmmmmmmm", "......x.pxpxxxxx",
    "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm", "MMMMmmm.mmxxmmmm",
    "JJJJJJJJJJJJJJJJ", "mmmmmmmmmmmmmmmm", "...mMmxx...mMmmm", "mmmmmmmmmmMmmmmm",
    "mmMmMMMm........", "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm",
};

struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static uint8_t byte(struct cursor *c)
{
    if (c->at == c->end) {
        c->bad = true;
        return 0;
    }
    return *c->at++;
}

/* Little endian, sign-extended. */
static int64_t number(struct cursor *c, unsigned size)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < size; i++)
        n |= (uint64_t)byte(c) << (8 * i);
    return size && size < 8 ? (int64_t)(n << (64 - 8 * size)) >> (64 - 8 * size) : (int64_t)n;
}

/* Legacy prefixes, then REX, which counts only where the opcode follows it. Returns that. */
static uint8_t prefixes(struct cursor *c, struct x86_insn *i)
{
    for (;;) {
        uint8_t b = byte(c);

        if (c->bad)
            return 0;
        switch (b) {
        case 0x66:
            i->is_16 = true;
            break;
        case 0xf2:
            i->is_repne = true;
            break;
        case 0xf3:
            i->is_rep = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x67:
        case 0xf0:
            break;
        default:
            if ((b & 0xf0) != 0x40)
                return b;
            i->rex = b;
            continue;
        }
        i->rex = 0;
    }
}

/* The bytes of a VEX prefix behind its first. The registers' highest bits stand inverted in it. */
static void vex(struct cursor *c, uint8_t first, struct x86_insn *i)
{
    uint8_t b = byte(c), last = b;

    i->rex = 0x40 | (~b >> 5 & 4);
    i->map = X86_MAP_0F;
    if (first != 0xc5) {
        i->rex = 0x40 | (~b >> 5 & 7);
        i->map = first == 0xc4 ? b & 0x1f : b & 7;
        last = byte(c);
        i->rex |= last >> 4 & 8;
    }
    if (first == 0x62)
        byte(c);
    i->vvvv = ~last >> 3 & 15;
    i->is_16 = (last & 3) == 1;
    i->is_rep = (last & 3) == 2;
    i->is_repne = (last & 3) == 3;
    i->is_vex = true;
}

/* What follows the opcode of a VEX or EVEX instruction. */
static char vex_form(const struct x86_insn *i, bool is_evex)
{
    char form;

    switch (i->map) {
    case X86_MAP_0F:
        form = two_bytes[i->opcode >> 4][i->opcode & 15];
        if (is_evex && (i->opcode == 0x7a || i->opcode == 0x7b))
            return 'm';
        return form == 'm' || form == 'M' || i->opcode == 0x77 ? form : 'x';
    case X86_MAP_0F38:
        return 'm';
    case X86_MAP_0F3A:
        return 'M';
    case X86_MAP_5:
    case X86_MAP_6:
        return is_evex ? 'm' : 'x';
    default:
        return 'x';
    }
}

/* Reads the opcode, whose first byte is given. Returns what follows it. */
static char opcode(struct cursor *c, uint8_t first, struct x86_insn *i)
{
    i->opcode = first;
    if (first == 0xc4 || first == 0xc5 || first == 0x62) {
        vex(c, first, i);
        i->opcode = byte(c);
        return vex_form(i, first == 0x62);
    }
    if (first != 0x0f)
        return one_byte[first >> 4][first & 15];
    i->opcode = byte(c);
    i->map = X86_MAP_0F;
    if (i->opcode == 0x38 || i->opcode == 0x3a) {
        i->map = i->opcode == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
        i->opcode = byte(c);
        return i->map == X86_MAP_0F38 ? 'm' : 'M';
    }
    /* AMD's extrq and insertq: the same opcode with other operands. */
    if (i->opcode == 0x78 && (i->is_16 || i->is_repne))
        return 'x';
    return two_bytes[i->opcode >> 4][i->opcode & 15];
}

static void modrm(struct cursor *c, struct x86_insn *i)
{
    uint8_t b = byte(c), sib;

    i->has_modrm = true;
    i->mod = b >> 6;
    i->reg = (b >> 3 & 7) | (i->rex << 1 & 8);
    i->rm = (b & 7) | (i->rex << 3 & 8);
    /* Control and debug registers are never moved to memory, whatever mod says. */
    if (i->map == X86_MAP_0F && !i->is_vex && (i->opcode & 0xfc) == 0x20)
        i->mod = 3;
    if (i->mod == 3)
        return;
    if ((b & 7) == 4) {
        sib = byte(c);
        i->has_sib = true;
        i->base = (sib & 7) | (i->rex << 3 & 8);
        i->index = (sib >> 3 & 7) | (i->rex << 2 & 8);
        if (i->mod == 0 && (sib & 7) == 5)
            i->disp = (int32_t)number(c, 4);
    } else if (i->mod == 0 && (b & 7) == 5) {
        i->is_rip = true;
        i->disp = (int32_t)number(c, 4);
    }
    if (i->mod != 0)
        i->disp = (int32_t)number(c, i->mod == 1 ? 1 : 4);
}

static void operands(struct cursor *c, char form, struct x86_insn *i)
{
    unsigned z = i->is_16 && !(i->rex & 8) ? 2 : 4;

    if (strchr("mMZg", form))
        modrm(c, i);
    switch (form) {
    case 'b':
    case 'M':
    case 'j':
        i->imm = number(c, 1);
        break;
    case 'z':
    case 'Z':
        i->imm = number(c, z);
        break;
    case 'w':
        i->imm = number(c, 2);
        break;
    case 'J':
        i->imm = number(c, 4);
        break;
    case 'v':
        i->imm = number(c, i->rex & 8 ? 8 : z);
        break;
    case 'a':
        i->imm = number(c, 8);
        break;
    case 'e':
        i->imm = number(c, 3);
        break;
    case 'g':
        if ((i->reg & 7) < 2)
            i->imm = number(c, i->opcode == 0xf6 ? 1 : z);
        break;
    default:
        break;
    }
}

bool x86_decode(const uint8_t *code, size_t size, struct x86_insn *ret)
{
    struct cursor c = {code, code + (size < X86_LENGTH_MAX ? size : X86_LENGTH_MAX), false};
    struct x86_insn i = {0};
    uint8_t first = prefixes(&c, &i);
    char form;

    if (c.bad)
        return false;
    form = opcode(&c, first, &i);
    if (c.bad || form == 'x' || form == 'p')
        return false;
    operands(&c, form, &i);
    if (c.bad)
        return false;
    /* XOP, which only some AMD processors had. */
    if (i.map == X86_MAP_ONE && i.opcode == 0x8f && (i.reg & 7) != 0)
        return false;
    i.length = (uint8_t)(c.at - code);
    *ret = i;
    return true;
}

/* ---- what is written ---- */

enum { WRITES_NONE, WRITES_REG = 1, WRITES_RM = 2, WRITES_VVVV = 4, IS_BYTE = 8 };

static unsigned one_byte_writes(const struct x86_insn *i)
{
    unsigned group = i->reg & 7, width = i->opcode & 1 ? 0 : IS_BYTE;

    switch (i->opcode) {
    case 0x00 ... 0x37: /* add, or, adc, sbb, and, sub, xor; the rest has no ModRM */
        return (i->opcode & 2 ? WRITES_REG : WRITES_RM) | width;
    case 0x63:
    case 0x69:
    case 0x6b:
    case 0x8d:
        return WRITES_REG;
    case 0x80 ... 0x83:
        return group == 7 ? WRITES_NONE : WRITES_RM | width;
    case 0x86:
    case 0x87:
        return WRITES_REG | WRITES_RM | width;
    case 0x88:
    case 0x89:
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xc7:
    case 0xd0 ... 0xd3:
        return WRITES_RM | width;
    case 0x8a:
    case 0x8b:
        return WRITES_REG | width;
    case 0x8c:
        return WRITES_RM;
    case 0xf6:
    case 0xf7:
        return group == 2 || group == 3 ? WRITES_RM | width : WRITES_NONE;
    case 0xfe:
    case 0xff:
        return group < 2 ? WRITES_RM | width : WRITES_NONE;
    default:
        return WRITES_NONE;
    }
}

static unsigned two_byte_writes(const struct x86_insn *i)
{
    unsigned group = i->reg & 7;

    switch (i->opcode) {
    case 0x00:
    case 0x01:
        return group < 2 || group == 4 ? WRITES_RM : WRITES_NONE;
    case 0x02:
    case 0x03:
    case 0x2c:
    case 0x2d:
    case 0x40 ... 0x4f:
    case 0x50:
    case 0xaf:
    case 0xb6 ... 0xb8:
    case 0xbc ... 0xbf:
    case 0xc5:
    case 0xd7:
        return WRITES_REG;
    case 0x20:
    case 0x21:
    case 0xa4:
    case 0xa5:
    case 0xab ... 0xad:
    case 0xb1:
    case 0xb3:
    case 0xbb:
        return WRITES_RM;
    case 0x1e: /* rdsspq; else it does nothing */
        return i->is_rep && group == 1 ? WRITES_RM : WRITES_NONE;
    case 0x7e:
        return i->is_rep ? WRITES_NONE : WRITES_RM;
    case 0x90 ... 0x9f:
    case 0xb0:
        return WRITES_RM | IS_BYTE;
    case 0xae: /* rdfsbase, rdgsbase */
        return i->is_rep && group < 2 ? WRITES_RM : WRITES_NONE;
    case 0xba:
        return group > 4 ? WRITES_RM : WRITES_NONE;
    case 0xc0:
        return WRITES_REG | WRITES_RM | IS_BYTE;
    case 0xc1:
        return WRITES_REG | WRITES_RM;
    case 0xc7: /* rdrand, rdseed, rdpid */
        return group > 5 ? WRITES_RM : WRITES_NONE;
    default:
        return WRITES_NONE;
    }
}

static unsigned vex_writes(const struct x86_insn *i)
{
    switch (i->map << 8 | i->opcode) {
    case X86_MAP_0F << 8 | 0x2c:
    case X86_MAP_0F << 8 | 0x2d:
    case X86_MAP_0F << 8 | 0x50:
    case X86_MAP_0F << 8 | 0x78:
    case X86_MAP_0F << 8 | 0x79:
    case X86_MAP_0F << 8 | 0x93:
    case X86_MAP_0F << 8 | 0xc5:
    case X86_MAP_0F << 8 | 0xd7:
    case X86_MAP_0F38 << 8 | 0xf2:
    case X86_MAP_0F38 << 8 | 0xf5:
    case X86_MAP_0F38 << 8 | 0xf7:
    case X86_MAP_0F3A << 8 | 0xf0:
        return WRITES_REG;
    case X86_MAP_0F38 << 8 | 0xf3:
        return WRITES_VVVV;
    case X86_MAP_0F38 << 8 | 0xf6:
        return WRITES_REG | WRITES_VVVV;
    case X86_MAP_0F << 8 | 0x7e:
        return i->is_16 ? WRITES_RM : WRITES_NONE;
    case X86_MAP_0F3A << 8 | 0x14 ... X86_MAP_0F3A << 8 | 0x17:
        return WRITES_RM;
    default:
        return WRITES_NONE;
    }
}

static unsigned writes(const struct x86_insn *i)
{
    if (i->is_vex)
        return vex_writes(i);
    switch (i->map) {
    case X86_MAP_ONE:
        return one_byte_writes(i);
    case X86_MAP_0F:
        return two_byte_writes(i);
    case X86_MAP_0F38: /* movbe, crc32, adcx, adox */
        return i->opcode == 0xf0 || i->opcode == 0xf1 || i->opcode == 0xf6 ? WRITES_REG
                                                                           : WRITES_NONE;
    case X86_MAP_0F3A: /* pextrb and its like */
        return i->opcode >= 0x14 && i->opcode <= 0x17 ? WRITES_RM : WRITES_NONE;
    default:
        return WRITES_NONE;
    }
}

/* Of the instructions that have a register in their opcode. */
static bool writes_by_opcode(const struct x86_insn *i, uint8_t reg)
{
    uint8_t named = (i->opcode & 7) | (i->rex << 3 & 8);

    if (i->is_vex || named != reg)
        return false;
    if (i->map == X86_MAP_0F)
        return (i->opcode & 0xf8) == 0xc8; /* bswap */
    if (i->map != X86_MAP_ONE)
        return false;
    if ((i->opcode & 0xf8) == 0xb0) /* without REX these are ah, ch, dh, bh */
        return i->rex;
    return (i->opcode & 0xf8) == 0xb8 || (i->opcode & 0xf8) == 0x90;
}

bool x86_writes(const struct x86_insn *i, uint8_t reg)
{
    unsigned what;

    if (!i->has_modrm)
        return writes_by_opcode(i, reg);
    what = writes(i);
    if ((what & IS_BYTE) && !i->rex)
        return false;
    return ((what & WRITES_REG) && i->reg == reg) ||
           ((what & WRITES_RM) && i->mod == 3 && i->rm == reg) ||
           ((what & WRITES_VVVV) && i->vvvv == reg);
}

/* ---- where it goes on ---- */

bool x86_is_call(const struct x86_insn *i)
{
    return i->map == X86_MAP_ONE && i->opcode == 0xe8;
}

bool x86_target(const struct x86_insn *i, uint64_t vaddr, uint64_t *ret)
{
    bool is_far = (i->map == X86_MAP_ONE && (i->opcode == 0xe8 || i->opcode == 0xe9)) ||
                  (i->map == X86_MAP_0F && !i->is_vex && (i->opcode & 0xf0) == 0x80);
    bool is_near = i->map == X86_MAP_ONE &&
                   ((i->opcode & 0xf0) == 0x70 || (i->opcode & 0xfc) == 0xe0 || i->opcode == 0xeb);

    if (!is_far && !is_near)
        return false;
    *ret = vaddr + i->length + (uint64_t)i->imm;
    return true;
}

bool x86_is_indirect_jump(const struct x86_insn *i)
{
    return i->map == X86_MAP_ONE && i->opcode == 0xff && (i->reg & 7) == 4;
}

bool x86_ends_flow(const struct x86_insn *i)
{
    if (i->is_vex)
        return false;
    if (i->map == X86_MAP_0F) /* ud2, ud1, sysret, sysexit */
        return i->opcode == 0x0b || i->opcode == 0xb9 || i->opcode == 0x07 || i->opcode == 0x35;
    if (i->map != X86_MAP_ONE)
        return false;
    switch (i->opcode) {
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
    case 0xcc:
    case 0xcf:
    case 0xe9:
    case 0xeb:
    case 0xf4:
        return true;
    case 0xff:
        return (i->reg & 7) == 4 || (i->reg & 7) == 5;
    default:
        return false;
    }
}

bool x86_leaves(const struct x86_insn *i)
{
    return i->map == X86_MAP_ONE &&
           (i->opcode == 0xc2 || i->opcode == 0xc3 || x86_is_indirect_jump(i));
}

bool x86_is_padding(const struct x86_insn *i)
{
    if (i->is_vex)
        return false;
    return (i->map == X86_MAP_ONE && (i->opcode == 0x90 || i->opcode == 0xcc)) ||
           (i->map == X86_MAP_0F && i->opcode == 0x1f);
}
