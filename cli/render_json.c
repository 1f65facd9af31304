/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model as the lines of a stream (docs/protocol.md). Needed for what was read from folded lines.
 */
#include "cli/render.h"

#include "base/text.h"
#include "base/version.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

static void put_buf(struct buf *line, FILE *out)
{
    if (!buf_error(line)) {
        buf_addc(line, '\n');
        fwrite(line->data, 1, line->size, out);
    }
    line->size = 0;
}

static void put_object(struct json_object *o, FILE *out)
{
    fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), out);
    fputc('\n', out);
}

/* Frames of the protocol get ids in the order of the model's; labels get none. */
static void put_frames(const struct model *m, uint32_t *ids, struct buf *line, FILE *out)
{
    static const char *const kinds[MODEL_KIND_COUNT] = {
        [MODEL_USER] = "user", [MODEL_CXX] = "user",        [MODEL_KERNEL] = "kernel",
        [MODEL_JIT] = "jit",   [MODEL_INLINED] = "inlined", [MODEL_LABEL] = "label"};
    uint32_t count = 0;

    for (uint32_t i = 0; i < m->frame_count; i++) {
        const struct model_frame *f = &m->frames[i];

        if (!kinds[f->kind])
            continue;
        ids[i] = count;
        buf_addf(line, "{\"type\":\"frame\",\"id\":%" PRIu32 ",\"name\":", count++);
        text_add_json(line, f->name);
        buf_addf(line, ",\"kind\":\"%s\",\"named\":%s", kinds[f->kind],
                 f->named ? "true" : "false");
        if (f->file) {
            buf_adds(line, ",\"file\":");
            text_add_json(line, f->file);
        }
        if (f->kind == MODEL_CXX) {
            buf_adds(line, ",\"language\":");
            text_add_json(line, f->language ? f->language : "c++");
        }
        buf_addc(line, '}');
        put_buf(line, out);
    }
}

static void add_labels(struct buf *line, const struct model *m, uint32_t frame)
{
    const struct model_label *l;

    if (m->frames[frame].kind != MODEL_THREAD)
        return;
    l = &m->labels[m->frames[frame].label];
    if (l->comm) {
        buf_adds(line, ",\"comm\":");
        text_add_json(line, l->comm);
    }
    if (l->container) {
        buf_adds(line, ",\"container\":");
        text_add_json(line, l->container);
    }
    if (l->pid)
        buf_addf(line, ",\"pid\":%" PRIu64, l->pid);
    if (l->tid)
        buf_addf(line, ",\"tid\":%" PRIu64, l->tid);
}

/* Writes the stack that ends with this node; frames is room for STACKS_DEPTH_MAX. */
static void put_stack(const struct model *m, uint32_t node, const uint32_t *ids, uint32_t *frames,
                      struct buf *line, FILE *out)
{
    const struct stacks *s = m->stacks;
    uint32_t count = 0;
    bool first = true;

    for (uint32_t at = node; at != STACKS_ROOT; at = s->nodes[at].parent)
        for (uint32_t i = s->nodes[at].frame_count; i > 0; i--)
            frames[count++] = s->pool[s->nodes[at].frames + i - 1];
    buf_addf(line, "{\"type\":\"stack\",\"value\":%" PRIu64, s->nodes[node].self);
    for (uint32_t i = count; i > 0; i--)
        add_labels(line, m, frames[i - 1]);
    buf_adds(line, ",\"frames\":[");
    for (uint32_t i = count; i > 0; i--) {
        if (m->frames[frames[i - 1]].kind >= MODEL_THREAD)
            continue;
        buf_addf(line, "%s%" PRIu32, first ? "" : ",", ids[frames[i - 1]]);
        first = false;
    }
    buf_adds(line, "]}");
    put_buf(line, out);
}

int render_json(const struct model *m, const struct render_options *o, FILE *out)
{
    _cleanup_free_ uint32_t *ids = calloc(m->frame_count + 1ull, sizeof(*ids));
    _cleanup_free_ uint32_t *frames = calloc(STACKS_DEPTH_MAX, sizeof(*frames));
    _cleanup_buf_ struct buf line = {0};

    if (!ids || !frames)
        return -ENOMEM;
    if (m->started) {
        put_object(m->started, out);
    } else {
        buf_addf(&line, "{\"type\":\"started\",\"porthole\":%d,\"version\":", PROTO_VERSION);
        text_add_json(&line, porthole_version);
        buf_adds(&line, ",\"view\":\"cpu\",\"unit\":\"samples\",\"yields\":\"stacks\",\"target\":");
        text_add_json(&line, o->title ? o->title : "folded lines");
        buf_adds(&line, "}");
        put_buf(&line, out);
    }
    put_frames(m, ids, &line, out);
    for (uint32_t i = 1; i < m->stacks->node_count; i++)
        if (m->stacks->nodes[m->stacks->order[i]].self)
            put_stack(m, m->stacks->order[i], ids, frames, &line, out);
    if (m->quality)
        put_object(m->quality, out);
    if (m->end)
        put_object(m->end, out);
    else
        fputs("{\"type\":\"end\",\"status\":\"done\"}\n", out);
    return buf_error(&line);
}
