/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folded lines as the field writes them: thread;outer;...;inner COUNT, sorted by name.
 */
#include "cli/render.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const suffixes[MODEL_KIND_COUNT] = {
    [MODEL_KERNEL] = "_[k]", [MODEL_INLINED] = "_[i]", [MODEL_JIT] = "_[j]"};

static bool ends_like_suffix(const struct buf *b, size_t start)
{
    const char *end = b->data + b->size;

    if (b->size - start < 4)
        return false;
    return memcmp(end - 4, "_[k]", 4) == 0 || memcmp(end - 4, "_[i]", 4) == 0 ||
           memcmp(end - 4, "_[j]", 4) == 0;
}

static void add_frame(struct buf *line, const struct model_frame *f)
{
    size_t start;

    if (line->size)
        buf_addc(line, ';');
    start = line->size;
    text_add_folded(line, *f->name ? f->name : RENDER_NO_NAME);
    if (suffixes[f->kind]) {
        buf_adds(line, suffixes[f->kind]);
    } else if (!buf_error(line) && ends_like_suffix(line, start)) {
        /* A symbol may be called foo_[k]: it must not pass for the kernel's foo. */
        line->size -= 3;
        buf_addf(line, "\\x5b%c]", line->data[line->size + 1]);
    }
}

/* A node on the way to the current one, and how much of the line is its and its parents'. */
struct step {
    uint32_t node;
    size_t end;
};

int render_folded(const struct model *m, const struct render_options *o _unused_, FILE *out)
{
    const struct stacks *s = m->stacks;
    _cleanup_free_ struct step *path = calloc(STACKS_DEPTH_MAX + 2, sizeof(*path));
    _cleanup_buf_ struct buf line = {0};
    uint32_t depth = 0;

    if (!path)
        return -ENOMEM;
    for (uint32_t i = 1; i < s->node_count; i++) {
        const struct stack_node *n = &s->nodes[s->order[i]];

        while (depth && path[depth - 1].node != n->parent)
            depth--;
        line.size = depth ? path[depth - 1].end : 0;
        for (uint32_t j = 0; j < n->frame_count; j++)
            add_frame(&line, &m->frames[s->pool[n->frames + j]]);
        if (buf_error(&line) < 0)
            return -ENOMEM;
        path[depth++] = (struct step){s->order[i], line.size};
        if (n->self) {
            fwrite(line.data, 1, line.size, out);
            fprintf(out, " %" PRIu64 "\n", n->self);
        }
    }
    return 0;
}
