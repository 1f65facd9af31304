/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/codeflow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 4
#define PASSES_MAX 64
#define PADDING_MAX 16
#define NOWHERE UINT32_MAX

/* Of an address. */
enum mark {
    IS_REACHED = 1,
    IS_START = 2,     /* of a function */
    IS_ADDRESS = 4,   /* that code takes */
    IS_GUESSED = 8,   /* reached by way of an indirect jump */
    IS_INDIRECT = 16, /* an indirect jump */
    IS_QUEUED = 32,
    CAN_RETURN = 64,     /* from here a function may come to its end */
    NEVER_RETURNS = 128, /* a function that starts here; known from the round before */
};

/* Consecutive in bytes, states and marks. */
struct stretch {
    uint64_t vaddr;
    uint32_t first, size;
};

struct codeflow {
    struct stretch *stretches;
    size_t stretch_count, stretches_allocated;
    uint32_t size; /* of the arrays below */
    size_t bytes_allocated;
    uint8_t *bytes, *marks;
    struct prologue *states; /* before the instruction, where IS_REACHED */
    uint32_t *queue;
    uint32_t queued;
    bool is_guessing, changed;
};

int codeflow_new(struct codeflow **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

void codeflow_free(struct codeflow *c)
{
    if (!c)
        return;
    free(c->stretches);
    free(c->bytes);
    free(c->marks);
    free(c->states);
    free(c->queue);
    free(c);
}

static int grow(void **array, size_t *allocated, size_t want, size_t element)
{
    void *p;

    if (want <= *allocated)
        return 0;
    want = MAX(want, *allocated * 2);
    p = reallocarray(*array, want, element);
    if (!p)
        return -ENOMEM;
    *array = p;
    *allocated = want;
    return 0;
}

int codeflow_add(struct codeflow *c, uint64_t vaddr, uint32_t size, uint8_t **ret)
{
    int r;

    if (size > NOWHERE - 1 - c->size || size > UINT64_MAX - vaddr)
        return -EFBIG;
    r = grow((void **)&c->stretches, &c->stretches_allocated, c->stretch_count + 1,
             sizeof(*c->stretches));
    if (r == 0)
        r = grow((void **)&c->bytes, &c->bytes_allocated, c->size + size, 1);
    if (r < 0)
        return r;
    c->stretches[c->stretch_count++] = (struct stretch){vaddr, c->size, size};
    *ret = c->bytes + c->size;
    c->size += size;
    return 0;
}

int codeflow_ready(struct codeflow *c)
{
    c->marks = calloc(c->size + 1, sizeof(*c->marks));
    c->states = reallocarray(NULL, c->size + 1, sizeof(*c->states));
    c->queue = reallocarray(NULL, c->size + 1, sizeof(*c->queue));
    return c->marks && c->states && c->queue ? 0 : -ENOMEM;
}

/* ---- places ---- */

static uint32_t index_of(const struct codeflow *c, uint64_t vaddr)
{
    size_t lo = 0, hi = c->stretch_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (c->stretches[mid].vaddr <= vaddr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0 || vaddr - c->stretches[lo - 1].vaddr >= c->stretches[lo - 1].size)
        return NOWHERE;
    return c->stretches[lo - 1].first + (uint32_t)(vaddr - c->stretches[lo - 1].vaddr);
}

static const struct stretch *stretch_of(const struct codeflow *c, uint32_t index)
{
    size_t lo = 0, hi = c->stretch_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (c->stretches[mid].first <= index)
            lo = mid + 1;
        else
            hi = mid;
    }
    return &c->stretches[lo - 1];
}

void codeflow_start(struct codeflow *c, uint64_t vaddr)
{
    uint32_t i = index_of(c, vaddr);

    if (i == NOWHERE || (c->marks[i] & IS_START))
        return;
    c->marks[i] |= IS_START;
    c->changed = true;
}

static bool decode(const struct codeflow *c, const struct stretch *s, uint32_t i,
                   struct x86_insn *ret)
{
    return x86_decode(c->bytes + i, s->first + s->size - i, ret);
}

/* ---- one round ---- */

static void enqueue(struct codeflow *c, uint32_t i)
{
    if (c->marks[i] & IS_QUEUED)
        return;
    c->marks[i] |= IS_QUEUED;
    c->queue[c->queued++] = i;
}

/* Whether more, or rather less, is known at i now. What is guessed never changes what is known. */
static bool arrive(struct codeflow *c, uint32_t i, const struct prologue *p)
{
    if (!(c->marks[i] & IS_REACHED)) {
        c->marks[i] |= IS_REACHED | (c->is_guessing ? IS_GUESSED : 0);
        c->states[i] = *p;
        return true;
    }
    if (c->is_guessing && !(c->marks[i] & IS_GUESSED))
        return false;
    return prologue_meet(&c->states[i], p);
}

static void arrive_by_jump(struct codeflow *c, uint64_t vaddr, const struct prologue *p)
{
    uint32_t i = index_of(c, vaddr);

    if (i != NOWHERE && arrive(c, i, p))
        enqueue(c, i);
}

/* What an instruction says of other places. */
static void look_around(struct codeflow *c, const struct x86_insn *insn, uint64_t vaddr,
                        const struct prologue *p)
{
    uint64_t target;
    uint32_t i;

    if (x86_target(insn, vaddr, &target)) {
        if (x86_is_call(insn))
            codeflow_start(c, target);
        else
            arrive_by_jump(c, target, p);
    } else if (insn->map == X86_MAP_ONE && insn->opcode == 0x8d && insn->is_rip) {
        i = index_of(c, vaddr + insn->length + (uint64_t)(int64_t)insn->disp);
        if (i != NOWHERE)
            c->marks[i] |= IS_ADDRESS;
    }
}

/* Whether what is called is known never to come back: behind such a call may stand anything. */
static bool comes_back(const struct codeflow *c, const struct x86_insn *insn, uint64_t vaddr)
{
    uint64_t target;
    uint32_t i;

    if (!x86_is_call(insn) || !x86_target(insn, vaddr, &target))
        return true;
    i = index_of(c, target);
    return i == NOWHERE || !(c->marks[i] & NEVER_RETURNS);
}

/* From one place on until the code ends, or nothing new is learned. */
static void follow(struct codeflow *c, uint32_t i)
{
    const struct stretch *s = stretch_of(c, i);
    struct prologue p = c->states[i];
    struct x86_insn insn;

    while (decode(c, s, i, &insn)) {
        uint64_t vaddr = s->vaddr + (i - s->first);

        prologue_step(&p, &insn);
        look_around(c, &insn, vaddr, &p);
        if (x86_is_indirect_jump(&insn))
            c->marks[i] |= IS_INDIRECT;
        i += insn.length;
        if (x86_ends_flow(&insn) || !comes_back(c, &insn, vaddr) || i >= s->first + s->size ||
            (c->marks[i] & IS_START) || !arrive(c, i, &p))
            return;
        p = c->states[i];
    }
}

static void follow_all(struct codeflow *c)
{
    while (c->queued) {
        uint32_t i = c->queue[--c->queued];

        c->marks[i] &= (uint8_t)~IS_QUEUED;
        follow(c, i);
    }
}

/* ---- what only indirect jumps reach: the cases of a switch ---- */

/* The frame at the indirect jumps of the function from start to end, where they agree. Those behind
 * the epilogue are calls in fact. */
static bool frame_at_jumps(const struct codeflow *c, uint32_t start, uint32_t end,
                           struct prologue *ret)
{
    bool found = false, is_deep = false;

    for (uint32_t i = start; i < end; i++) {
        bool deep;

        if ((c->marks[i] & (IS_INDIRECT | IS_REACHED)) != (IS_INDIRECT | IS_REACHED))
            continue;
        deep = !prologue_is(&c->states[i], &prologue_start);
        if (found && is_deep && deep && !prologue_is(&c->states[i], ret))
            return false;
        if (!found || deep)
            *ret = c->states[i];
        found = true;
        is_deep |= deep;
    }
    return found;
}

static void guess(struct codeflow *c, const struct stretch *s, uint32_t start, uint32_t end)
{
    struct prologue p;
    struct x86_insn insn;

    if (!frame_at_jumps(c, start, end, &p))
        return;
    for (uint32_t i = start; i < end && decode(c, s, i, &insn); i += insn.length) {
        if ((c->marks[i] & IS_REACHED) || x86_is_padding(&insn))
            continue;
        arrive(c, i, &p);
        enqueue(c, i);
        follow_all(c);
    }
}

static void guess_all(struct codeflow *c)
{
    c->is_guessing = true;
    for (size_t n = 0; n < c->stretch_count; n++) {
        const struct stretch *s = &c->stretches[n];
        uint32_t start = s->first;

        for (uint32_t i = s->first + 1; i <= s->first + s->size; i++) {
            if (i < s->first + s->size && !(c->marks[i] & IS_START))
                continue;
            guess(c, s, start, i);
            start = i;
        }
    }
    c->is_guessing = false;
}

/* ---- functions that never return ---- */

static bool can_return_at(const struct codeflow *c, uint64_t vaddr)
{
    uint32_t i = index_of(c, vaddr);

    return i == NOWHERE || !(c->marks[i] & IS_REACHED) || (c->marks[i] & CAN_RETURN);
}

static bool can_return(const struct codeflow *c, const struct stretch *s, uint32_t i)
{
    uint64_t vaddr = s->vaddr + (i - s->first), target = 0;
    struct x86_insn insn;
    bool goes, ends;

    if (!decode(c, s, i, &insn))
        return false;
    goes = x86_target(&insn, vaddr, &target);
    ends = x86_ends_flow(&insn);
    if (x86_is_call(&insn))
        return can_return_at(c, target) && can_return_at(c, vaddr + insn.length);
    if (goes && can_return_at(c, target))
        return true;
    return ends ? !goes && x86_leaves(&insn) : can_return_at(c, vaddr + insn.length);
}

/* From what returns back to all that may come there. Each pass that changes nothing is the last. */
static void find_returns(struct codeflow *c)
{
    bool changed = true;

    for (unsigned pass = 0; pass < PASSES_MAX && changed; pass++) {
        changed = false;
        for (size_t n = c->stretch_count; n-- > 0;) {
            const struct stretch *s = &c->stretches[n];

            for (uint32_t i = s->first + s->size; i-- > s->first;) {
                if ((c->marks[i] & (IS_REACHED | CAN_RETURN)) != IS_REACHED || !can_return(c, s, i))
                    continue;
                c->marks[i] |= CAN_RETURN;
                changed = true;
            }
        }
    }
    for (uint32_t i = 0; i < c->size && !changed; i++) {
        const uint8_t never = IS_START | IS_REACHED;

        if ((c->marks[i] & (never | CAN_RETURN | NEVER_RETURNS)) != never)
            continue;
        c->marks[i] |= NEVER_RETURNS;
        c->changed = true;
    }
}

/* ---- all rounds ---- */

static void run_round(struct codeflow *c)
{
    c->changed = false;
    for (uint32_t i = 0; i < c->size; i++) {
        c->marks[i] &= IS_START | NEVER_RETURNS;
        if (!(c->marks[i] & IS_START))
            continue;
        arrive(c, i, &prologue_start);
        enqueue(c, i);
    }
    follow_all(c);
    guess_all(c);
    find_returns(c);
    /* A function whose address is taken; a label in the midst of one has been reached. */
    for (uint32_t i = 0; i < c->size; i++) {
        if ((c->marks[i] & (IS_ADDRESS | IS_REACHED)) != IS_ADDRESS)
            continue;
        c->marks[i] |= IS_START;
        c->changed = true;
    }
}

/* What one round finds to be a function's start was, for it, no end of the one before: so once
 * more. */
void codeflow_run(struct codeflow *c)
{
    for (unsigned i = 0; i < ROUNDS_MAX && (i == 0 || c->changed); i++)
        run_round(c);
}

/* ---- rows ---- */

/* Bytes between here and a function's start that only align it. */
static bool is_before_start(const struct codeflow *c, const struct stretch *s, uint32_t i)
{
    uint32_t end = MIN(s->first + s->size, i + PADDING_MAX);

    while (i < end && !(c->marks[i] & IS_REACHED))
        i++;
    return i < end && (c->marks[i] & IS_START);
}

static int rows_of(const struct codeflow *c, const struct stretch *s, struct unwindtab_builder *b)
{
    uint32_t pc = (uint32_t)(s->vaddr - unwindtab_builder_header(b)->base_vaddr);
    uint32_t known_to = s->first; /* the instruction before reaches up to here */
    bool is_gap = false;
    int r = unwindtab_builder_range(b, pc, pc + s->size);

    for (uint32_t i = s->first; i < s->first + s->size && r == 0; i++) {
        struct unwind_row row = {.kind = UNWIND_NONE};
        struct x86_insn insn;

        if (c->marks[i] & IS_REACHED) {
            row = prologue_row(&c->states[i]);
            known_to = i + (decode(c, s, i, &insn) ? insn.length : 1);
            is_gap = false;
        } else if (is_gap || i < known_to || is_before_start(c, s, i)) {
            continue;
        } else {
            is_gap = true;
        }
        row.pc = pc + (i - s->first);
        r = unwindtab_builder_row(b, &row);
    }
    return r;
}

int codeflow_rows(const struct codeflow *c, struct unwindtab_builder *b)
{
    int r = 0;

    for (size_t i = 0; i < c->stretch_count && r == 0; i++)
        r = rows_of(c, &c->stretches[i], b);
    return r;
}
