/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Rules by which the kernel walks its own stack: ORC, on x86.
 *
 * A sorted table of addresses, each relative to its own place, and beside it one of rules, as in
 * Documentation/arch/x86/orc-unwinder.rst and arch/x86/include/asm/orc_types.h. The kernel searches
 * them for every frame; here a rule that was found once is remembered, since few places lead to
 * where threads wait. Modules have tables of their own, which are not looked at.
 */
#pragma once

#include "bpf/hash.bpf.h"
#include "bpf/kernel.bpf.h"

/* As agent/kernel_orc.h has found them; count 0: not at all. */
const volatile __u64 orc_addresses = 0, orc_rules = 0, orc_text = 0, orc_text_end = 0;
const volatile __u32 orc_count = 0;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct orc_entry {
    __s16 sp_offset, bp_offset;
    unsigned int sp_reg : 4, bp_reg : 4, type : 3;
} __attribute__((packed));

/* Up to 6.3. */
struct orc_entry___old {
    unsigned int end : 1;
} __attribute__((packed));

#pragma clang attribute pop

/* Of sp_reg and bp_reg, the ones that calls need. */
enum { ORC_UNDEFINED, ORC_PREV_SP, ORC_BP = 4, ORC_SP };

enum orc_kind { ORC_OTHER, ORC_CALL, ORC_REGS, ORC_END };

struct orc_rule {
    __u64 ip; /* the return address for which it holds */
    __s16 sp_offset, bp_offset;
    __u8 sp_reg, bp_reg, kind, padding;
};

#define ORC_RULES_SHIFT 9

struct orc_memory {
    __u32 lo, hi; /* here, the verifier takes them for any number, and goes through a loop once */
    struct orc_rule rules[1 << ORC_RULES_SHIFT];
};

static __always_inline __u8 orc_kind_of(const struct orc_entry *entry)
{
    __u32 type = BPF_CORE_READ_BITFIELD_PROBED(entry, type);

    if (bpf_core_field_exists(((struct orc_entry___old *)0)->end)) {
        if (BPF_CORE_READ_BITFIELD_PROBED((const struct orc_entry___old *)entry, end))
            return ORC_END;
        return type == 0 ? ORC_CALL : type == 1 ? ORC_REGS : ORC_OTHER;
    }
    return type == 1 ? ORC_END : type == 2 ? ORC_CALL : type == 3 ? ORC_REGS : ORC_OTHER;
}

/* The last entry at or before the call that returns to ip. Returns its number plus one. */
static __always_inline __u32 orc_search(struct orc_memory *m, __u64 ip)
{
    m->lo = 0;
    m->hi = orc_count;
    for (int i = 0; i < 24; i++) {
        __u32 mid = m->lo + ((m->hi - m->lo) >> 1);
        __u64 at = orc_addresses + 4 * (__u64)mid;
        __s32 relative = 0;

        if (m->lo >= m->hi)
            break;
        bpf_probe_read_kernel(&relative, sizeof(relative), (void *)at);
        if (at + relative <= ip - 1)
            m->lo = mid + 1;
        else
            m->hi = mid;
    }
    return m->lo;
}

/* NULL: there is none. */
static __noinline const struct orc_rule *orc_rule_for(struct orc_memory *m, __u64 ip)
{
    __u32 slot = hash_bits(ip, ORC_RULES_SHIFT), number;
    struct orc_rule *rule = &m->rules[slot & ((1 << ORC_RULES_SHIFT) - 1)];
    const struct orc_entry *entry;

    if (rule->ip == ip)
        return rule;
    if (ip <= orc_text || ip >= orc_text_end)
        return NULL;
    number = orc_search(m, ip);
    if (!number)
        return NULL;
    entry = (void *)(orc_rules + bpf_core_type_size(struct orc_entry) * (number - 1));
    rule->sp_offset = BPF_CORE_READ(entry, sp_offset);
    rule->bp_offset = BPF_CORE_READ(entry, bp_offset);
    rule->sp_reg = BPF_CORE_READ_BITFIELD_PROBED(entry, sp_reg);
    rule->bp_reg = BPF_CORE_READ_BITFIELD_PROBED(entry, bp_reg);
    rule->kind = orc_kind_of(entry);
    rule->ip = ip;
    return rule;
}
