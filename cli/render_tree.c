/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree for people: share, own share and value of each branch, fitted to the terminal.
 *
 * A run of frames that nothing branches off takes one line, however long it is; branches below the
 * threshold and levels beyond the width are summed up, never silently dropped.
 */
#include "cli/render.h"

#include "base/text.h"
#include "cli/tint.h"
#include "cli/units.h"
#include "cli/width.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RESET "\033[0m"
#define DIM "\033[2m"
#define NAMES_WIDTH_MIN 24 /* columns for names at the deepest level shown */
#define ARROW " › "
#define ELISION 9 /* columns of "…12345 › " */

static const char *const colors[MODEL_KIND_COUNT] = {[MODEL_KERNEL] = "\033[33m",
                                                     [MODEL_JIT] = "\033[32m",
                                                     [MODEL_INLINED] = "\033[36m",
                                                     [MODEL_THREAD] = "\033[1m",
                                                     [MODEL_CONTAINER] = "\033[1m"};
#define COLD "\033[94m"
#define COLD_KERNEL "\033[34m"
#define GREY "\033[90m"
static const char *const marks[MODEL_KIND_COUNT] = {
    [MODEL_KERNEL] = "_[k]", [MODEL_JIT] = "_[j]", [MODEL_INLINED] = "_[i]"};

struct tree {
    const struct model *m;
    const struct render_options *o;
    FILE *out;
    unsigned value_width;
    struct buf prefix;     /* the lines that lead down to the current level */
    unsigned prefix_width; /* in columns */
    int error;
};

static double percent(const struct tree *t, uint64_t value)
{
    uint64_t total = t->m->stacks->total;

    return total ? (double)value * 100 / (double)total : 0;
}

/* Begins a line: numbers, then the lines of the tree. */
static void put_start(const struct tree *t, uint64_t total, uint64_t self, bool has_self)
{
    const char *dim = t->o->color ? DIM : "", *reset = t->o->color ? RESET : "";
    _cleanup_buf_ struct buf value = {0};

    fprintf(t->out, "%5.1f%% ", percent(t, total));
    if (has_self && self)
        fprintf(t->out, "%5.1f%% ", percent(t, self));
    else
        fputs("       ", t->out);
    units_add_number(&value, t->m, total);
    if (value.data)
        fprintf(t->out, "%*s%s  ",
                (int)(t->value_width - MIN(width_of(value.data), t->value_width)), "", value.data);
    if (t->prefix.size)
        fprintf(t->out, "%s%s%s", dim, t->prefix.data, reset);
}

static unsigned names_width(const struct tree *t)
{
    unsigned used = 7 + 7 + t->value_width + 2 + t->prefix_width + 2;

    return t->o->width > used + 8 ? t->o->width - used : 8;
}

/* The name of one frame as it is shown, cut to width columns, and its width. */
static unsigned add_name(const struct tree *t, struct buf *b, const struct model_frame *f,
                         unsigned width)
{
    _cleanup_buf_ struct buf name = {0};
    const char *mark = t->o->color ? NULL : marks[f->kind];
    size_t start = b->size;

    text_add_terminal(&name, *f->name ? f->name : RENDER_NO_NAME);
    if (mark)
        buf_adds(&name, mark);
    if (buf_error(&name) == 0)
        width_add_cut(b, name.data, width);
    return b->data ? width_of(b->data + start) : 0;
}

static const char *color_of(const struct model_frame *f, enum tint tint)
{
    if (tint_is_separator(f))
        return GREY;
    if (tint == TINT_COLD && f->kind < MODEL_THREAD)
        return f->kind == MODEL_KERNEL ? COLD_KERNEL : COLD;
    return f->kind == MODEL_LABEL ? GREY : colors[f->kind];
}

static void put_name(const struct tree *t, const struct model_frame *f, enum tint tint,
                     unsigned width)
{
    const char *color = t->o->color ? color_of(f, tint) : NULL;
    const char *pale = t->o->color && tint == TINT_WAKER ? DIM : "";
    _cleanup_buf_ struct buf b = {0};

    add_name(t, &b, f, width);
    fprintf(t->out, "%s%s%s%s", pale, color ? color : "", b.data ? b.data : "",
            color || *pale ? RESET : "");
}

/* Columns that this frame of a run would take, arrow included. */
static unsigned cost(const struct tree *t, const struct stack_node *n, uint32_t i)
{
    _cleanup_buf_ struct buf b = {0};

    return add_name(t, &b, &t->m->frames[t->m->stacks->pool[n->frames + i]], UINT32_MAX / 2) + 3;
}

static bool is_label(const struct tree *t, const struct stack_node *n, uint32_t i)
{
    return t->m->frames[t->m->stacks->pool[n->frames + i]].kind == MODEL_LABEL;
}

/* Columns for a view's own words in the middle of a run: where a waker begins must be seen. None
 * when they do not fit beside the innermost frame. */
static unsigned labels_width(const struct tree *t, const struct stack_node *n, unsigned width)
{
    unsigned sum = 0;

    for (uint32_t i = 0; i + 1 < n->frame_count; i++)
        if (is_label(t, n, i))
            sum += cost(t, n, i) + (i && is_label(t, n, i - 1) ? 0 : ELISION);
    return sum + cost(t, n, n->frame_count - 1) <= width ? sum : 0;
}

/* The frames before head and from tail on are those that fit. The innermost comes first in getting
 * room: it is what branches, or spends the time. */
static void fit_run(const struct tree *t, const struct stack_node *n, unsigned labels,
                    uint32_t *head, uint32_t *tail)
{
    unsigned width = names_width(t), used = labels;

    *head = 0;
    *tail = n->frame_count - 1;
    used += cost(t, n, *tail) - 3;
    while (*head < *tail) {
        bool outer = *head <= n->frame_count - 1 - *tail;
        uint32_t next = outer ? *head : *tail - 1;
        unsigned more = labels && is_label(t, n, next) ? 0 : cost(t, n, next);

        if (used + more + (*tail - *head > 1 ? ELISION : 0) > width)
            break;
        used += more;
        if (outer)
            ++*head;
        else
            --*tail;
    }
}

/* Writes a run on one line: as many outer and inner frames as fit, and the number of those between.
 * Takes the tint of the frame before, returns that of the last. */
static enum tint put_run(const struct tree *t, const struct stack_node *n, enum tint tint)
{
    unsigned width = names_width(t), labels = labels_width(t, n, width);
    uint32_t head, tail, skipped = 0;

    fit_run(t, n, labels, &head, &tail);
    for (uint32_t i = 0; i < n->frame_count; i++) {
        const struct model_frame *f = &t->m->frames[t->m->stacks->pool[n->frames + i]];

        tint = tint_next(tint, f);
        if (i >= head && i < tail && !(labels && is_label(t, n, i))) {
            skipped++;
            continue;
        }
        if (skipped)
            fprintf(t->out, "…%" PRIu32 ARROW, skipped);
        skipped = 0;
        put_name(t, f, tint, width);
        if (i + 1 < n->frame_count)
            fputs(ARROW, t->out);
    }
    fputc('\n', t->out);
    return tint;
}

/* Largest first, equals by name. */
static int compare_totals(const void *a, const void *b, void *data)
{
    const struct model *m = data;
    const struct stack_node *x = &m->stacks->nodes[*(const uint32_t *)a];
    const struct stack_node *y = &m->stacks->nodes[*(const uint32_t *)b];

    if (x->total != y->total)
        return x->total < y->total ? 1 : -1;
    return m->rank[x->head] < m->rank[y->head] ? -1 : 1;
}

/* A node's children as they are shown; the caller frees the list. */
static uint32_t *sorted_children(const struct model *m, const struct stack_node *n)
{
    uint32_t *list = calloc(n->child_count + 1ull, sizeof(*list));

    if (!list)
        return NULL;
    memcpy(list, m->stacks->children + n->child_start, n->child_count * sizeof(*list));
    qsort_r(list, n->child_count, sizeof(*list), compare_totals, (void *)m);
    return list;
}

/* Says how much is not shown, and that it is there. */
static void put_rest(const struct tree *t, uint32_t count, uint64_t sum, bool top,
                     const char *where)
{
    const char *dim = t->o->color ? DIM : "", *reset = t->o->color ? RESET : "";

    put_start(t, sum, 0, false);
    fprintf(t->out, "%s%s…%" PRIu32 " %s %s%s\n", dim, top ? "" : "└ ", count, where,
            count == 1 ? "branch" : "branches", reset);
}

static void put_children(struct tree *t, uint32_t node, enum tint tint, bool top);

static void put_child(struct tree *t, uint32_t node, enum tint tint, bool last, bool top)
{
    const struct stack_node *n = &t->m->stacks->nodes[node];
    size_t size = t->prefix.size;
    unsigned width = t->prefix_width;

    put_start(t, n->total, n->self, true);
    if (!top)
        fprintf(t->out, "%s%s%s", t->o->color ? DIM : "", last ? "└ " : "├ ",
                t->o->color ? RESET : "");
    tint = put_run(t, n, tint);
    if (!top) {
        buf_adds(&t->prefix, last ? "  " : "│ ");
        t->prefix_width += 2;
    }
    put_children(t, node, tint, false);
    t->prefix.size = size;
    if (t->prefix.data)
        t->prefix.data[size] = '\0';
    t->prefix_width = width;
}

static void put_children(struct tree *t, uint32_t node, enum tint tint, bool top)
{
    const struct stacks *s = t->m->stacks;
    const struct stack_node *n = &s->nodes[node];
    _cleanup_free_ uint32_t *list = sorted_children(t->m, n);
    uint32_t shown = 0;
    uint64_t rest = n->total - n->self;

    if (!list || buf_error(&t->prefix) < 0) {
        t->error = -ENOMEM;
        return;
    }
    if (n->child_count && names_width(t) < NAMES_WIDTH_MIN) {
        put_rest(t, n->child_count, rest, top, "deeper");
        return;
    }
    while (shown < n->child_count && percent(t, s->nodes[list[shown]].total) >= t->o->min_percent)
        shown++;
    for (uint32_t i = 0; i < shown; i++) {
        rest -= s->nodes[list[i]].total;
        put_child(t, list[i], tint, i + 1 == n->child_count, top);
    }
    if (shown < n->child_count)
        put_rest(t, n->child_count - shown, rest, top, "more");
}

static int put_heading(const struct tree *t)
{
    _cleanup_free_ char *title = model_title(t->m, t->o->title), *sub = model_subtitle(t->m);
    _cleanup_buf_ struct buf b = {0};
    const char *unit = units_heading(t->m);

    if (!title || !sub)
        return -ENOMEM;
    text_add_terminal(&b, title);
    buf_addc(&b, '\n');
    text_add_terminal(&b, sub);
    buf_adds(&b, "\n\n");
    buf_addf(&b, " total   self %*s", (int)(t->value_width - MIN(width_of(unit), t->value_width)),
             "");
    text_add_terminal(&b, unit);
    buf_addc(&b, '\n');
    if (buf_error(&b) < 0)
        return -ENOMEM;
    fwrite(b.data, 1, b.size, t->out);
    return 0;
}

/* Columns that the widest value takes; of times, a smaller one may take more than the total. */
static unsigned value_width(const struct model *m)
{
    _cleanup_buf_ struct buf b = {0};

    units_add_number(&b, m, m->stacks->total);
    return MAX(MAX(b.data ? width_of(b.data) : 0, width_of(units_heading(m))),
               units_are_times(m) ? width_of("999.9 ms") : 0);
}

int render_tree(const struct model *m, const struct render_options *o, FILE *out)
{
    struct tree t = {.m = m, .o = o, .out = out};
    int r;

    t.value_width = value_width(m);
    r = put_heading(&t);
    if (r < 0)
        return r;
    if (m->stacks->total == 0)
        fprintf(out, "(%s)\n", units_nothing(m));
    else
        put_children(&t, STACKS_ROOT, TINT_PLAIN, true);
    buf_free(&t.prefix);
    return t.error;
}
