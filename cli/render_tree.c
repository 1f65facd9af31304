/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree for people: share, own share and value of each branch, fitted to the terminal.
 *
 * A run of frames that nothing branches off takes one line, however long it is; branches below the
 * threshold and levels beyond the width are summed up, never silently dropped.
 */
#include "cli/render.h"

#include "base/text.h"
#include "cli/width.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RESET "\033[0m"
#define DIM "\033[2m"
#define NAMES_WIDTH_MIN 24 /* columns for names at the deepest level shown */
#define ARROW " › "

static const char *const colors[MODEL_KIND_COUNT] = {[MODEL_KERNEL] = "\033[33m",
                                                     [MODEL_JIT] = "\033[32m",
                                                     [MODEL_INLINED] = "\033[36m",
                                                     [MODEL_THREAD] = "\033[1m",
                                                     [MODEL_CONTAINER] = "\033[1m"};
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

    fprintf(t->out, "%5.1f%% ", percent(t, total));
    if (has_self && self)
        fprintf(t->out, "%5.1f%% ", percent(t, self));
    else
        fputs("       ", t->out);
    fprintf(t->out, "%*" PRIu64 "  ", (int)t->value_width, total);
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

static void put_name(const struct tree *t, const struct model_frame *f, unsigned width)
{
    const char *color = t->o->color ? colors[f->kind] : NULL;
    _cleanup_buf_ struct buf b = {0};

    add_name(t, &b, f, width);
    fprintf(t->out, "%s%s%s", color ? color : "", b.data ? b.data : "", color ? RESET : "");
}

/* Columns that this frame of a run would take, arrow included. */
static unsigned cost(const struct tree *t, const struct stack_node *n, uint32_t i)
{
    _cleanup_buf_ struct buf b = {0};

    return add_name(t, &b, &t->m->frames[t->m->stacks->pool[n->frames + i]], UINT32_MAX / 2) + 3;
}

/* Writes a run on one line: as many outer and inner frames as fit, the number of those between. The
 * innermost comes first in getting room: it is what branches, or spends the time. */
static void put_run(const struct tree *t, const struct stack_node *n)
{
    const struct model_frame *frames = t->m->frames;
    const uint32_t *run = t->m->stacks->pool + n->frames;
    uint32_t head = 0, tail = n->frame_count - 1;
    unsigned width = names_width(t), used = cost(t, n, tail) - 3;
    unsigned elision = 9; /* "… 12345 ›" */

    while (head < tail) {
        bool outer = head <= n->frame_count - 1 - tail;
        unsigned more = cost(t, n, outer ? head : tail - 1);

        if (used + more + (tail - head > 1 ? elision : 0) > width)
            break;
        used += more;
        if (outer)
            head++;
        else
            tail--;
    }
    for (uint32_t i = 0; i < head; i++) {
        put_name(t, &frames[run[i]], width);
        fputs(ARROW, t->out);
    }
    if (head < tail)
        fprintf(t->out, "…%" PRIu32 ARROW, tail - head);
    for (uint32_t i = tail; i < n->frame_count; i++) {
        put_name(t, &frames[run[i]], width);
        if (i + 1 < n->frame_count)
            fputs(ARROW, t->out);
    }
    fputc('\n', t->out);
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

static void put_children(struct tree *t, uint32_t node, bool top);

static void put_child(struct tree *t, uint32_t node, bool last, bool top)
{
    const struct stack_node *n = &t->m->stacks->nodes[node];
    size_t size = t->prefix.size;
    unsigned width = t->prefix_width;

    put_start(t, n->total, n->self, true);
    if (!top)
        fprintf(t->out, "%s%s%s", t->o->color ? DIM : "", last ? "└ " : "├ ",
                t->o->color ? RESET : "");
    put_run(t, n);
    if (!top) {
        buf_adds(&t->prefix, last ? "  " : "│ ");
        t->prefix_width += 2;
    }
    put_children(t, node, false);
    t->prefix.size = size;
    if (t->prefix.data)
        t->prefix.data[size] = '\0';
    t->prefix_width = width;
}

static void put_children(struct tree *t, uint32_t node, bool top)
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
        put_child(t, list[i], i + 1 == n->child_count, top);
    }
    if (shown < n->child_count)
        put_rest(t, n->child_count - shown, rest, top, "more");
}

static int put_heading(const struct tree *t)
{
    _cleanup_free_ char *title = model_title(t->m, t->o->title), *sub = model_subtitle(t->m);
    _cleanup_buf_ struct buf b = {0};
    const char *unit = model_unit(t->m);

    if (!title || !sub)
        return -ENOMEM;
    text_add_terminal(&b, title);
    buf_addc(&b, '\n');
    text_add_terminal(&b, sub);
    buf_adds(&b, "\n\n");
    buf_adds(&b, " total   self ");
    text_add_terminal(&b, unit);
    buf_addc(&b, '\n');
    if (buf_error(&b) < 0)
        return -ENOMEM;
    fwrite(b.data, 1, b.size, t->out);
    return 0;
}

int render_tree(const struct model *m, const struct render_options *o, FILE *out)
{
    struct tree t = {.m = m, .o = o, .out = out};
    int r;

    t.value_width = (unsigned)snprintf(NULL, 0, "%" PRIu64, m->stacks->total);
    t.value_width = MAX(t.value_width, width_of(model_unit(m)));
    r = put_heading(&t);
    if (r < 0)
        return r;
    if (m->stacks->total == 0)
        fputs("(no samples)\n", out);
    else
        put_children(&t, STACKS_ROOT, true);
    buf_free(&t.prefix);
    return t.error;
}
