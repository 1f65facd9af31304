/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One x86-64 instruction: how long it is, and the fields that it consists of.
 *
 * Not a disassembler: nothing is named, and operands are looked at only as far as prologue.c needs
 * them. Runs in the parser on bytes that a container wrote: reads nothing behind the given end, and
 * takes any bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X86_LENGTH_MAX 15
#define X86_RSP 4
#define X86_RBP 5

enum x86_map { X86_MAP_ONE, X86_MAP_0F, X86_MAP_0F38, X86_MAP_0F3A, X86_MAP_5 = 5, X86_MAP_6 };

struct x86_insn {
    uint8_t length;
    uint8_t map;    /* enum x86_map */
    uint8_t opcode; /* the last byte of it */
    bool is_vex;    /* VEX or EVEX */
    bool has_modrm;
    bool is_16;    /* 66 */
    bool is_rep;   /* F3 */
    bool is_repne; /* F2 */
    uint8_t rex;   /* 0: none; of VEX, what it stands for */
    uint8_t mod;
    uint8_t reg, rm; /* with REX; rm is a register when mod is 3 */
    uint8_t vvvv;    /* VEX's further register */
    bool is_rip;     /* the operand in memory is at the next instruction's address + disp */
    bool has_sib;
    uint8_t base, index; /* of the SIB byte, with REX; index 4: none */
    int32_t disp;
    int64_t imm; /* also of a jump: relative to the next instruction */
};

/* Decodes what stands at code, of which size bytes may be read. False for what is no instruction of
 * 64-bit code, or is cut. */
bool x86_decode(const uint8_t *code, size_t size, struct x86_insn *ret);

/* Whether it may change this register (X86_RSP, X86_RBP), other than as push, pop, call, ret, enter
 * and leave do. */
bool x86_writes(const struct x86_insn *insn, uint8_t reg);

/* Where a direct jump, conditional jump or call from vaddr leads; false for all others. */
bool x86_target(const struct x86_insn *insn, uint64_t vaddr, uint64_t *ret);

bool x86_is_call(const struct x86_insn *insn);          /* direct */
bool x86_is_indirect_jump(const struct x86_insn *insn); /* near */

/* Nothing runs on from it to the next one: jumps, returns, traps. */
bool x86_ends_flow(const struct x86_insn *insn);

/* Of those, what may lead back to the caller: returns, indirect jumps. */
bool x86_leaves(const struct x86_insn *insn);

/* What stands between functions. */
bool x86_is_padding(const struct x86_insn *insn);
